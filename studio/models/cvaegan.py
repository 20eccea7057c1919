"""CVAE-GAN (Bao et al. 2017): a picture x is drawn from what it is called, c, and from all else, z, so that either may change.

The encoder finds z of a photo whose c is known, the generator draws any z with any c, and the classifier tells the c of a photo.
For faces c is many attributes at once, each in [-1, 1] with 0 for unknown; for everything else the shares of the classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from studio.core.registry import register_model
from studio.models import xgan
from studio.models.xgan import START, Downwards

LOG_VARIANCES = (-8.0, 4.0)


class Generator(nn.Module):
    """G: X-GAN's generator, from z and c side by side.

    Args:
        latent: numbers Z in z.
        conditions: numbers K in c.
        width: channels of the maps of half the side. most: of the narrowest maps, times ``width``.
        resolution: side of the picture in px, a power of two.
    """

    def __init__(self, latent: int, conditions: int, width: int = 32, resolution: int = 64, most: int = 4):
        super().__init__()
        self.draw = xgan.Generator(latent + conditions, width, resolution, most)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """``latent`` (B, Z) and ``condition`` (B, K) -> (B, 3, R, R) in [-1, 1]."""
        return self.draw(torch.cat([latent, condition], 1))


class Encoder(nn.Module):
    """E: strided convolutions; c joins what they found at the last layer (section 5). Arguments as of :class:`Generator`."""

    def __init__(self, latent: int, conditions: int, width: int = 32, resolution: int = 64, most: int = 4):
        super().__init__()
        self.down = Downwards(width, resolution, most)
        self.posterior = nn.Linear(self.down.channels * START**2 + conditions, 2 * latent)

    def forward(self, image: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1], ``condition`` (B, K) -> of q(z | x, c) ``mean``, ``log_variance`` (B, Z)."""
        found = self.down(image)[-1].flatten(1)
        mean, log_variance = self.posterior(torch.cat([found, condition.to(found.dtype)], 1)).float().chunk(2, 1)
        return {"mean": mean, "log_variance": log_variance.clamp(*LOG_VARIANCES)}


class Classifier(nn.Module):
    """C: what a picture shows; ``feature`` is f_C, the input of its last layer. With one answer it is D, and that is f_D."""

    def __init__(self, conditions: int, width: int = 32, resolution: int = 64, most: int = 4):
        super().__init__()
        self.down = Downwards(width, resolution, most)
        self.answer = nn.Linear(self.down.channels * START**2, conditions)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1] -> ``logits`` (B, K), of sigmoids or a softmax; ``feature`` (B, F)."""
        return self.look(image)[1]

    def look(self, image: Tensor) -> tuple[list[Tensor], dict[str, Tensor]]:
        """The maps after each layer, (B, C, h, w), and what :meth:`forward` says."""
        maps = self.down(image)
        feature = maps[-1].flatten(1)
        return maps, {"logits": self.answer(feature), "feature": feature}


class Places(nn.Module):
    """Where people are among faces: each at a mean code, with mean attributes; what differs between photos of one is a normal z.

    A face's code is codes[person] + spread z, and z is narrow (code - codes[person]). A mix of people is at their weighted mean.

    Args:
        people: how many. latent: numbers Z in a code. conditions: attributes K of a face.
    """

    def __init__(self, people: int, latent: int, conditions: int):
        super().__init__()
        self.register_buffer("codes", torch.zeros(people, latent))
        self.register_buffer("attributes", torch.zeros(people, conditions))
        self.register_buffer("spread", torch.eye(latent))
        self.register_buffer("narrow", torch.eye(latent))


class PeopleGenerator(Generator):
    """The generator of faces, told who it is instead of what is seen of a face."""

    def __init__(self, people: int, latent: int, conditions: int, **config: int):
        super().__init__(latent, conditions, **config)
        self.places = Places(people, latent, conditions)

    def forward(self, latent: Tensor, condition: Tensor) -> Tensor:
        """``latent`` (B, Z) and shares of people ``condition`` (B, P), which sum to 1 -> (B, 3, R, R) in [-1, 1]."""
        code = condition @ self.places.codes + latent @ self.places.spread.T
        return super().forward(code, condition @ self.places.attributes)


class PeopleEncoder(Encoder):
    """The encoder of faces, told who it is: what is left to say of a photo."""

    def __init__(self, people: int, latent: int, conditions: int, **config: int):
        super().__init__(latent, conditions, **config)
        self.places = Places(people, latent, conditions)

    def forward(self, image: Tensor, condition: Tensor) -> dict[str, Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1], shares of people (B, P) -> of q(z | x, c) ``mean``, ``log_variance`` (B, Z)."""
        found = super().forward(image, condition @ self.places.attributes)
        narrow = self.places.narrow.float()
        mean = (found["mean"] - (condition @ self.places.codes).float()) @ narrow.T
        log_variance = (found["log_variance"].exp() @ narrow.square().T).log()
        return {"mean": mean, "log_variance": log_variance.clamp(*LOG_VARIANCES)}


class PeopleClassifier(Classifier):
    """The classifier of attributes, whose feature says who it is."""

    def __init__(self, people: int, conditions: int, **config: int):
        super().__init__(conditions, **config)
        self.person = nn.Linear(self.answer.in_features, people)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """``image`` (B, 3, R, R) in [-1, 1] -> ``logits`` (B, P) of a softmax over people; ``feature`` (B, F)."""
        feature = super().forward(image)["feature"]
        return {"logits": self.person(feature), "feature": feature}


PARTS = {"generator": Generator, "encoder": Encoder, "classifier": Classifier}
OF_PEOPLE = {"generator": PeopleGenerator, "encoder": PeopleEncoder, "classifier": PeopleClassifier}


@register_model("cvaegan")
def cvaegan(part: str = "generator", **config: int) -> nn.Module:
    """``part`` names which of the three that a trained CVAE-GAN leaves: "generator", "encoder" or "classifier".

    With ``people`` it is one of faces that knows so many of them.
    """
    return (OF_PEOPLE if "people" in config else PARTS)[part](**config)
