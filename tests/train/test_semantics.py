"""The extractors that hold translations down: where a face goes, what is learnt of whom, and how many channels say it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from studio.core.faces import FRAMES
from studio.models.judges import Judge, MobileNet
from studio.train import semantics
from studio.train.data import MODEL_PARTS, VALIDATION_PARTS, part
from studio.train.semantics import (
    ATTRIBUTES,
    DEMOGRAPHICS,
    MOBILEFACENET_EYES,
    MOBILEFACENET_SIZE,
    AttributeReader,
    AttributeTrainer,
    CarReader,
    CarTrainer,
    DemographicsReader,
    DemographicsTrainer,
    FixedPReLU,
    MakeupReader,
    MobileFaceNet,
    PropertyNetwork,
    PropertyTrainer,
    face_to_mobilefacenet,
    mobilefacenet,
    property_network,
)
from tests.train.small import assert_resumes, changed, go, save, settings, snapshot, write_pack


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two packs of close-ups, one of which knows ages and groups, and two of portraits, some of them of the same photos."""
    folder = tmp_path_factory.mktemp("people")
    groups = semantics.ETHNICITIES
    tight = [{"file_name": f"t{i}.png", "gender": "MF"[i % 2], "age": str(20 + i), "ethnicity": groups[i % 5]} for i in range(60)]
    write_pack(folder, "faces_tight96", tight)
    write_pack(folder, "celeba_face160", [{"file_name": f"{i}.png", "gender": "MF"[i % 2]} for i in range(60)])
    portraits = [{"file_name": f"celeba/{i}.png", "gender": "MF"[i % 2], "source": "celeba"} for i in range(60)]
    write_pack(folder, "faces128", [*portraits, {"file_name": "aaf/1.png", "gender": "M", "source": "aaf"}])
    write_pack(folder, "faces64", [{"file_name": f"s{i}.png", "gender": "F", "source": "celeba"} for i in range(20)])
    return folder


@pytest.fixture
def make(data, precise, monkeypatch, tmp_path):
    torch.manual_seed(0)
    monkeypatch.setattr(PropertyTrainer, "width", 4)
    monkeypatch.setattr(PropertyTrainer, "channels", 16)
    monkeypatch.setattr(PropertyTrainer, "batch", 8)
    monkeypatch.setattr(semantics, "CHANNELS", (2, 8))
    return lambda colours=False: PropertyTrainer(settings(data, tmp_path / "runs" / semantics.RECIPES[colours]), colours)


def test_eyes_go_where_the_identity_network_has_them():
    spots = torch.zeros(1, 3, 128, 128)
    for x, y in FRAMES["face"]:
        spots[..., round(y) - 2 : round(y) + 2, round(x) - 2 : round(x) + 2] = 1
    seen = face_to_mobilefacenet(spots)[0, 0]
    assert seen.shape == MOBILEFACENET_SIZE
    for half, (x, y) in zip(seen.chunk(2, 1), MOBILEFACENET_EYES, strict=True):
        rows, columns = torch.meshgrid(*(torch.arange(n) + 0.5 for n in half.shape), indexing="ij")
        left = 0 if x < 48 else 48
        assert (rows * half).sum() / half.sum() == pytest.approx(y, abs=1)
        assert (columns * half).sum() / half.sum() + left == pytest.approx(x, abs=1)


def test_a_slope_that_learns_nothing_passes_the_same_gradients():
    trained = nn.PReLU(3)
    trained.weight.data = torch.tensor([0.1, -0.4, 1.5])
    x = torch.randn(2, 3, 4, 4, requires_grad=True)
    other = x.detach().clone().requires_grad_(True)
    trained(x).square().sum().backward()
    FixedPReLU(trained)(other).square().sum().backward()
    assert torch.allclose(x.grad, other.grad)


def test_folded_norms_change_nothing(monkeypatch, tmp_path):
    torch.manual_seed(0)
    network = MobileFaceNet().eval()
    for norm in (m for m in network.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.1)
        norm.running_var.uniform_(0.5, 2)
    state = {k: v.clone() for k, v in network.state_dict().items()}
    monkeypatch.setattr(semantics, "load_file", lambda path: state)
    monkeypatch.setattr(semantics, "find_weights", lambda name, data: tmp_path)
    face = torch.rand(1, 3, *MOBILEFACENET_SIZE) * 2 - 1
    wanted = network.maps(face)
    folded = mobilefacenet(None)
    assert wanted.shape == (1, 512, 7, 6)
    assert torch.allclose(folded.maps(face), wanted, atol=1e-4 * float(wanted.abs().max()))
    assert torch.allclose(folded.embedding(wanted), network.embedding(wanted), atol=1e-4)
    assert not any(p.requires_grad for p in folded.parameters())


def test_nobody_is_learnt_from_who_validates_under_another_name(make):
    trainer = make()
    held_out = {i for i in range(60) if part(f"{i}.png") in VALIDATION_PARTS}
    names = [f"celeba/{i}.png" for i in range(60) if part(f"celeba/{i}.png") < 7]
    assert any(int(name[7:-4]) in held_out for name in names)
    own = sum(part(f"{i}.png") < 7 for i in range(60)) + sum(part(f"t{i}.png") < 7 for i in range(60))
    small = sum(part(f"s{i}.png") < 7 for i in range(20))
    assert len(trainer.images_of) == own + small + sum(int(name[7:-4]) not in held_out for name in names)


def test_what_is_not_known_is_not_asked(make):
    answers = {"gender": torch.zeros(2, 1), "age": torch.zeros(2, 1), "ethnicity": torch.zeros(2, 5)}
    target = torch.tensor([[1.0, -1.0, -1.0], [0.0, 0.5, 2.0]])
    assert semantics._errors({name: answer[:1] for name, answer in answers.items()}, target[:1]).keys() == {"gender"}
    both = semantics._errors(answers, target)
    assert both["ethnicity"].item() == pytest.approx(float(torch.tensor(5.0).log()))
    assert both["age"].item() == pytest.approx(5 * float(F.smooth_l1_loss(torch.zeros(1), target[1:, 1], beta=0.05)))


def test_one_of_two_never_sees_a_grey_face(make):
    tinted = torch.zeros(64, 3, 64, 64) + torch.tensor([0.3, -0.3, 0.0]).view(1, 3, 1, 1)
    shares = [(make(colours).augment(tinted).std(1).amax((1, 2)) < 1e-3).float().mean().item() for colours in (False, True)]
    assert shares[0] == pytest.approx(0.5, abs=0.25) and shares[1] == 0


def test_a_step_teaches_the_network(make):
    trainer = make()
    before = snapshot(trainer, "properties")
    assert go(trainer, 2).keys() == {"gender", "age", "ethnicity"}
    assert {name.split(".")[0] for name in changed(before, trainer, "properties")} == {"layers", "norms", "heads"}


def test_table_5_5_leaves_the_network_as_it_is(make):
    trainer = make()
    go(trainer, 1)
    before = {name: value.clone() for name, value in trainer.ema["properties"].state_dict().items()}
    found = trainer.accuracy_by_channels(steps=2)
    assert found.keys() == {"2", "8"} and all(0 <= found[d]["gender"] <= 1 for d in found)
    assert all(torch.equal(value, before[name]) for name, value in trainer.ema["properties"].state_dict().items())


def test_a_run_goes_on_and_leaves_its_average(make, monkeypatch):
    trainer = make()
    go(trainer, 2)
    assert_resumes(trainer, make())
    save(trainer)
    monkeypatch.setattr(PropertyNetwork.__init__, "__defaults__", (4, semantics.REDUCED))
    network = property_network(trainer.settings.out.parent)
    face = torch.rand(2, 3, 64, 64)
    wanted, logit = trainer.ema["properties"].read(face, ("gender",))["gender"]
    # Close, not equal: how threads share the work decides the last bit.
    torch.testing.assert_close(network.read(face, ("gender",))["gender"][0], wanted)
    torch.testing.assert_close(network(face)["gender"], logit)
    assert network.read(face, ("age", "ethnicity"))["age"][0].shape == (2, semantics.REDUCED, 8, 8)


def test_attributes_are_read_of_portraits_of_any_size_by_a_network_that_stays(monkeypatch, tmp_path):
    torch.manual_seed(0)
    judge = Judge(AttributeTrainer.outputs).eval()
    state = {f"ema/judge/{name}": tensor for name, tensor in judge.state_dict().items()}
    asked = []
    monkeypatch.setattr(semantics, "read_state", lambda folder: asked.append(folder) or ({}, state))
    reader = AttributeReader(tmp_path, (39, 3))
    assert asked == [tmp_path / ATTRIBUTES]
    portrait = torch.rand(2, 3, 48, 48, requires_grad=True)
    wide = F.interpolate(portrait, size=(96, 96), mode="bilinear", align_corners=False)
    answer = reader(portrait)
    assert torch.allclose(answer, judge(wide)["logits"][:, [39, 3]], atol=1e-5)
    answer.sum().backward()
    assert portrait.grad.abs().max() > 0 and not any(p.requires_grad for p in reader.parameters())


def test_demographics_are_read_by_property(monkeypatch, tmp_path):
    judge = Judge(DemographicsTrainer.outputs).eval()
    state = {f"ema/judge/{name}": tensor for name, tensor in judge.state_dict().items()}
    monkeypatch.setattr(semantics, "read_state", lambda folder: ({}, state) if folder == tmp_path / DEMOGRAPHICS else None)
    face = torch.rand(2, 3, 96, 96)
    read = DemographicsReader(tmp_path).read(face, ("gender", "age", "ethnicity"))
    assert all(len(answers) == 1 for answers in read.values())
    together = torch.cat([answers[0] for answers in read.values()], 1)
    assert torch.allclose(together, judge(face)["logits"], atol=1e-5)
    assert [answers[0].shape[1] for answers in read.values()] == [1, 1, 5]


def test_cars_are_seen_in_their_own_light(monkeypatch, tmp_path):
    """Of parts 0 to 6, and as dark as they are: what is learnt of them is a colour for each."""
    colours = ("black", "silver", "white")
    rows = [{"colour": colours[i % 3], "file_name": f"{i}.png"} for i in range(60)]
    write_pack(tmp_path, "cars_by_colour128", rows)
    monkeypatch.setattr("studio.train.judges.imagenet_trunk", lambda data, pairs: MobileNet(pairs))
    trainer = CarTrainer(settings(tmp_path, tmp_path / "run"))
    assert trainer.labels == colours and len(trainer.train) == sum(part(row["file_name"]) in MODEL_PARTS for row in rows)
    grey = torch.full((8, 3, 64, 64), 0.25)
    torch.testing.assert_close(trainer.augment(grey), grey)


@pytest.mark.parametrize("reader", [lambda runs: AttributeReader(runs, (0,)), DemographicsReader, MakeupReader, CarReader])
def test_there_is_nothing_to_read_with_before_the_run(tmp_path, reader):
    with pytest.raises(FileNotFoundError, match="train it first"):
        reader(tmp_path)
