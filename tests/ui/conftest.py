"""A photo to bring along."""

from pathlib import Path

import pytest
from skimage import data

from studio.core.images import to_png


@pytest.fixture
def photo(tmp_path) -> Path:
    """A photo of one person, whom anybody may show."""
    path = tmp_path / "astronaut.png"
    path.write_bytes(to_png(data.astronaut()))
    return path
