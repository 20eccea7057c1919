"""People among faces: where their places are, that what E leaves is what G needs, and that files hold no more than faces lack."""

from dataclasses import replace

import pytest
import torch

from studio.core.registry import Registry
from studio.models.cvaegan import PARTS
from studio.train import cvaegan, people
from studio.train.cvaegan import INFIXES
from studio.train.data import to_unit
from studio.train.export import ship, write_checkpoint
from studio.train.loop import run
from studio.train.people import PeopleTrainer
from tests.train.small import NAMES, Trunk, settings, shipped, store_of, write_pack

CONFIG = {"conditions": 40, "width": 2, "most": 2, "resolution": 16}


@pytest.fixture
def trainer(tmp_path, precise, monkeypatch):
    """Four people, and networks of faces as they are born."""
    torch.manual_seed(0)
    for name, value in {"MEASURED": 40, "BATCH": 20, "imagenet_trunk": lambda data: Trunk().eval()}.items():
        monkeypatch.setattr(cvaegan, name, value)
    monkeypatch.setattr(people, "BATCH", 20)
    write_pack(tmp_path, "faces128", [{"file_name": f"{i}.png", "identity": str(i % 4)} for i in range(120)])
    for part, infix in INFIXES.items():
        config = CONFIG | ({} if part == "classifier" else {"latent": 6})
        tensors = PARTS[part](**config).state_dict()
        fields = {"family": "cvaegan", "task": "t", "resolution": 16, "config": config | {"part": part}, "labels": NAMES}
        write_checkpoint(tmp_path / "faces", f"cvaegan-{infix}faces-16", tensors, **fields)
    store = store_of(tmp_path / "pretrained", tmp_path / "faces")
    monkeypatch.setattr(people, "default_store", lambda: store)
    return PeopleTrainer(settings(tmp_path, tmp_path / "runs" / "cvaegan-people-16"), 16)


def test_a_person_is_at_the_mean_of_what_is_found_of_the_photos(trainer):
    trainer.step()
    photos = to_unit(trainer.images_of[trainer.labels_of[:, 2] == 1])
    codes, attributes, _ = trainer._look(torch.cat([photos, photos.flip(3)]))
    places = trainer.ema["generator"].places
    assert torch.allclose(places.codes[2], codes.mean(0), atol=1e-5)
    assert torch.allclose(places.attributes[2], attributes.mean(0), atol=1e-5)
    assert torch.allclose(places.narrow @ places.spread, torch.eye(6), atol=1e-4)


def test_what_is_left_of_a_photo_is_normal_and_gives_it_back(trainer):
    trainer.step()
    photos, labels = to_unit(trainer.images_of), trainer.labels_of
    encoder, generator = trainer.ema["encoder"], trainer.ema["generator"]
    found = encoder(photos, labels)
    assert found["mean"].mean(0).abs().max() < 0.5 and 0 < found["mean"].std(0).max() < 1.2
    faces = super(type(encoder), encoder).forward(photos, labels @ encoder.places.attributes)
    expected = generator.draw(torch.cat([faces["mean"], labels @ generator.places.attributes], 1))
    assert torch.allclose(generator(found["mean"], labels), expected, atol=1e-4)


def test_it_ends_after_a_step_and_ships_what_faces_lack(trainer):
    trainer.settings = replace(trainer.settings, minutes=1.0)
    measures = run(trainer)
    assert trainer.steps == 1 and measures["accuracy"] >= 0
    store = people.default_store()
    ship(trainer.settings.out / "export", store.registry)
    for part, infix in INFIXES.items():
        card = Registry(store.registry.index).card(f"cvaegan-{infix}people-16")
        assert card.labels == ("person 1", "person 2", "person 3", "person 4") and card.domains == ("person",)
        assert card.frame == "head" and card.base["id"] == f"cvaegan-{infix}faces-16" and card.config["part"] == part
        assert card.size < store.registry.base(card).size
    photos = to_unit(trainer.held_out.images)
    codes, answers = trainer.found(photos)
    condition = answers.softmax(1)
    generator, encoder, classifier = (shipped(store, f"cvaegan-{infix}people-16") for infix in INFIXES.values())
    assert torch.allclose(classifier(photos)["logits"], answers, atol=0.1)
    assert torch.allclose(encoder(photos, condition)["mean"], codes, atol=0.1)
    assert torch.allclose(generator(codes, condition), trainer.drawn(codes, condition), atol=0.05)
