import json

import pytest
from torch import nn

from studio.core.registry import Card, Registry, UnknownModel, build
from tests.tiny import HUB, card_of, kin_of


def lion(**changes) -> Card:
    values = {"id": "cyclegan-lion-64", "domains": ("face", "lion"), "task": "translate", "labels": ("a", "b")}
    return card_of(b"", **{**values, **changes})


def test_a_card_survives_the_index(tmp_path):
    card = lion(config={"width": 7}, measures={"accuracy": 0.5}, study="few pictures", hub=HUB)
    registry = Registry(tmp_path / "index.json")
    registry.add(card)
    registry.save()
    assert Registry(tmp_path / "index.json").card(card.id) == card
    assert [f.name for f in tmp_path.iterdir()] == ["index.json"]


def test_an_unsaved_index_stays_as_it_was(tmp_path, monkeypatch):
    registry = Registry(tmp_path / "index.json")
    registry.save()
    before = registry.index.read_text()
    registry.add(lion(measures={"broken": object()}))
    with pytest.raises(TypeError):
        registry.save()
    assert registry.index.read_text() == before


def test_an_unknown_card_names_close_ones():
    registry = Registry.__new__(Registry)
    registry._cards = {c.id: c for c in (lion(), lion(id="judge-animals"))}
    with pytest.raises(UnknownModel) as caught:
        registry.card("cyclegan-lion-46")
    assert str(caught.value) == "There is no model 'cyclegan-lion-46'; there is cyclegan-lion-64."


def test_models_are_listed_by_pattern_and_task(tmp_path):
    registry = Registry(tmp_path / "index.json")
    for card in (lion(), lion(id="judge-animals", task="judge"), lion(id="cyclegan-bear-64")):
        registry.add(card)
    assert [c.id for c in registry.list_models()] == ["cyclegan-bear-64", "cyclegan-lion-64", "judge-animals"]
    assert [c.id for c in registry.list_models("*lion*")] == ["cyclegan-lion-64"]
    assert [c.id for c in registry.list_models(task="judge")] == ["judge-animals"]


def test_a_removed_card_is_gone(tmp_path):
    registry = Registry(tmp_path / "index.json")
    registry.add(lion())
    registry.remove(lion().id)
    with pytest.raises(UnknownModel, match="none yet"):
        registry.card(lion().id)


@pytest.mark.parametrize("name", ["../lion.safetensors", "/etc/lion.safetensors", "a/lion.safetensors", "lion.pt", "lion.pkl"])
def test_a_file_outside_the_folder_or_of_another_kind_is_refused(name):
    with pytest.raises(ValueError, match=r"not a plain \.safetensors"):
        Card.from_dict(lion(file=name).to_dict())


def test_unknown_and_missing_fields_are_refused():
    with pytest.raises(ValueError, match="colour"):
        Card.from_dict({**lion().to_dict(), "colour": "red"})
    with pytest.raises(ValueError, match="incomplete"):
        Card.from_dict({"id": "a"})


@pytest.mark.parametrize("hub", [{}, {"repo_id": "a/b"}, {**HUB, "branch": "main"}])
def test_a_hub_entry_names_exactly_where_the_file_is(hub):
    with pytest.raises(ValueError, match="filename, repo_id, revision"):
        Card.from_dict({**lion().to_dict(), "hub": hub})


@pytest.mark.parametrize("base", [{}, {"id": "tiny"}, {"id": "tiny", "sha256": "0", "rank": 1}])
def test_a_base_is_named_with_its_very_weights(base):
    with pytest.raises(ValueError, match="id, sha256"):
        Card.from_dict({**lion().to_dict(), "base": base})


def registry_of(tmp_path, *cards) -> Registry:
    registry = Registry(tmp_path / "index.json")
    for card in cards:
        registry.add(card)
    registry.save()
    return Registry(tmp_path / "index.json")


def test_a_base_survives_the_index_and_is_found(tmp_path):
    tiny = card_of(b"", id="tiny")
    registry = registry_of(tmp_path, tiny, kin_of(tiny))
    assert registry.card("kin").base == {"id": "tiny", "sha256": tiny.sha256}
    assert registry.base(registry.card("kin")) == tiny and registry.base(tiny) is None


def test_other_weights_of_a_base_or_none_are_refused(tmp_path):
    tiny = card_of(b"", id="tiny")
    with pytest.raises(UnknownModel, match="kin belongs to other weights of tiny .*: update the studio."):
        registry_of(tmp_path, card_of(b"newer", id="tiny")).base(kin_of(tiny))
    (tmp_path / "index.json").unlink()
    with pytest.raises(UnknownModel, match="There is no model 'tiny'"):
        registry_of(tmp_path).base(kin_of(tiny))


def test_cards_come_after_their_bases_each_once(tmp_path):
    tiny = card_of(b"", id="tiny")
    kin, other = kin_of(tiny), kin_of(tiny, id="other")
    registry = registry_of(tmp_path, tiny, kin, other, lion())
    assert registry.with_bases([kin, lion(), other, tiny]) == [tiny, kin, lion(), other]


def test_an_index_of_another_version_is_refused(tmp_path):
    (tmp_path / "index.json").write_text(json.dumps({"version": 99, "cards": []}))
    with pytest.raises(ValueError, match="version 99"):
        Registry(tmp_path / "index.json")


def test_a_family_builds_with_the_cards_config():
    network = build(card_of(b"", config={"width": 5}))
    assert isinstance(network, nn.Module) and network[0].out_features == 5


@pytest.mark.parametrize("family", ["no_such_family", "os.path", "../evil"])
def test_a_family_that_nobody_builds_is_refused(family):
    with pytest.raises(UnknownModel):
        build(card_of(b"", family=family))
