"""The judges' network."""

import torch

from studio.models.judges import Judge, MobileNet


def test_answers_are_what_the_config_asks_for():
    image = torch.rand(2, 3, 64, 64)
    answers = Judge(outputs=5, embedding=8, features=True).eval()(image)
    assert answers["logits"].shape == (2, 5)
    assert torch.allclose(answers["embedding"].norm(dim=1), torch.ones(2), atol=1e-5)
    shapes = [tuple(answers[f"features_{i}"].shape[1:]) for i in range(4)]
    assert shapes == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    assert set(Judge(outputs=5).eval()(image)) == {"logits"}


def test_stride_two_pads_right_and_bottom_only():
    """TensorFlow's 'same' padding: a first convolution that picks its first tap must see the first pixel, not padding."""
    trunk = MobileNet().eval()
    with torch.no_grad():
        trunk.conv1.weight.zero_()
        trunk.conv1.weight[:, 0, 0, 0] = 1.0
    image = torch.zeros(1, 3, 32, 32)
    image[0, 0, 0, 0] = 1.0
    out = trunk._apply_pair("conv1", image)
    assert out.shape[-2:] == (16, 16) and out[0, 0, 0, 0] > 0.9 and out[0, 0].sum() == out[0, 0, 0, 0]
