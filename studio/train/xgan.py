"""X-GAN (Blum et al. 2018, Algorithm 1) on faces, flowers and birds, with what its ablations and its baseline change.

As in the paper: six-layer networks with batch norm and leaky ReLU, lambda 2, k 5, m twice the dimension of the codes, Adam. What
a CPU asks for: 32 channels, 128 numbers in a code, and no VGG-19. C_img is as small as D, trained on the classes of the same
pictures before anything else and then fixed; f are the features of D, the second of the paper's two networks, and the pixels.
Codes are normed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.decomposition import PCA
from torch import Tensor, nn

from studio.latent.convex import LAST, K, draw, intrinsic_dimension, neighbourhood_size
from studio.metrics.kid import kid
from studio.models.xgan import Codes, Discriminator, Encoder, Generator
from studio.train.augment import diff_augment
from studio.train.critics import imagenet_trunk
from studio.train.data import MODEL_PARTS, VALIDATION_PARTS, read_pack, to_unit
from studio.train.export import write_checkpoint
from studio.train.gan import PACKS, logistic, pooled, read_faces, renewed
from studio.train.loop import Settings, Trainer, tile, unwrap

LATENT = 128  # 512 in the paper
WIDTH = 32
LAMBDA = 2.0  # of the GAN's loss (section 4.1)
LAMBDA_PIXELS, LAMBDA_FEATURES = 5.0, 2.0  # of the two parts of L_EG_ae; pixels are not in the paper's f
LAMBDA_KL = 1e-2  # a picture's, per number of its code
RATES = {"encoder": 4e-4, "generator": 4e-4, "critic": 2e-4, "embedded": 4e-4, "classifier": 1e-3}
CLASSIFIED = 12_000  # pictures that C_img learns from, the first of a run
REFRESH = 200  # steps between two looks at where the codes are
PROBED = 2000  # codes that the estimate of the dimension looks at, a class
MEASURED = 500  # pictures of each kind that KID compares
BATCH = 100
FAR, FAR_WORDS = 400.0, "as a set its pictures are far from photographs"  # by KID x 1000, as measured here


@dataclass(frozen=True)
class Variant:
    """What may be exchanged: where codes for the GAN come from, and how a class gets into them.

    ``sampling``: "convex" combinations; "kde", a Gaussian round every code; "kl", a normal prior that codes are drawn to.
    ``labels``: "position" in the latent space (section 3.4); "concat" to the code; "none".
    """

    sampling: str = "convex"
    labels: str = "position"


# Table 3, and cVAE-GAN as far as this recipe goes: its mean feature matching is left to the GAN's own loss.
VARIANTS = {
    "X-GAN": Variant(),
    "unsupervised": Variant(labels="none"),
    "KL-loss": Variant(sampling="kl"),
    "KDE-sampling": Variant(sampling="kde"),
    "concat. label": Variant(labels="concat"),
    "cVAE-GAN": Variant(sampling="kl", labels="concat"),
}


@dataclass(frozen=True)
class Domain:
    """Pictures of one kind: ``images`` uint8 (N, 3, S, S), ``labels`` (N,) into ``names``."""

    images: Tensor
    labels: Tensor
    names: tuple[str, ...]


DOMAINS = {"faces": "face", "flowers": "flower", "birds": "bird"}
GENDERS = {"F": "female", "M": "male"}  # as the packs name them: the only classes that all of their faces have


def read_domain(name: str, size: int, data: Any, parts: frozenset[int]) -> Domain:
    """The pictures of ``DOMAINS`` in these tenths of the split; the classes of faces are the genders the packs name."""
    if name == "faces":
        images, rows = read_faces(size, data, parts)
        words, names = [GENDERS[row["gender"]] for row in rows], tuple(GENDERS.values())
    else:
        whole = read_pack(f"{name}128", size, data)
        pack, names = whole.parts(parts), tuple(sorted({row["class"] for row in whole.rows}))
        images, words = pack.images, [row["class"] for row in pack.rows]
    return Domain(images, torch.tensor([names.index(word) for word in words]), names)


class Memory(nn.Module):
    """Where all pictures lie in the latent space, kept like a network so that the state has it: codes, and m of each class."""

    def __init__(self, count: int, latent: int, classes: int):
        super().__init__()
        self.register_buffer("codes", torch.zeros(count, latent))
        self.register_buffer("m", torch.full((classes,), K))
        self.register_buffer("age", torch.tensor(REFRESH))


class XGANTrainer(Trainer):
    """``xgan-DOMAIN-SIZE``, or one of the :data:`VARIANTS` of it.

    Args:
        domain: one of ``DOMAINS``.
        size: px.
        width: channels of the widest maps of all networks.
    """

    images_per_step = 16
    ema_half_life = 3_000.0
    warm_up = 16_000  # pictures after C_img's; the paper has none, but sixty times the steps

    def __init__(self, settings: Settings, domain: str, size: int = 64, variant: Variant = VARIANTS["X-GAN"], width: int = WIDTH):
        super().__init__(settings)
        self.name, self.domain, self.size, self.variant = f"xgan-{domain}-{size}", domain, size, variant
        self.data = read_domain(domain, size, settings.data, MODEL_PARTS)
        self.held_out = read_domain(domain, size, settings.data, VALIDATION_PARTS)
        self.images_of = self.data.images.to(self.device)
        # One group of neighbours a class; without labels everybody may be a neighbour.
        groups = self.data.labels if self._knows_classes else torch.zeros_like(self.data.labels)
        self.groups = [np.flatnonzero(groups.numpy() == group) for group in range(int(groups.max()) + 1)]
        self.group_of = groups.numpy()
        self.config = {"latent": LATENT, "width": width, "resolution": size}
        self.networks = self.build()
        self.optimisers = {
            name: torch.optim.Adam(self.networks[name].parameters(), rate, betas=(0.5, 0.99)) for name, rate in RATES.items()
        }
        self.ready("generator", "encoder")

    def build(self) -> dict[str, nn.Module]:
        """E, G, D, C_emb, C_img and the memory."""
        classes, prior = len(self.data.names), self.variant.sampling == "kl"
        joined = classes if self.variant.labels == "concat" else 0
        like = {name: self.config[name] for name in ("width", "resolution")}
        return {
            "encoder": Encoder(LATENT * (1 + prior), normed=not prior, **like),
            "generator": Generator(LATENT + joined, **like),
            "critic": Discriminator(1, **like),
            "classifier": Discriminator(classes, **like),
            "embedded": nn.Sequential(nn.Linear(LATENT, LATENT), nn.LeakyReLU(0.2), nn.Linear(LATENT, classes)),
            "memory": Memory(len(self.data.images), LATENT, len(self.groups)),
        }

    @property
    def _knows_classes(self) -> bool:
        return self.variant.labels != "none"

    @property
    def _latents_have_classes(self) -> bool:
        """Neighbours of one class have it; what is drawn from a prior has none, unless it is put beside it."""
        return self.variant.labels == "concat" or (self._knows_classes and self.variant.sampling != "kl")

    @property
    def memory(self) -> Memory:
        return unwrap(self.networks["memory"])

    # --- the step -------------------------------------------------------------------------------------------------------------

    def step(self) -> dict[str, Tensor]:
        """C_img's first, as long as it learns; then E and G alone until they give pictures back; then all of Algorithm 1."""
        self.networks["classifier"].train(self.images < CLASSIFIED)
        if self.images < CLASSIFIED:
            return self._learn_classes()
        chosen = torch.randint(len(self.images_of), (self.images_per_step,), generator=self.generator, device=self.device)
        photos, labels = self._photos(chosen), self.data.labels[chosen.cpu()].to(self.device)
        codes, losses = self._place(photos, labels)
        if self.images < CLASSIFIED + self.warm_up:
            given_back = self.networks["generator"](self._with_label(codes, labels)).float()
            losses["EG_ae"] = LAMBDA_PIXELS * F.l1_loss(given_back, photos)
            self._follow(losses, "encoder", "generator", "embedded")
        else:
            if self.memory.age >= REFRESH:
                self.remember()
            self.memory.age.add_(1)
            made = self._fill(photos, labels, codes, self.sample(chosen), losses)
            losses["D_gan"] = self._criticise(photos, made)
        return {name: loss.detach() for name, loss in losses.items()}

    def _learn_classes(self) -> dict[str, Tensor]:
        chosen = torch.randint(len(self.images_of), (self.images_per_step,), generator=self.generator, device=self.device)
        photos = diff_augment(self._photos(chosen), "translation")
        answers = self.networks["classifier"](photos)[1].float()
        loss = F.cross_entropy(answers, self.data.labels[chosen.cpu()].to(self.device))
        self._follow({"classifier": loss}, "classifier")
        return {"classifier": loss.detach()}

    def _place(self, photos: Tensor, labels: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Codes z = E(x), (B, 128), and what is asked of them alone (line 5)."""
        codes, losses = self.encode(photos), {}
        if self.variant.sampling == "kl":
            mean, log_variance = codes.chunk(2, 1)
            log_variance = log_variance.clamp(-8, 4)
            losses["kl"] = LAMBDA_KL * 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean()
            codes = mean + self._normal(mean.shape) * (0.5 * log_variance).exp()
        if self.variant.labels == "position":
            losses["E_clf"] = F.cross_entropy(self.networks["embedded"](codes).float(), labels)
        return codes, losses

    def _fill(self, photos: Tensor, labels: Tensor, codes: Tensor, latents: Tensor, losses: dict[str, Tensor]) -> Tensor:
        """Lines 6 to 11: a step of E, G and C_emb, its losses added to ``losses``; the pictures of ``latents``, (B, 3, S, S)."""
        both = self.networks["generator"](self._with_label(torch.cat([codes, latents]), labels.repeat(2)))
        given_back, made = both.float().chunk(2)
        critic, encoder, classifier = (self.networks[name] for name in ("critic", "encoder", "classifier"))
        with fixed(critic), fixed(encoder, learns=False), fixed(classifier):
            losses["EG_ae"] = self._reconstruction(photos, given_back)
            losses["G_gan"] = LAMBDA * logistic([self._answer(made)], 1)
            # G's alone: E has to learn nothing of made pictures.
            losses["G_emb"] = (latents - self.encode(made)[:, :LATENT]).square().mean()
            if self._latents_have_classes:
                losses["G_clf"] = F.cross_entropy(self.networks["classifier"](made)[1].float(), labels)
        self._follow(losses, "encoder", "generator", "embedded")
        return made.detach()

    def _criticise(self, photos: Tensor, made: Tensor) -> Tensor:
        """Line 12: a step of D."""
        loss = LAMBDA * (logistic([self._answer(photos)], 1) + logistic([self._answer(made)], -1))
        self._follow({"D_gan": loss}, "critic")
        return loss

    def _reconstruction(self, photos: Tensor, given_back: Tensor) -> Tensor:
        """L_EG_ae: L1 on pixels and on the maps of D."""
        with torch.no_grad():
            wanted = self.networks["critic"](photos)[0]
        found = self.networks["critic"](given_back)[0]
        features = torch.stack([F.l1_loss(*pair) for pair in zip(found, wanted, strict=True)]).mean()
        return LAMBDA_PIXELS * F.l1_loss(given_back, photos) + LAMBDA_FEATURES * features

    def _follow(self, losses: dict[str, Tensor], *names: str) -> None:
        """A step of the named networks down the sum of the losses."""
        for name in names:
            self.optimisers[name].zero_grad()
        self.fabric.backward(torch.stack(list(losses.values())).sum())
        for name in names:
            self.optimisers[name].step()

    def _answer(self, images: Tensor) -> Tensor:
        return self.networks["critic"](diff_augment(images, "translation"))[1]

    def _photos(self, chosen: Tensor) -> Tensor:
        """Half of them mirrored."""
        images = to_unit(self.images_of[chosen])
        mirrored = torch.rand(len(chosen), 1, 1, 1, generator=self.generator, device=self.device) < 0.5
        return torch.where(mirrored, images.flip(3), images).contiguous(memory_format=torch.channels_last)

    def encode(self, photos: Tensor) -> Tensor:
        """What E says of ``photos`` (B, 3, S, S): codes (B, 128), or of the variant with a prior mean and log variance."""
        return self.networks["encoder"](photos).float()

    def _with_label(self, codes: Tensor, labels: Tensor) -> Tensor:
        if self.variant.labels != "concat":
            return codes
        return torch.cat([codes, F.one_hot(labels, len(self.data.names)).to(codes.dtype)], 1)

    def _normal(self, shape: torch.Size) -> Tensor:
        return torch.randn(shape, generator=self.generator, device=self.device)

    # --- codes for the GAN ----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, chosen: Tensor) -> Tensor:
        """Codes z^ (B, 128) that begin with the pictures ``chosen`` (B,), from where all codes were when last looked at."""
        if self.variant.sampling == "kl":
            return self._normal((len(chosen), LATENT))
        if self.variant.sampling == "kde":
            codes = self.memory.codes[chosen]
            return codes + self._bandwidth() * self._normal(codes.shape)
        index, weights = self._neighbourhoods(chosen)
        return (weights.unsqueeze(2) * self.memory.codes[index]).sum(1)

    def _neighbourhoods(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """The two draws of CC_{m,k} for each, within its group: pictures (B, k) and weights (B, k)."""
        random = np.random.default_rng(int(torch.randint(2**31, (1,), generator=self.generator, device=self.device)))
        codes, wanted = self.memory.codes.cpu().numpy(), chosen.cpu().numpy()
        index, weights = np.empty((len(wanted), K), np.int64), np.empty((len(wanted), K), np.float32)
        for group in np.unique(self.group_of[wanted]):
            members, rows = self.groups[group], np.flatnonzero(self.group_of[wanted] == group)
            found, weights[rows] = draw(codes[members], codes[wanted[rows]], int(self.memory.m[group]), K, random)
            index[rows] = members[found]
        return torch.as_tensor(index, device=self.device), torch.as_tensor(weights, device=self.device)

    def _bandwidth(self) -> Tensor:
        """Scott's rule (1992) for each number of a code."""
        codes = self.memory.codes
        return codes.std(0) * len(codes) ** (-1 / (codes.shape[1] + 4))

    @torch.no_grad()
    def remember(self) -> None:
        """Looks where all codes are now, and how many neighbours each class has there: m = 2 s."""
        with fixed(self.networks["encoder"], learns=False):
            codes = self.codes_of(self.networks["encoder"])
        self.memory.codes.copy_(codes)
        self.memory.age.zero_()
        for group, members in enumerate(self.groups):
            self.memory.m[group] = _neighbours_among(codes[torch.as_tensor(members)].cpu().numpy())

    @torch.no_grad()
    def codes_of(self, encoder: nn.Module) -> Tensor:
        """The codes of all pictures, (N, 128)."""
        with self.fabric.autocast():
            return torch.cat([encoder(to_unit(batch))[:, :LATENT].float() for batch in self.images_of.split(BATCH)])

    # --- what comes of it -----------------------------------------------------------------------------------------------------

    @torch.no_grad()
    def settle(self) -> None:
        """Takes the statistics of the averages' norms anew, then looks where their codes are."""
        encoder, generator = self.ema["encoder"], self.ema["generator"]
        with renewed(encoder):
            self.codes_of(encoder)
        self.memory.codes.copy_(self.codes_of(encoder))
        for group, members in enumerate(self.groups):
            self.memory.m[group] = _neighbours_among(self.memory.codes[torch.as_tensor(members)].cpu().numpy())
        self.memory.age.fill_(REFRESH)  # the network in training has other codes than its average
        order = torch.randperm(len(self.images_of), generator=self.generator, device=self.device)[: 10 * BATCH]
        with renewed(generator), self.fabric.autocast():
            for chosen in order.split(BATCH):
                labels = self.data.labels[chosen.cpu()].to(self.device)
                latents = torch.cat([self.memory.codes[chosen], self.sample(chosen)])
                generator(self._with_label(latents, labels.repeat(2)))

    @torch.no_grad()
    def samples(self, count: int) -> Tensor:
        """New pictures of the average, (count, 3, S, S), once it is settled; classes as often as among the photos."""
        chosen = torch.randint(len(self.images_of), (count,), generator=self.generator, device=self.device)
        parts = []
        with self.fabric.autocast():
            for some in chosen.split(BATCH):
                labels = self.data.labels[some.cpu()].to(self.device)
                parts.append(self.ema["generator"](self._with_label(self.sample(some), labels)).float())
        return torch.cat(parts)

    @torch.no_grad()
    def given_back(self, domain: Domain) -> Tensor:
        """What E and G make of a domain's pictures, (N, 3, S, S)."""
        parts = []
        for images, labels in zip(domain.images.split(BATCH), domain.labels.split(BATCH), strict=True):
            codes = self.ema["encoder"](to_unit(images.to(self.device)))[:, :LATENT]
            parts.append(self.ema["generator"](self._with_label(codes, labels.to(self.device))))
        return torch.cat(parts)

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """KID x 1000 of new pictures to part 9 on ImageNet features with the photos' own, and how near E and G come to part 9."""
        self.settle()
        trunk = imagenet_trunk(self.settings.data).to(self.device)
        photos = to_unit(self.held_out.images).to(self.device)
        wanted = pooled(trunk, photos[evenly(len(photos), MEASURED)])
        order = torch.randperm(len(self.images_of), generator=self.generator, device=self.device)[:MEASURED]
        errors = (self.given_back(self.held_out) - photos).square().mean((1, 2, 3)) / 4
        answers = self.networks["embedded"](self.ema["encoder"](photos)).argmax(1).cpu()
        codes = self.memory.codes.cpu().numpy()
        return {
            "kid_imagenet": round(1000 * kid(pooled(trunk, self.samples(MEASURED)), wanted)[0], 2),
            "kid_imagenet_floor": round(1000 * kid(pooled(trunk, to_unit(self.images_of[order])), wanted)[0], 2),
            "psnr": round(float(-10 * errors.log10().mean()), 2),
            "dimension": round(float(np.mean([intrinsic_dimension(codes[g][:PROBED]) for g in self.groups if len(g) > LAST])), 1),
            "class_accuracy": round(float((answers == self.held_out.labels).float().mean()), 3),
        }

    @torch.no_grad()
    def grid(self) -> Image.Image:
        """New pictures, then held-out photos above what E and G make of them."""
        if self.images <= CLASSIFIED:
            return tile([to_unit(self.held_out.images[:12])])
        self.settle()
        rows = evenly(len(self.held_out.images), 24)
        few = Domain(self.held_out.images[rows], self.held_out.labels[rows], self.held_out.names)
        pairs = zip(to_unit(few.images).split(12), self.given_back(few).split(12), strict=True)
        return tile([*self.samples(60).split(12), *(row for pair in pairs for row in pair)])

    def export(self, measures: dict[str, Any]) -> None:
        """The three parts; codes as ``evaluate`` left them."""
        training = {"recipe": self.name, "images": self.images, "pictures": len(self.images_of)}
        training["data"] = ", ".join(PACKS) if self.domain == "faces" else f"{self.domain}128"
        m = int(self.memory.m.float().mean().round())
        parts = {
            "generator": (self.name, "combine", self.ema["generator"].state_dict(), self.config),
            "encoder": (f"xgan-encoder-{self.domain}-{self.size}", "encode", self.ema["encoder"].state_dict(), self.config),
            "codes": (
                f"xgan-codes-{self.domain}-{self.size}", "codes", self._bank(),
                {"count": len(self.images_of), "latent": LATENT, "m": m},
            ),
        }  # fmt: skip
        for name, (card_id, task, tensors, config) in parts.items():
            write_checkpoint(
                self.settings.out / "export",
                card_id=card_id,
                family="xgan",
                task=task,
                tensors=tensors,
                resolution=self.size,
                frame="head" if self.domain == "faces" else "",
                domains=(DOMAINS[self.domain],),
                config=config | {"part": name},
                labels=self.data.names if name == "codes" else (),
                measures=measures,
                training=training,
                study=FAR_WORDS if name != "codes" and measures["kid_imagenet"] > FAR else None,
            )

    def _bank(self) -> dict[str, Tensor]:
        """The tensors of :class:`Codes`."""
        bank = Codes(len(self.images_of), LATENT, K)
        # Rounded as they will be stored, so that the map is that of the shipped codes.
        codes = self.memory.codes.cpu().half().float()
        principal = PCA(2, random_state=0).fit(codes.numpy())
        bank.codes.copy_(codes)
        bank.mean.copy_(torch.as_tensor(principal.mean_))
        bank.axes.copy_(torch.as_tensor(principal.components_))
        bank.places.copy_(bank(codes))
        bank.labels.copy_(self.data.labels)
        return bank.state_dict()


def evenly(count: int, wanted: int) -> list[int]:
    """Up to ``wanted`` indices below ``count``, as far apart as can be: packs are in the order of their classes."""
    return np.linspace(0, count - 1, min(wanted, count)).round().astype(int).tolist()


def _neighbours_among(codes: np.ndarray) -> int:
    """m for the codes (N, D) of one class: 2 s, but no more than there are."""
    if len(codes) <= LAST + 1:
        return len(codes)
    return min(len(codes), max(K, neighbourhood_size(intrinsic_dimension(codes[:PROBED]))))


@contextmanager
def fixed(network: nn.Module, learns: bool = True) -> Iterator[None]:
    """Gradients pass through the network and leave none in it; unless it ``learns``, its norms use what they have learnt."""
    training = network.training
    network.requires_grad_(False).train(training and learns)
    try:
        yield
    finally:
        network.requires_grad_(True).train(training)
