"""Packs are read whole, cropped and split the same way everywhere."""

import csv
import hashlib
import io
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from studio.train.data import HEAD, Sampler, find_pack, part, read_pack, to_unit


@pytest.fixture
def pack(tmp_path):
    """Ten 50 px pictures, left half black, right half white, with a red middle pixel row."""
    with zipfile.ZipFile(tmp_path / "toy.zip", "w") as archive:
        rows = io.StringIO()
        writer = csv.DictWriter(rows, ["file_name", "class"])
        writer.writeheader()
        for i in range(10):
            pixels = np.zeros((50, 50, 3), np.uint8)
            pixels[:, 25:] = 255
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, "PNG")
            archive.writestr(f"a/{i}.png", buffer.getvalue())
            writer.writerow({"file_name": f"a/{i}.png", "class": "even" if i % 2 == 0 else "odd"})
        archive.writestr("metadata.csv", rows.getvalue())
    return tmp_path


def test_part_is_the_md5_of_the_name():
    for name in ("celeba/000114.jpg", "cat/0000.jpg", "ä.png"):
        assert part(name) == int(hashlib.md5(name.encode()).hexdigest(), 16) % 10


def test_read_keeps_and_resizes(pack):
    even = read_pack("toy", 20, pack, lambda row: row["class"] == "even")
    assert even.images.shape == (5, 3, 20, 20) and even.images.dtype == torch.uint8
    assert even.images[:, :, :, :6].max() <= 2 and even.images[:, :, :, 14:].min() >= 253


def test_box_crops_the_centre(pack):
    whole, head = read_pack("toy", 50, pack), read_pack("toy", 38, pack, box=HEAD)
    assert torch.equal(head.images, whole.images[:, :, 6:44, 6:44])


def test_parts_do_not_overlap_and_cover(pack):
    toy = read_pack("toy", 8, pack)
    names = [{r["file_name"] for r in toy.parts([p]).rows} for p in range(10)]
    assert sum(map(len, names)) == 10 and len(set.union(*names)) == 10


def test_missing_pack_says_where_it_looked(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.zip is not in .*--data"):
        find_pack("nothing", tmp_path)


def test_sampler_is_decided_by_its_generator(pack):
    images = torch.randint(0, 256, (9, 3, 4, 4), dtype=torch.uint8)
    draws = [Sampler([images], torch.Generator().manual_seed(seed)).draw(0, 16) for seed in (3, 3, 4)]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_mixed_draws_come_from_the_sets_they_name():
    sets = [torch.full((3, 3, 2, 2), 50 * k, dtype=torch.uint8) for k in range(4)]
    drawn = Sampler(sets, torch.Generator().manual_seed(0)).draw_mixed(torch.tensor([3, 1, 3, 0]))
    assert torch.equal(drawn[:, 0, 0, 0], to_unit(torch.tensor([150, 50, 150, 0], dtype=torch.uint8)))


def test_to_unit_spans_minus_one_to_one():
    assert to_unit(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1.0, 1.0]
