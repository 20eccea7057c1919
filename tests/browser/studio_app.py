"""Runs the studio as ``app.py`` does, on stand-in checkpoints: ``python studio_app.py FOLDER [flags of app.py]``."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))


def main() -> None:
    from studio.ui.serve import parse, private_cache

    folder, settings = Path(sys.argv[1]), parse(sys.argv[2:])
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    private_cache()
    from studio.core.engine import Engine
    from studio.core.workspace import Workspaces
    from studio.ui.serve import serve
    from studio.ui.session import Backstage
    from tests.ui.painted import add_domains, add_makeup
    from tests.ui.stand_ins import add_generators, stand_in_store

    folder.mkdir(parents=True, exist_ok=True)
    store = stand_in_store(folder, on_hub=True)
    add_generators(store)
    add_makeup(store)
    add_domains(store)
    workspaces = Workspaces(public=settings.public)
    serve(Backstage(lambda: Engine("cpu", store=store), workspaces, store.registry, settings.personal), settings)


if __name__ == "__main__":
    main()
