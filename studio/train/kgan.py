"""K-GAN: a sampling GAN of faces drawn towards an animal by its neighbours in feature space (IAN, section 3.1, eq. 5 and 8).

The paper's comparator is AlexNet with its layers FC6 and FC7; ours is an ImageNet MobileNet with a middle map on 3 x 3 places and
the means of its last one. The weights mu of eq. 8 do not carry over, so that each term is weighed by its share of the GAN's own
loss (``RATIOS``) and the mu that this comes to is kept in the card. Only adapters are trained: the base network stays as it is.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file
from sklearn.neighbors import BallTree
from torch import Tensor, nn

from studio.models import began, dcgan
from studio.models.adapters import adapter_state
from studio.train.augment import diff_augment
from studio.train.began import GAMMA, LAMBDA_K, WIDTHS, Balance
from studio.train.critics import imagenet_trunk
from studio.train.cyclegan import read_animal
from studio.train.data import MODEL_PARTS, to_unit
from studio.train.gan import FacesTrainer, logistic
from studio.train.loop import Settings, named, read_state, tile

LAYERS = ("deep", "middle")
RATIOS = {"deep": 1.0, "middle": 0.5}  # of a layer's term to the GAN's loss when training begins
NEIGHBOURS = (1, 4, 8)  # the paper's choices for K (appendix E, figure 13)
ENOUGH = 0.6  # share of an animal's pictures that a K must reach
PROBED = 512  # samples that the choice of K and the weights look at
RANK = 16
ACQUAINTED = 40  # steps of the critic alone before the GAN's loss is taken for what it is
SIZE = 96  # px the comparator sees


class Comparator(nn.Module):
    """Features of pictures on two layers of a frozen ImageNet network."""

    def __init__(self, trunk: nn.Module):
        super().__init__()
        self.trunk = trunk.requires_grad_(False)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """``images`` (B, 3, H, W) in [-1, 1] -> "deep" (B, 512) and "middle" (B, 2304)."""
        maps = self.trunk(F.interpolate(images, size=SIZE, mode="bilinear", align_corners=False))
        return {"deep": maps[3].mean((2, 3)).float(), "middle": F.adaptive_avg_pool2d(maps[2], 3).flatten(1).float()}


class Neighbours:
    """An animal's features in a ball tree, and which of its pictures were ever somebody's neighbour."""

    def __init__(self, features: np.ndarray):
        """``features`` (M, D)."""
        self.features, self.tree = features, BallTree(features)
        self.used: set[int] = set()

    def mean(self, queries: np.ndarray, k: int) -> np.ndarray:
        """The mean of the ``k`` nearest of the set, (B, D), for ``queries`` (B, D): the target of eq. 9 (Appendix B)."""
        nearest = self.tree.query(queries, k, return_distance=False)
        self.used.update(nearest.ravel().tolist())
        return self.features[nearest].mean(1)

    @property
    def share_used(self) -> float:
        """card(chi) / M of figure 13."""
        return len(self.used) / len(self.features)


def choose_k(features: np.ndarray, queries: np.ndarray) -> tuple[int, dict[int, float]]:
    """The smallest K above 1 whose neighbours cover enough of the set (appendix E), else the largest; each K's share."""
    shares = {}
    for k in NEIGHBOURS:
        neighbours = Neighbours(features)
        neighbours.mean(queries, k)
        shares[k] = round(neighbours.share_used, 3)
    enough = [k for k in NEIGHBOURS[1:] if shares[k] >= ENOUGH]
    return (enough or NEIGHBOURS[-1:])[0], shares


class KGANTrainer(FacesTrainer):
    """``k-dcgan-ANIMAL-64``, ``k-began-ANIMAL-SIZE``: adapters of the base run that lies beside its own folder."""

    family: str
    images_per_step = 32
    ema_half_life = 1_000.0

    def __init__(self, settings: Settings, animal: str, size: int = 64):
        super().__init__(settings, f"k-{self.family}-{animal}-{size}", size)
        self.animal = animal
        self.base_index, self.base_state = read_state(settings.out.parent / f"{self.family}-{size}")
        self.networks = self.build()
        adapters = [p for n, p in self.networks["generator"].named_parameters() if ".down." in n or ".up." in n]
        self.networks["generator"].requires_grad_(False)
        for parameter in adapters:
            parameter.requires_grad_(True)
        self.optimisers = {
            "generator": torch.optim.Adam(adapters, 2e-3, betas=(0.5, 0.99)),
            "critic": torch.optim.Adam(self.networks["critic"].parameters(), self.critic_rate, betas=(0.5, 0.99)),
        }
        self.ready("generator")
        self.shown = self.latents(16)
        self._meet_the_animal()

    @abstractmethod
    def build(self) -> dict[str, nn.Module]:
        """The base run's "generator" with adapters, and its "critic"."""

    @abstractmethod
    def gan_size(self, made: Tensor) -> float:
        """How large the GAN's own loss is."""

    @property
    @abstractmethod
    def critic_rate(self) -> float:
        """Learning rate of the critic."""

    def latents(self, count: int) -> Tensor:
        return self.uniform(count, 100)

    def make(self, latents: Tensor) -> Tensor:
        return self.networks["generator"](latents, latents.new_ones(len(latents), 1))

    def show(self, latents: Tensor) -> Tensor:
        return self.ema["generator"](latents, latents.new_ones(len(latents), 1))

    @torch.no_grad()
    def _meet_the_animal(self) -> None:
        """Builds the trees; chooses K and the weights by what the base network makes."""
        self.comparator = Comparator(imagenet_trunk(self.settings.data)).to(self.device)
        pictures = to_unit(read_animal(self.animal, self.size, self.settings, MODEL_PARTS).images).to(self.device)
        made = torch.cat([self.make(self.latents(64)) for _ in range(PROBED // 64)])
        wanted, queries = self.comparator(torch.cat([pictures, pictures.flip(3)])), self.comparator(made)
        self.k, self.shares = choose_k(wanted["deep"].cpu().numpy(), queries["deep"].cpu().numpy())
        self.neighbours = {layer: Neighbours(wanted[layer].cpu().numpy()) for layer in LAYERS}
        size = self.gan_size(made)
        terms = self._distances(queries)
        self.mu = {layer: RATIOS[layer] * size / float(terms[layer]) for layer in LAYERS}
        self.kinds = len(pictures)

    def _distances(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Eq. 9 for the mean of the neighbours, a layer at a time."""
        distances = {}
        for layer, values in features.items():
            target = self.neighbours[layer].mean(values.detach().cpu().numpy(), self.k)
            distances[layer] = (values - torch.as_tensor(target, device=values.device)).square().sum(1).mean()
        return distances

    def neighbour_losses(self, made: Tensor) -> dict[str, Tensor]:
        """mu times eq. 9 for each layer."""
        with self.fabric.autocast():
            features = self.comparator(made)
        return {f"knn_{layer}": self.mu[layer] * d for layer, d in self._distances(features).items()}

    def usage(self) -> dict[str, Tensor]:
        """The share of the animal's pictures used so far (figure 13), for the log."""
        return {f"used_{layer}": torch.tensor(self.neighbours[layer].share_used) for layer in LAYERS}

    def evaluate(self) -> dict[str, Any]:
        """Nothing here: it is meant to leave the faces, and Table 1 says how far it went."""
        return {}

    @torch.no_grad()
    def grid(self) -> Image.Image:
        """The same latents from the base network (top) to the K-GAN."""
        amounts = torch.linspace(0, 1, 4, device=self.device)
        return tile([self.ema["generator"](self.shown, a.expand(len(self.shown), 1)) for a in amounts])

    def _exported(self, ending: str) -> Path:
        """A file of the base run's export: to what it shipped, and to that alone, the adapters belong."""
        name = f"{self.family}-{self.size}"
        return self.settings.out.parent / name / "export" / f"{name}{ending}"

    def base_tensors(self) -> dict[str, Tensor]:
        """The base network as it is shipped."""
        return {name: tensor.float() for name, tensor in load_file(self._exported(".safetensors")).items()}

    def _base(self) -> dict[str, str]:
        """What the card says of the base. Raises ``ValueError`` if that was exported anew since this run began."""
        own = self.ema["generator"].state_dict()
        if any(not torch.equal(own[name].cpu().half(), tensor.half()) for name, tensor in self.base_tensors().items()):
            raise ValueError(f"{self.name} began on an earlier {self.family}-{self.size}: move its folder away, train it anew.")
        card = json.loads(self._exported(".json").read_text())
        return {"id": card["id"], "sha256": card["sha256"]}

    def export(self, measures: dict[str, Any]) -> None:
        mu = {layer: float(f"{value:.3g}") for layer, value in self.mu.items()}
        used = {layer: round(self.neighbours[layer].share_used, 3) for layer in LAYERS}
        training = {"recipe": self.name, "images": self.images, "base_images": self.base_index["images"], "pictures": self.kinds}
        knn = {"k": self.k, "shares_by_k": {str(k): v for k, v in self.shares.items()}, "share_used": used, "mu": mu}
        self.card(
            family=self.family,
            base=self._base(),
            domains=("face", self.animal),
            tensors=adapter_state(self.ema["generator"].state_dict()),
            config=self.config | {"rank": RANK},
            measures=measures,
            training=training | knn | {"data": "faces128, faces64, animals160"},
        )


class KDCGANTrainer(KGANTrainer):
    """DCGAN's: the losses and DiffAugment of its base run."""

    family = "dcgan"
    critic_rate = 2e-4

    def build(self) -> dict[str, nn.Module]:
        self.config: dict[str, Any] = {}
        generator, critic = dcgan.Generator(rank=RANK), dcgan.Discriminator()
        generator.load_state_dict(self.base_tensors(), strict=False)
        critic.load_state_dict(named(self.base_state, "network/critic/"))
        return {"generator": generator, "critic": critic}

    def gan_size(self, made: Tensor) -> float:
        """Once the critic has met the average's pictures: it learnt on another network's, and lets these pass at first."""
        with torch.enable_grad():
            for _ in range(ACQUAINTED):
                self._train_critic(made[torch.randperm(len(made))[: self.images_per_step]])
        return float(logistic(self._answers(made[: self.images_per_step]), 1))

    def _train_critic(self, made: Tensor) -> Tensor:
        real = self.sampler.draw(0, self.images_per_step)
        loss = logistic(self._answers(real), 1) + logistic(self._answers(made), -1)
        self.optimisers["critic"].zero_grad()
        self.fabric.backward(loss)
        self.optimisers["critic"].step()
        return loss

    def _answers(self, images: Tensor) -> list[Tensor]:
        return self.networks["critic"](diff_augment(images, "translation"))

    def step(self) -> dict[str, Tensor]:
        made = self.make(self.latents(self.images_per_step))
        losses = {"gan": logistic(self._answers(made), 1)} | self.neighbour_losses(made)
        self.optimisers["generator"].zero_grad()
        self.fabric.backward(sum(losses.values()))
        self.optimisers["generator"].step()
        losses["critic"] = self._train_critic(made.detach())
        return {k: v.detach() for k, v in losses.items()} | self.usage()


class KBEGANTrainer(KGANTrainer):
    """BEGAN's: the auto-encoder and its balance go on as in its base run."""

    family = "began"
    critic_rate = 5e-5

    def build(self) -> dict[str, nn.Module]:
        self.config = {"width": WIDTHS[self.size], "resolution": self.size}
        generator, critic, balance = began.Decoder(**self.config, rank=RANK), began.AutoEncoder(**self.config), Balance()
        generator.load_state_dict(self.base_tensors(), strict=False)
        critic.load_state_dict(named(self.base_state, "network/critic/"))
        balance.load_state_dict(named(self.base_state, "network/balance/"))
        return {"generator": generator, "critic": critic, "balance": balance}

    def gan_size(self, made: Tensor) -> float:
        return float(began.reproduction_error(made[:64], self.networks["critic"](made[:64])))

    def step(self) -> dict[str, Tensor]:
        balance = self.networks["balance"].module.k
        for optimiser in self.optimisers.values():
            optimiser.zero_grad()
        made = self.make(self.latents(self.images_per_step))
        losses = {"gan": began.reproduction_error(made, self.networks["critic"](made))} | self.neighbour_losses(made)
        self.fabric.backward(sum(losses.values()))
        for parameter in self.networks["critic"].parameters():
            parameter.grad.mul_(-balance)
        real = self.sampler.draw(0, self.images_per_step)
        losses["real"] = began.reproduction_error(real, self.networks["critic"](real))
        self.fabric.backward(losses["real"])
        for optimiser in self.optimisers.values():
            optimiser.step()
        with torch.no_grad():
            balance.add_(LAMBDA_K * (GAMMA * losses["real"] - losses["gan"])).clamp_(0, 1)
        return {k: v.detach() for k, v in losses.items()} | self.usage()


K_GANS = {"k-dcgan": KDCGANTrainer, "k-began": KBEGANTrainer}
