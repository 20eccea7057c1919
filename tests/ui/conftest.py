"""A photo to bring along, and a place for what is served."""

from pathlib import Path

import pytest
from skimage import data

from studio.core.images import to_png


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> None:
    """What the page serves goes where pytest clears up."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))


@pytest.fixture
def photo(tmp_path) -> Path:
    """A photo of one person, whom anybody may show."""
    path = tmp_path / "astronaut.png"
    path.write_bytes(to_png(data.astronaut()))
    return path
