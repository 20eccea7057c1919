"""``python -m studio.train NAME... --minutes 9``: runs recipes, several side by side, and goes on where they stopped.

Plain argparse, so that a training machine needs only what training needs.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path


def parse(argv: list[str]) -> argparse.Namespace:
    """The arguments of a training run."""
    parser = argparse.ArgumentParser(prog="python -m studio.train", description="Train the studio's networks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="recipes; none lists them")
    parser.add_argument("--minutes", type=float, default=9.0, help="wall-clock budget of this call (default 9)")
    parser.add_argument("--data", type=Path, help="folder of the data packs")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs (default runs)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--accelerator", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--devices", type=int, default=1, help="GPUs per recipe")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads per recipe (default: torch's choice)")
    parser.add_argument("--compile", action="store_true", help="torch.compile; pays on a GPU, costs minutes on a CPU")
    parser.add_argument(
        "--from-shipped", action="store_true", help="a run without a state begins with the checkpoints in pretrained/"
    )
    parser.add_argument("--json", action="store_true", help="print the measures as JSON alone on stdout")
    parser.add_argument("--ship", action="store_true", help="enter what was trained into pretrained/")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Runs the command; returns its exit code, 2 after a mistake that one line on stderr explains."""
    options = parse(argv)
    from studio.core.checkpoints import CheckpointError
    from studio.core.registry import UnknownModel

    try:
        return _train(options, argv)
    except (ValueError, FileNotFoundError, UnknownModel, CheckpointError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _train(options: argparse.Namespace, argv: list[str]) -> int:
    from studio.train.main import recipes, train, train_side_by_side

    if not options.names:
        names = sorted(recipes())
        print(json.dumps({"recipes": names}) if options.json else "\n".join(names))
        return 0
    if len(options.names) > 1:
        flags = [word for word in argv if word not in options.names]
        # --out is given to each process anew, and shipping from several processes at once would lose cards.
        if failed := train_side_by_side(options.names, _without(flags, "--out", "--ship"), options.out):
            return failed
    else:
        import torch

        from studio.train.loop import Settings

        if options.threads:
            torch.set_num_threads(options.threads)
        decided = {field.name: getattr(options, field.name) for field in fields(Settings)}
        train(options.names[0], Settings(**decided))
    _report(options)
    return 0


def _report(options: argparse.Namespace) -> None:
    """Ships if asked to, and says on stdout what came out."""
    from studio.core.registry import Registry
    from studio.train.export import ship

    last = {name: (options.out / name / "log.jsonl").read_text().splitlines()[-1] for name in options.names}
    results = [{"recipe": name, **json.loads(line)} for name, line in last.items()]
    for result in results if options.ship else ():
        result["shipped"] = [card.id for card in ship(options.out / result["recipe"] / "export", Registry())]
    print(json.dumps({"results": results}, indent=1) if options.json else "\n".join(map(str, results)))


def _without(words: list[str], valued: str, plain: str) -> list[str]:
    """The words less the option ``valued`` with its value and the flag ``plain``."""
    kept: list[str] = []
    rest = iter(words)
    for word in rest:
        if word == valued:
            next(rest, None)
        elif word != plain:
            kept.append(word)
    return kept


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
