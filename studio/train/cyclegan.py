"""CycleGAN face -> animals (Zhu et al. 2017; IAN eq. 2 and 3), first for all animals at once, then for some, then for one.

The base run shares every convolution between the animals, whose sets are small, and gives each its own row of affine
parameters; the runs of a group or of one animal start from those rows and train everything. Differences from the paper are
said where they are made.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from studio.models.cyclegan import Discriminator, Generator, select_domains
from studio.train.augment import diff_augment, similarity_crops
from studio.train.critics import FeatureDiscriminator, imagenet_trunk
from studio.train.data import HEAD, MODEL_PARTS, VALIDATION_PARTS, Pack, Sampler, part, read_pack, to_unit
from studio.train.export import write_checkpoint
from studio.train.loop import Settings, Trainer, named, read_state, tile
from studio.train.losses import content_loss, least_squares, mode_seeking_loss, pairwise_distances

# Paper order (IAN, section 4.2).
ANIMALS = (
    "gorilla", "chow_chow", "egyptian_cat", "koala", "lion",
    "norwegian_elkhound", "panda", "samoyed", "spider", "tiger",
)  # fmt: skip

# Recipes by what they translate to. The two halves let two cores train at once: two threads of a run are hardly faster than one.
GROUPS = {
    "base": ANIMALS,
    "wild": ("gorilla", "koala", "lion", "panda", "tiger"),
    "home": ("chow_chow", "egyptian_cat", "norwegian_elkhound", "samoyed", "spider"),
    **{animal: (animal,) for animal in ANIMALS},
}

LAMBDA_CYCLE = {True: 5.0, False: 10.0}  # 10 in Zhu et al., section 4; in the base run half of it, to change more than colours
LAMBDA_PATCH = 2.0  # 1 in the paper, whose runs are a hundred times as long
LAMBDA_FEATURE = {True: 4.0, False: 1.5}  # in the base run and after it, when it is time to bring the person back
LAMBDA_CONTENT = {True: 0.0, False: 2.0}  # ours: keeps where it is light and dark, which tells one person from another
LAMBDA_VARIETY = {True: 0.0, False: 3.0}  # mode seeking: critics alone are content with one good tiger for everybody
VARIETY = 0.65  # of the distances between real animals; at 1 the pictures fell apart within 6,000 images
CONTENT_CORRELATION = 0.7  # beyond this an animal may look as it likes
LAMBDA_PHOTO = 5.0  # weight of the identity loss there; ours asks it of strength 0
HEAD_SHARE = HEAD[2] - HEAD[0]
CRITICS = ("patch_animal", "feature_animal", "patch_face")
PHOTO_EVERY = 3  # steps between those that ask for the photo back at strength 0
FRONTAL_REPEATS = 4  # spiders come as whole animals; the few seen from the front look most like a face
CONFIGS = {64: {"ngf": 16, "n_downs": 3, "n_blocks": 6}, 128: {"ngf": 24, "n_downs": 3, "n_blocks": 3}}


def read_animal(animal: str, size: int, settings: Settings, parts: frozenset[int]) -> Pack:
    """The pictures of one animal in these parts of the split."""
    pack = read_pack("animals160", size, settings.data, lambda row: row["class"] == animal).parts(parts)
    if animal == "spider" and parts == MODEL_PARTS:
        frontal = pack.select(lambda row: row["frontal"] == "1")
        repeats = FRONTAL_REPEATS - 1
        pack = Pack(torch.cat([pack.images] + [frontal.images] * repeats), pack.rows + frontal.rows * repeats)
    return pack


class CycleGANTrainer(Trainer):
    """Face -> the animals of a group; all but "base" start from the base run of their size, beside their own folder."""

    def __init__(self, settings: Settings, group: str = "base", size: int = 64):
        super().__init__(settings)
        self.name = f"cyclegan-{group}-{size}"
        self.is_base = group == "base"
        animals = GROUPS[group]
        # Small batches learn more from a picture; a GPU would idle with them.
        self.batch = self.images_per_step = 32 if self.device.type == "cuda" else 4
        self.animals, self.size = animals, size
        self.ema_half_life = 1_000.0 + 300.0 * len(animals)
        portraits = read_pack("faces128", round(size / HEAD_SHARE), settings.data).parts(MODEL_PARTS)
        heads = read_pack("faces128", size, settings.data, lambda row: part(row["file_name"]) in VALIDATION_PARTS, HEAD)
        self.validation = to_unit(heads.images[:12]).to(self.device)
        packs = [read_animal(a, size, settings, MODEL_PARTS) for a in animals]
        self.counts = {a: len({r["file_name"] for r in p.rows}) for a, p in zip(animals, packs, strict=True)}
        self.sampler = Sampler([p.images.to(self.device) for p in [portraits, *packs]], self.generator)
        self.base_images = 0
        self.heads = torch.tensor([ANIMALS.index(a) for a in animals], device=self.device)
        self._build()
        self.ready("to_animal")
        for name in ("to_animal", "to_face"):
            self.networks[name].mark_forward_method("translate")  # to_face has one domain, so it never shows the photo

    def _build(self) -> None:
        domains = len(self.animals)
        self.trunk = imagenet_trunk(self.settings.data).requires_grad_(False).to(self.device)
        self.networks = {
            "to_animal": Generator(**CONFIGS[self.size], domains=domains + 1),
            "to_face": Generator(**CONFIGS[self.size], domains=1),
            # An animal's own run keeps the critics of all animals, which know what it must not look like.
            "patch_animal": Discriminator(domains=len(ANIMALS)),
            "feature_animal": FeatureDiscriminator(self.trunk, len(ANIMALS), self.size * 3 // 2),
            "patch_face": Discriminator(domains=1),
        }
        if domains < len(ANIMALS):
            self._start_from_base()
        if self.settings.compile:
            for network in self.networks.values():
                network.compile()
        translators = [*self.networks["to_animal"].named_parameters(), *self.networks["to_face"].named_parameters()]
        # An animal's affine rows move only in the steps that draw it, and they alone tell the animals apart: ten times the rate.
        rows = [p for name, p in translators if name.endswith((".scale", ".shift"))]
        convolutions = [p for name, p in translators if not name.endswith((".scale", ".shift"))]
        patch_critics = [*self.networks["patch_animal"].parameters(), *self.networks["patch_face"].parameters()]
        critics = [{"params": patch_critics}, {"params": self.networks["feature_animal"].parameters(), "lr": 1.5e-3}]
        # Two time scales (Heusel et al. 2017) instead of the paper's one critic step on a pool of older translations.
        self.optimisers = {
            "translators": torch.optim.Adam([{"params": convolutions}, {"params": rows, "lr": 4e-3}], 4e-4, betas=(0.5, 0.999)),
            "critics": torch.optim.Adam(critics, 6e-4, betas=(0.5, 0.999)),
        }

    def _start_from_base(self) -> None:
        index, state = read_state(self.settings.out.parent / f"cyclegan-base-{self.size}")
        self.base_images = index["images"]
        rows = [0, *(ANIMALS.index(animal) + 1 for animal in self.animals)]
        self.networks["to_animal"].load_state_dict(select_domains(named(state, "network/to_animal/"), rows))
        for name in ("to_face", *CRITICS):
            self.networks[name].load_state_dict(named(state, f"network/{name}/"))

    def step(self) -> dict[str, Tensor]:
        targets = self.batch if self.is_base else 1
        target = torch.randint(len(self.animals), (targets,), generator=self.generator, device=self.device).expand(self.batch)
        face = self._draw_heads()
        animal = self.sampler.draw_mixed(target + 1)
        heads = self.heads[target]
        losses, as_animal, as_face = self._train_translators(face, animal, target, heads)
        return losses | self._train_critics(face, animal, as_animal, as_face, heads)

    def _draw_heads(self) -> Tensor:
        """Heads a little larger, smaller, beside the middle and tilted, so that animals are not all posed alike."""
        portraits = self.sampler.draw(0, self.batch)
        pixels = portraits.shape[-1]
        side = HEAD_SHARE * pixels * (1.02 + 0.12 * self.uniform(self.batch))
        centre = pixels * (0.5 + 0.04 * self.uniform(self.batch, 2))
        return similarity_crops(portraits, centre, side, 0.2 * self.uniform(self.batch), self.size)[0]

    def _train_translators(
        self, face: Tensor, animal: Tensor, target: Tensor, heads: Tensor
    ) -> tuple[dict[str, Tensor], Tensor, Tensor]:
        to_animal, to_face = self.networks["to_animal"], self.networks["to_face"]
        strength = F.one_hot(target, len(self.animals)).float()
        as_animal = to_animal(face, strength)
        back = to_face.translate(torch.cat([as_animal, animal]), animal.new_zeros(2 * self.batch, 0))
        face_again, as_face = back[: self.batch], back[self.batch :]
        animal_again = to_animal(as_face, strength)
        losses = {
            "gan_patch": LAMBDA_PATCH * _towards(self._answer("patch_animal", as_animal), heads, 1.0),
            "gan_feature": LAMBDA_FEATURE[self.is_base] * _towards(self._answer("feature_animal", as_animal), heads, 1.0),
            "gan_face": _towards(self._answer("patch_face", as_face), torch.zeros_like(heads), 1.0),
            "content": LAMBDA_CONTENT[self.is_base] * content_loss(face, as_animal, CONTENT_CORRELATION),
            "variety": LAMBDA_VARIETY[self.is_base] * self._variety(as_animal, animal),
            "cycle": LAMBDA_CYCLE[self.is_base] * (F.l1_loss(face_again, face) + F.l1_loss(animal_again, animal)),
        }
        if self.steps % PHOTO_EVERY == 0:
            losses["photo"] = LAMBDA_PHOTO * F.l1_loss(to_animal.translate(face, torch.zeros_like(strength)), face)
        self.optimisers["translators"].zero_grad()
        self.fabric.backward(sum(losses.values()))
        self.optimisers["translators"].step()
        return {k: v.detach() for k, v in losses.items()}, as_animal.detach(), as_face.detach()

    def _variety(self, as_animal: Tensor, animal: Tensor) -> Tensor:
        """Only pictures of one animal can be compared: after the base run a batch has a single target."""
        if self.is_base:
            return as_animal.new_zeros(())
        with self.fabric.autocast():
            with torch.no_grad():
                real = pairwise_distances(self.trunk(self._enlarge(animal)))
            return mode_seeking_loss(pairwise_distances(self.trunk(self._enlarge(as_animal))), real, VARIETY)

    def _enlarge(self, images: Tensor) -> Tensor:
        return F.interpolate(images, size=self.size * 3 // 2, mode="bilinear", align_corners=False)

    def _train_critics(
        self, face: Tensor, animal: Tensor, as_animal: Tensor, as_face: Tensor, heads: Tensor
    ) -> dict[str, Tensor]:
        none = torch.zeros_like(heads)
        # Another animal's head must refuse this one's real pictures too: critics that know one animal from another teach it.
        others = (heads + 1 + torch.randint_like(heads, len(ANIMALS) - 1)) % len(ANIMALS)
        losses = {"critic_face": _towards(self._answer("patch_face", face), none, 1.0)}
        losses["critic_face"] += _towards(self._answer("patch_face", as_face), none, 0.0)
        for name in ("patch", "feature"):
            real, made = self._answer(f"{name}_animal", animal), self._answer(f"{name}_animal", as_animal)
            refused = 0.5 * (_towards(made, heads, 0.0) + _towards(real, others, 0.0))
            losses[f"critic_{name}"] = _towards(real, heads, 1.0) + refused
        self.optimisers["critics"].zero_grad()
        self.fabric.backward(sum(losses.values()))
        self.optimisers["critics"].step()
        return {k: v.detach() for k, v in losses.items()}

    def _answer(self, critic: str, images: Tensor) -> list[Tensor]:
        return self.networks[critic](diff_augment(images, "translation,cutout"))

    @torch.no_grad()
    def grid(self) -> Image.Image:
        rows = [self.validation]
        for k in range(len(self.animals)):
            strength = F.one_hot(torch.full((len(self.validation),), k), len(self.animals)).float().to(self.device)
            rows.append(self.ema["to_animal"](self.validation, strength))
        return tile(rows)

    def export(self, measures: dict[str, Any]) -> None:
        state = self.ema["to_animal"].state_dict()
        for k, animal in enumerate(self.animals):
            write_checkpoint(
                self.settings.out / "export",
                card_id=f"cyclegan-{animal}-{self.size}",
                family="cyclegan",
                task="translate",
                tensors=select_domains(state, [0, k + 1]),
                resolution=self.size,
                frame="head",
                domains=("face", animal),
                config=CONFIGS[self.size],
                measures=measures,
                training={
                    "recipe": self.name,
                    "images": self.base_images + self.images,
                    "pictures": self.counts[animal],
                    "data": "faces128, animals160",
                },
            )


def _towards(answers: list[Tensor], heads: Tensor, value: float) -> Tensor:
    """Least squares (Mao et al. 2017) of each picture's head against ``value``; every scale's (B, domains, N) counts the same."""
    rows = torch.arange(len(heads), device=heads.device)
    return least_squares([answer[rows, heads] for answer in answers], value)
