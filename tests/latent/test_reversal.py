"""Reversal on generators whose inverse is known."""

import pytest
import torch
import torch.nn.functional as F

from studio.latent.reversal import invert, perceived, psnr, reverse, reverse_until_told_apart, squared_error

torch.manual_seed(0)
MATRIX = torch.linalg.qr(torch.randn(48, 6))[0]


def linear(code: torch.Tensor) -> torch.Tensor:
    """Codes (B, 6) -> pictures (B, 3, 4, 4), an isometry."""
    return (code @ MATRIX.T).view(-1, 3, 4, 4)


def last(steps):
    return list(steps)[-1]


def test_plain_descent_follows_the_closed_form():
    """On an isometry eta shrinks the error by 1 - 2 eta / 48 a step."""
    code = torch.randn(2, 6)
    result = last(reverse(linear, linear(code), torch.zeros(2, 6), steps=30, rate=4.0))
    assert torch.allclose(result.code, code * (1 - (1 - 8 / 48) ** 30), atol=1e-5)
    assert result.step == 30


@pytest.mark.parametrize("pictures", [1, 3])
def test_invert_finds_the_code_and_each_picture_its_own(pictures):
    code = torch.randn(pictures, 6)
    result = last(invert(linear, linear(code), torch.zeros(pictures, 6), steps=20, distance=squared_error))
    assert torch.allclose(result.code, code, atol=1e-2)
    assert (result.psnr > 40).all()


def test_the_best_is_kept_when_steps_overshoot():
    code = torch.randn(2, 6)
    steps = list(reverse(linear, linear(code), code + 0.01, steps=5, rate=100.0))
    assert all(torch.equal(step.code, steps[0].code) for step in steps)


def test_a_descent_that_breaks_down_keeps_the_best_before():
    """At this rate the numbers overflow."""
    code = torch.randn(2, 6)
    result = last(reverse(linear, linear(code), torch.zeros(2, 6), steps=30, rate=1e6))
    assert torch.equal(result.code, torch.zeros(2, 6)) and torch.isfinite(result.loss).all()


def test_the_start_is_left_alone_and_is_the_first_answer():
    start = torch.randn(1, 6)
    kept = start.clone()
    first, *_ = invert(linear, linear(torch.zeros(1, 6)), start, steps=3, distance=squared_error)
    assert torch.equal(start, kept) and torch.equal(first.code, kept) and first.step == 0


def test_psnr_is_that_of_the_definition():
    image, target = torch.full((1, 3, 2, 2), 0.5), torch.zeros(1, 3, 2, 2)
    assert float(psnr(image, target)) == pytest.approx(10 * torch.log10(torch.tensor(4 / 0.25)).item(), abs=1e-4)


def test_the_two_sample_stop_ends_where_the_codes_of_real_and_made_pictures_part():
    real, made = linear(torch.randn(5, 6) + 3), linear(torch.randn(5, 6))
    seen = []

    def told_apart(first, second):
        seen.append((first, second))
        return bool((first.mean() - second.mean()).abs() > 1)

    steps = list(reverse_until_told_apart(linear, real, made, torch.zeros(10, 6), told_apart, most=50, rate=4.0))
    assert 0 < steps[-1].step < 50 and steps[-1].step == len(steps) - 1 == len(seen) - 1
    assert not any(float((a.mean() - b.mean()).abs()) > 1 for a, b in seen[:-1])
    plain = last(reverse(linear, real, torch.zeros(5, 6), steps[-1].step, rate=4.0))
    assert torch.allclose(steps[-1].code[:5], plain.code)


def test_a_test_that_never_tells_ends_with_the_steps():
    picture = linear(torch.zeros(2, 6))
    steps = list(reverse_until_told_apart(linear, picture, picture, torch.randn(4, 6), lambda a, b: False, most=3))
    assert [step.step for step in steps] == [0, 1, 2, 3]


def trunk(image):
    """One map of a quarter of the side."""
    return [F.avg_pool2d(image, 2)]


def test_perceived_adds_what_maps_see_to_the_pixels():
    photo, image = torch.rand(1, 3, 4, 4), torch.rand(2, 3, 4, 4)
    apart = F.normalize(F.avg_pool2d(image, 2)) - F.normalize(F.avg_pool2d(photo, 2))
    wanted = squared_error(image, photo) + 0.5 * apart.square().sum(1).mean((1, 2))
    assert torch.allclose(perceived(trunk, photo, 0.5)(image, photo), wanted)


def test_nothing_in_a_hole_is_perceived():
    photo, image, known = torch.rand(1, 3, 4, 4), torch.rand(2, 3, 4, 4), torch.ones(1, 1, 4, 4)
    known[:, :, 1, 1] = 0
    distance = perceived(trunk, photo, 0.5, known)
    other = image.clone()
    other[:, :, 1, 1] = 9.0
    assert torch.allclose(distance(image, photo)[1], distance(image[1:], photo)[0])  # each on its own
    assert torch.equal(perceived(trunk, photo, 0.0, known)(other, photo), perceived(trunk, photo, 0.0, known)(image, photo))
    assert torch.equal(distance(other, photo), distance(image, photo))
    other[:, :, 3, 3] = 9.0
    assert (distance(other, photo) > distance(image, photo)).all()


def test_a_prior_holds_codes_back():
    code = torch.randn(2, 6)
    start = torch.zeros(2, 6)
    free = last(invert(linear, linear(code), start, steps=20, distance=squared_error))
    held = last(invert(linear, linear(code), start, 20, squared_error, prior=lambda z: 0.1 * z.square().mean(1)))
    assert (held.code.norm(dim=1) < free.code.norm(dim=1)).all() and (held.code.norm(dim=1) > 0).all()
