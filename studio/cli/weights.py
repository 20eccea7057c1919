"""``models``, ``verify``, ``pull`` and ``push``: the checkpoints, here and on the Hugging Face Hub."""

from __future__ import annotations

from typing import Annotated

import typer

from studio.cli.console import download_bar, emit, print_table
from studio.cli.options import Json

CardIds = Annotated[list[str], typer.Argument(metavar="ID...", help="Model ids; `models` lists them.")]


def models(pattern: Annotated[str, typer.Argument(help="Shell pattern of ids.")] = "*", as_json: Json = False) -> None:
    """List the models the studio knows."""
    from studio.core.checkpoints import default_store

    cards = default_store().registry.list_models(pattern)
    rows = [(c.id, c.task, ", ".join(c.domains), f"{c.resolution} px", c.licence, c.study or "") for c in cards]
    columns = "id", "task", "domains", "size", "licence", "study"
    emit([c.to_dict() for c in cards], as_json, lambda _: print_table("Models", columns, rows))


def verify(
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="Model ids; all if none.")] = None,
    as_json: Json = False,
) -> None:
    """Check that every checkpoint is here, whole and fits its network; exit code 1 if one is not."""
    from studio.core.checkpoints import default_store

    store = default_store()
    cards = [store.registry.card(i) for i in ids] if ids else store.registry.list_models()
    states = [store.verify(card) for card in cards]
    rows = [(s.id, s.state, s.message or s.path or "") for s in states]
    emit([s.to_dict() for s in states], as_json, lambda _: print_table("Checkpoints", ("id", "state", "file"), rows))
    raise typer.Exit(0 if all(s.ok for s in states) else 1)


def pull(ids: CardIds, as_json: Json = False) -> None:
    """Download checkpoints, and those they are based on, from the Hugging Face Hub; what is here and whole is left alone."""
    from studio.core.checkpoints import default_store

    store = default_store()
    results = []
    for card in store.registry.with_bases([store.registry.card(i) for i in ids]):
        here = store.verify(card)
        if here.state == "ok":
            results.append({"id": card.id, "path": here.path, "pulled": False})
            continue
        with download_bar(card.file) as report:
            results.append({"id": card.id, "path": str(store.pull(card, report)), "pulled": True})
    emit(results, as_json, lambda rows: [print(row["path"]) for row in rows])


def push(
    ids: CardIds,
    repo: Annotated[str, typer.Option(help="Repository on the Hub, such as name/imaginarium.")],
    as_json: Json = False,
) -> None:
    """Upload checkpoints, their cards and the terms of the weights; the cards then point to that commit."""
    from studio.core.checkpoints import default_store

    store = default_store()
    results = [{"id": card.id, **store.push(card, repo)} for card in [store.registry.card(i) for i in ids]]
    emit(results, as_json, lambda rows: [print(f"{r['id']}: {r['repo_id']} at {r['revision']}") for r in rows])
