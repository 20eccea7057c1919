"""The bank's figures against numpy's: 0 for what was learnt, 1 for what is as new as a new photograph."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from studio.metrics.class_score import ANIMAL_JUDGE
from studio.models.judges import Judge
from studio.train import bank
from studio.train.bank import BankTrainer
from studio.train.cyclegan import read_animal
from studio.train.data import MODEL_PARTS, VALIDATION_PARTS, to_unit
from studio.train.export import write_checkpoint
from studio.train.gan import read_faces
from studio.train.loop import run, save_state
from tests.train.conftest import ANIMALS
from tests.train.small import card_in, settings, shipped, store_of


@pytest.fixture
def empty(packs, precise, tmp_path, monkeypatch):
    """A bank to be of 16 px pictures and codes of 16 numbers, judged at 32 px by a judge that nobody trained."""
    torch.manual_seed(0)
    judge = Judge(len(ANIMALS), features=True)
    for conv in judge.modules():
        if isinstance(conv, nn.Conv2d):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
    fields = {"family": "judges", "task": "judge", "resolution": 96, "labels": ANIMALS}
    config = {"outputs": len(ANIMALS), "embedding": 0, "features": True}
    write_checkpoint(tmp_path / "judge", ANIMAL_JUDGE, judge.state_dict(), config=config, **fields)
    store = store_of(tmp_path / "pretrained", tmp_path / "judge")
    monkeypatch.setattr(bank, "default_store", lambda: store)
    for name, value in {"ANIMALS": ANIMALS, "SIZE": 16, "RESOLUTION": 32}.items():
        monkeypatch.setattr(bank, name, value)
    return BankTrainer(settings(packs, tmp_path / "runs" / "originality-64"))


@pytest.fixture
def trainer(empty):
    """The same after its step."""
    empty.step()
    empty.images = empty.images_per_step
    return empty


def test_an_empty_bank_is_neither_measured_nor_shipped(empty):
    with pytest.raises(ValueError, match="The bank is empty"):
        run(empty)
    assert not (empty.settings.out / "export").exists()


def test_a_filled_bank_is_not_filled_again(trainer, monkeypatch):
    trainer.settings.out.mkdir(parents=True)
    save_state(trainer, trainer.settings.out)
    again = BankTrainer(replace(trainer.settings, minutes=1.0))
    monkeypatch.setattr(again, "step", lambda: pytest.fail("it was filled"))
    run(again)
    assert torch.equal(again.bank.codes, trainer.bank.codes) and torch.equal(again.bank.unit, trainer.bank.unit)


def pictures(trainer, parts):
    """Of faces and of each animal, in [-1, 1]."""
    data = trainer.settings
    sets = [read_faces(16, data.data, parts)[0], *(read_animal(animal, 16, data, parts).images for animal in ANIMALS)]
    return [to_unit(images) for images in sets]


def distances(first, second):
    return np.linalg.norm(first[:, None] - second[None], axis=2)


def test_every_learnt_picture_has_one_code_and_is_none_of_its_own_invention(trainer):
    learnt = pictures(trainer, MODEL_PARTS)
    assert len(trainer.bank.codes) == sum(len(images.unique(dim=0)) for images in learnt)
    found = torch.cat([trainer.bank(images) for images in learnt])
    assert found.max() < 0.02 and trainer.bank.unit.min() > 0


def test_codes_are_the_principal_components_of_features(trainer):
    learnt = torch.cat([images.unique(dim=0) for images in pictures(trainer, MODEL_PARTS)])
    features = trainer.bank.places(learnt).double().numpy()
    centred = features - features.mean(0)
    _, _, rows = np.linalg.svd(centred, full_matrices=False)
    expected = distances(centred @ rows[:16].T, centred @ rows[:16].T)
    found = trainer.bank.encode(learnt).numpy()
    assert np.allclose(distances(found, found), expected, rtol=1e-2, atol=1e-2 * expected.max())


def test_a_kinds_unit_is_how_far_its_new_pictures_typically_are(trainer):
    """The middle one of the new ones' distances to the nearest code of their kind, as they are or mirrored."""
    start = 0
    for learnt, new in zip(pictures(trainer, MODEL_PARTS), pictures(trainer, VALIDATION_PARTS), strict=True):
        count = len(learnt.unique(dim=0))
        codes, unit = trainer.bank.codes[start : start + count].numpy(), trainer.bank.unit[start : start + count]
        start += count
        sides = [distances(trainer.bank.encode(images).numpy(), codes) for images in (new, new.flip(3))]
        nearest = np.sort(np.minimum(*sides).min(1))
        assert unit.unique().numel() == 1
        assert unit[0].item() == pytest.approx(nearest[(len(nearest) - 1) // 2], rel=1e-3)


def test_a_mirrored_copy_is_a_copy(trainer):
    learnt = pictures(trainer, MODEL_PARTS)[0]
    assert torch.allclose(trainer.bank(learnt.flip(3)), trainer.bank(learnt), atol=1e-3)


def test_the_figures_for_the_card_are_medians(trainer):
    measures = trainer.evaluate()
    new = [trainer.bank(images) for images in pictures(trainer, VALIDATION_PARTS)]
    assert measures["new_faces"] == pytest.approx(new[0].median().item(), abs=1e-3)
    assert measures["new_animals"] == pytest.approx(torch.cat(new[1:]).median().item(), abs=1e-3)
    assert measures["learnt_faces"] < 0.01 < measures["new_faces"] <= 1
    assert trainer.grid().size[1] == 18 * ((len(new[0]) + 11) // 12)


def test_it_is_shipped_without_the_judge_and_finds_the_same(trainer, tmp_path):
    trainer.export(trainer.evaluate())
    export = trainer.settings.out / "export"
    card = card_in(export, "originality-64")
    assert (card.task, card.base["id"], card.domains) == ("originality", ANIMAL_JUDGE, ("face", *ANIMALS))
    assert card.training["pictures"] == len(trainer.bank.codes) and card.size < 300_000
    bank_again = shipped(store_of(tmp_path / "pretrained", export), "originality-64")
    for parts in (MODEL_PARTS, VALIDATION_PARTS):
        images = torch.cat(pictures(trainer, parts))
        assert torch.allclose(bank_again(images), trainer.bank(images), atol=0.02)
