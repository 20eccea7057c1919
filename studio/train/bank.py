"""``originality-64``: the codes of all pictures that the face and animal generators learn from, and how new new ones are.

One step does it: the projection and the distances have closed forms.
"""

from __future__ import annotations

from typing import Any

import torch
from PIL import Image
from sklearn.decomposition import PCA
from torch import Tensor

from studio.core.checkpoints import default_store
from studio.metrics.class_score import ANIMAL_JUDGE
from studio.models.bank import CodeBank
from studio.train.cyclegan import ANIMALS, read_animal
from studio.train.data import MODEL_PARTS, VALIDATION_PARTS, to_unit
from studio.train.export import write_checkpoint
from studio.train.gan import PACKS, read_faces
from studio.train.loop import Settings, Trainer, tile

SIZE = 64  # px of the generators' pictures, and numbers in a code
RESOLUTION = 96  # px at which the judge looks
BATCH = 64


class BankTrainer(Trainer):
    """Fills the bank in its only step."""

    name = "originality-64"
    images_per_step = 1
    total_images = 1

    def __init__(self, settings: Settings):
        super().__init__(settings)
        store = default_store()
        judge = store.registry.card(ANIMAL_JUDGE)
        self.base = {"id": judge.id, "sha256": judge.sha256}
        self.learnt = [read_faces(SIZE, settings.data, MODEL_PARTS)[0]]
        self.learnt += [read_animal(animal, SIZE, settings, MODEL_PARTS).images.unique(dim=0) for animal in ANIMALS]
        self.new = [read_faces(SIZE, settings.data, VALIDATION_PARTS)[0]]
        self.new += [read_animal(animal, SIZE, settings, VALIDATION_PARTS).images for animal in ANIMALS]
        self.config = {"codes": sum(map(len, self.learnt)), "size": SIZE, "resolution": RESOLUTION, "outputs": len(judge.labels)}
        self.bank = CodeBank(**self.config).eval().requires_grad_(False)
        self.bank.load_state_dict({k: v.float() for k, v in store.load(judge).items()}, strict=False)
        self.networks = {"bank": self.bank}
        self.ready()

    @torch.no_grad()
    def step(self) -> dict[str, Tensor]:
        together = torch.cat([self._look(images) for images in self.learnt])
        principal = PCA(SIZE, random_state=0).fit(together.numpy())
        # Rounded now, as they will be stored, so that a learnt picture's distance is that of the shipped bank.
        self.bank.mean.copy_(torch.as_tensor(principal.mean_).half())
        self.bank.components.copy_(torch.as_tensor(principal.components_).half())
        self.bank.codes.copy_(((together - self.bank.mean) @ self.bank.components.T).half())
        units, start = [], 0
        for images, new in zip(self.learnt, self.new, strict=True):
            codes = self.bank.codes[start : start + len(images)]
            start += len(images)
            typical = torch.cat([self.bank.nearest(to_unit(batch), codes).amin(1) for batch in new.split(BATCH)]).median()
            units.append(typical.expand(len(images)))
        self.bank.unit.copy_(torch.cat(units))
        return {}

    def _look(self, images: Tensor) -> Tensor:
        return torch.cat([self.bank.places(to_unit(batch)) for batch in images.split(BATCH)])

    @torch.no_grad()
    def _originality(self, images: Tensor) -> Tensor:
        return torch.cat([self.bank(to_unit(batch)) for batch in images.split(BATCH)]).flatten()

    @torch.no_grad()
    def evaluate(self) -> dict[str, Any]:
        """Medians of new faces, of new animals, and of learnt faces as they are, a little moved and mirrored.

        Raises:
            ValueError: the bank is still empty.
        """
        if not self.images:
            raise ValueError("The bank is empty: give it any time at all with --minutes.")
        known = self.learnt[0][:: max(1, len(self.learnt[0]) // 500)]
        shifted = torch.roll(known, 1, 3)
        return {
            "new_faces": round(float(self._originality(self.new[0]).median()), 3),
            "new_animals": round(float(self._originality(torch.cat(self.new[1:])).median()), 3),
            "learnt_faces": round(float(self._originality(known).median()), 4),
            "learnt_faces_moved_by_1_px": round(float(self._originality(shifted).median()), 3),
            "learnt_faces_mirrored": round(float(self._originality(known.flip(3)).median()), 3),
        }

    def grid(self) -> Image.Image:
        """New faces from the least to the most original: what the figure means, for who trains."""
        order = self._originality(self.new[0]).argsort()
        return tile(list(to_unit(self.new[0][order[:: max(1, len(order) // 60)]][:60]).split(12)))

    def export(self, measures: dict[str, Any]) -> None:
        own = {name: getattr(self.bank, name) for name in ("mean", "components", "codes", "unit")}
        write_checkpoint(
            self.settings.out / "export",
            card_id=self.name,
            family="bank",
            task="originality",
            base=self.base,
            tensors=own,
            resolution=SIZE,
            frame="head",
            domains=("face", *ANIMALS),
            config=self.config,
            measures=measures,
            training={"recipe": self.name, "pictures": self.config["codes"], "data": ", ".join((*PACKS, "animals160"))},
        )
