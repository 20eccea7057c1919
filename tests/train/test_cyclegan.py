"""One animal's networks, cut from the joint ones, answer as the joint ones do for that animal."""

import torch
from torch import nn

from studio.models.cyclegan import Discriminator, Generator, select_domains
from studio.train.critics import FeatureDiscriminator
from studio.train.cyclegan import _select_heads


class Trunk(nn.Module):
    """Stands for MobileNet: maps of its widths at /4, /8 and /16."""

    def forward(self, image):
        maps = [image]
        for width, step in zip(FeatureDiscriminator.widths, (4, 8, 16), strict=True):
            maps.append(image[:, :1, ::step, ::step].expand(-1, width, -1, -1))
        return maps


def randomise(module):
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.3)


def test_selected_generator_equals_the_joint_one():
    joint, alone = Generator(4, 1, 1, domains=4), Generator(4, 1, 1, domains=2)
    randomise(joint)
    alone.load_state_dict(select_domains(joint.state_dict(), [0, 2]))
    image = torch.rand(2, 3, 16, 16)
    one_hot = torch.tensor([[0.0, 1.0, 0.0]] * 2)
    assert torch.allclose(joint(image, 0.7 * one_hot), alone(image, torch.full((2, 1), 0.7)), atol=1e-6)


def test_selected_critics_keep_trunk_and_head_direction():
    image, none = torch.rand(2, 3, 32, 32), torch.zeros(2, dtype=torch.int64)
    for joint, alone in (
        (Discriminator(8, 5), Discriminator(8, 1)),
        (FeatureDiscriminator(Trunk(), 5, 32, 8), FeatureDiscriminator(Trunk(), 1, 32, 8)),
    ):
        randomise(joint)
        joint.train()
        for _ in range(30):  # spectral norm's power iteration settles
            joint(image, none)
        alone.load_state_dict(_select_heads(joint.state_dict(), 3))
        joint.eval(), alone.eval()
        a, b = joint(image, none + 3), alone(image, none)
        # A head alone has its own spectral norm, so its answers are the joint one's up to scale around its bias.
        assert torch.corrcoef(torch.stack([a.flatten(), b.flatten()]))[0, 1] > 0.9


def test_the_frozen_trunk_is_not_part_of_the_state():
    critic = FeatureDiscriminator(Trunk(), 2)
    assert not [k for k in critic.state_dict() if "trunk" in k]
