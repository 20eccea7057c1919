from dataclasses import replace

import numpy as np
import pytest
import torch

from studio.core import backends
from studio.core.backends import ROWS_PER_PASS, Choice, TorchForm, choose, compute, deviation, prepare, probes
from studio.core.registry import build
from tests.engines import store_of_three

CPU = torch.device("cpu")
SHAPES = (("image", (3, 12, 12)), ("strength", (16,)))


@pytest.fixture
def card(tmp_path):
    return store_of_three(tmp_path).registry.card("mixer")


@pytest.fixture
def module(card):
    torch.manual_seed(0)
    return build(card).eval().requires_grad_(False)


def plain_outputs(module, count: int = 1) -> list:
    return [TorchForm(module, CPU, None)(arrays) for arrays in probes(SHAPES)[:count]]


class _Named(torch.nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, image):
        return self.inner(image)


class Off(TorchForm):
    """A form that is off by a constant."""

    def __init__(self, module, by: float):
        super().__init__(module, CPU, None)
        self.precision, self.by = "off", by

    def __call__(self, arrays):
        return {name: value + np.float32(self.by) for name, value in super().__call__(arrays).items()}


def test_probes_are_fixed_smooth_pictures_and_numbers():
    first, again = probes(SHAPES), probes(SHAPES)
    assert all(np.array_equal(a[name], b[name]) for a, b in zip(first, again, strict=True) for name in a)
    image = first[0]["image"]
    assert image.shape == (1, 3, 12, 12) and np.abs(image).max() <= 1
    assert np.abs(np.diff(image)).mean() < 0.5 * np.abs(image - image[..., ::-1]).mean()
    assert first[0]["strength"].min() >= 0 and not np.array_equal(first[0]["image"], first[1]["image"])


@pytest.mark.parametrize(
    ("mean", "tail", "good"), [(0.9, 0.9, True), (1.1, 1.1, False), (0.1, 3.9, True), (0.1, 4.1, False), (np.nan, 0, False)]
)
def test_a_picture_may_be_off_by_1_of_255_on_average_and_4_at_the_tail(mean, tail, good):
    reference = np.zeros((1, 3, 100, 100), np.float32)
    outputs = np.full_like(reference, mean * 2 / 255)
    outputs.ravel()[:60] = tail * 2 / 255
    assert (deviation([{"": outputs}], [{"": reference}]) is None) == good


@pytest.mark.parametrize(("error", "good"), [(0.019, True), (0.021, False), (np.inf, False)])
def test_other_outputs_may_be_off_by_2_percent_of_their_range(error, good):
    reference = [{"logits": np.array([[0.0, 5.0]], np.float32)}, {"logits": np.array([[10.0, 0.0]], np.float32)}]
    outputs = [{"logits": arrays["logits"] + np.float32(10 * error)} for arrays in reference]
    assert (deviation(outputs, reference) is None) == good


def test_the_fastest_good_form_is_taken_and_the_others_are_accounted_for(module, monkeypatch):
    def make(name):
        if name == "broken fp8":
            raise RuntimeError("no such\ninstruction")
        return Off(module, {"far bf8": 1.0, "near bf16": 1e-4}[name])

    monkeypatch.setattr(backends, "make_forms", lambda *rest: make)
    monkeypatch.setattr(backends, "candidates", lambda device: ["broken fp8", "far bf8", "near bf16"])
    choice = choose(module, SHAPES, CPU)
    assert choice.form.by == 1e-4
    assert choice.note.startswith("broken fp8 failed (no such); far bf8 differs from fp32 by ")
    monkeypatch.setattr(backends, "candidates", lambda device: ["far bf8"])
    assert choose(module, SHAPES, CPU).form.precision == "torch fp32"


def test_every_form_of_this_machine_computes_the_network(module):
    reference = plain_outputs(module, 4)
    names = [*backends.candidates(CPU), "torch fp32"]
    make = backends.make_forms(module, CPU, probes(SHAPES)[0], list(reference[0]))
    for name in names:
        form = make(name)
        assert form.precision == name
        assert deviation([form(arrays) for arrays in probes(SHAPES)], reference) is None, name


def test_the_company_changes_no_bit_in_any_form(module):
    generator = np.random.default_rng(0)
    arrays = {name: generator.uniform(-1, 1, (6, *shape)).astype(np.float32) for name, shape in SHAPES}
    make = backends.make_forms(module, CPU, probes(SHAPES)[0], ["picture", "logits"])
    for name in backends.candidates(CPU):
        form = make(name)
        together = compute(form, arrays, ROWS_PER_PASS["cpu"])
        for i in (5, 0, 2):
            alone = compute(form, {key: array[i : i + 1] for key, array in arrays.items()}, ROWS_PER_PASS["cpu"])
            assert all(np.array_equal(alone[key][0], together[key][i]) for key in together), name


def test_fewer_bits_are_further_off(module):
    """Guards the mixed form: first convolutions in fp32 are there to bring bf16 nearer to fp32."""
    reference = plain_outputs(module)[0]["picture"]
    errors, make = [], backends.make_forms(module, CPU, probes(SHAPES)[0], ["picture", "logits"])
    for name in ("openvino fp32", "openvino mixed", "openvino bf16"):
        if name in backends.candidates(CPU):
            errors.append(np.abs(make(name)(probes(SHAPES)[0])["picture"] - reference).mean())
    assert errors == sorted(errors) and len(set(errors)) == len(errors)


def test_a_network_too_small_to_cut_does_without_the_mixed_form():
    example = {"image": probes(SHAPES)[0]["image"]}
    model = backends.convert_openvino(_Named(torch.nn.Conv2d(3, 3, 1)).requires_grad_(False), example)
    with pytest.raises(ValueError, match="too few convolutions"):
        backends.compile_openvino(model, ["image"], [""], "mixed")


@pytest.mark.parametrize("form", ["torch fp32", "openvino fp32", "openvino mixed"])
def test_a_kept_form_gives_the_bits_of_the_first(module, card, tmp_path, monkeypatch, form):
    monkeypatch.setattr(backends, "candidates", lambda device: [form])
    first = prepare(module, card, SHAPES, CPU, tmp_path)
    monkeypatch.setattr(backends, "choose", lambda *rest: pytest.fail("the kept form was not used"))
    again = prepare(module, card, SHAPES, CPU, tmp_path)
    arrays = probes(SHAPES)[2]
    assert again.form.precision == first.form.precision == form
    assert all(np.array_equal(again.form(arrays)[name], value) for name, value in first.form(arrays).items())


def test_a_choice_of_torch_and_its_note_are_kept_too(module, card, tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "choose", lambda *rest: Choice(TorchForm(module, CPU, None), "all others differ"))
    prepare(module, card, SHAPES, CPU, tmp_path)
    monkeypatch.setattr(backends, "choose", lambda *rest: pytest.fail("the kept form was not used"))
    again = prepare(module, card, SHAPES, CPU, tmp_path)
    assert (again.form.precision, again.note) == ("torch fp32", "all others differ")


@pytest.mark.parametrize("change", ["weights", "shapes", "versions"])
def test_a_kept_form_serves_only_what_it_was_made_for(module, card, tmp_path, monkeypatch, change):
    made = []
    monkeypatch.setattr(backends, "choose", lambda *rest: (made.append(1), Choice(TorchForm(module, CPU, None), ""))[1])
    prepare(module, card, SHAPES, CPU, tmp_path)
    prepare(module, card, SHAPES, CPU, tmp_path)
    assert len(made) == 1
    if change == "versions":
        monkeypatch.setattr(torch, "__version__", "99")
    other = replace(card, sha256="0" * 64) if change == "weights" else card
    prepare(module, other, (("image", (3, 16, 16)), SHAPES[1]) if change == "shapes" else SHAPES, CPU, tmp_path)
    assert len(made) == 2


def test_a_kept_form_heeds_every_file_that_a_layer_comes_from(module, card, monkeypatch):
    before = backends._fingerprint(module, card, SHAPES)
    assert backends._fingerprint(module, card, SHAPES) == before
    assert backends._fingerprint(module, replace(card, base={"id": "base", "sha256": "0"}), SHAPES) != before
    layer = type(next(child for child in module.modules() if not list(child.children())))
    source = backends.inspect.getsourcefile
    monkeypatch.setattr(backends.inspect, "getsourcefile", lambda kind: __file__ if kind is layer else source(kind))
    assert backends._fingerprint(module, card, SHAPES) != before


def test_the_cache_is_bounded(module, card, tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "choose", lambda *rest: Choice(TorchForm(module, CPU, None), ""))
    monkeypatch.setattr(backends, "CACHE_BYTES", 1000)
    for i in range(20):
        prepare(module, replace(card, sha256=f"{i:064}"), SHAPES, CPU, tmp_path)
    assert 1 < len(list(tmp_path.glob("*.form"))) < 10


def test_outputs_must_keep_the_batch():
    with pytest.raises(ValueError, match="batch size"):
        compute(lambda arrays: {"": np.float32([1, 2])}, {"image": np.ones((1, 2), np.float32)}, 1)
