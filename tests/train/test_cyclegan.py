"""One animal's generator, cut from the joint one, answers as the joint one does; the losses look at the right head."""

import torch

from studio.models.cyclegan import Generator, select_domains
from studio.models.judges import MobileNet
from studio.train.critics import FeatureDiscriminator
from studio.train.cyclegan import _towards


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


def test_the_frozen_trunk_is_not_part_of_the_state():
    critic = FeatureDiscriminator(MobileNet(), 2)
    assert not [k for k in critic.state_dict() if "trunk" in k]


def test_loss_reads_only_the_pictures_own_head():
    fine, coarse = torch.zeros(2, 3, 50), torch.zeros(2, 3, 1)
    fine[0, 1], fine[1, 2] = 1.0, 0.5
    assert _towards([fine], torch.tensor([1, 2]), 1.0).item() == 0.125
    assert _towards([fine, coarse], torch.tensor([1, 2]), 1.0).item() == (0.125 + 1.0) / 2
    assert _towards([fine, coarse], torch.tensor([0, 0]), 0.0).item() == 0.0
