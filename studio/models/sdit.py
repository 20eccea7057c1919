"""SDIT (Wang et al. 2019; Wang 2020, chapter 6): one generator for all domains, many pictures of each.

Which domain a picture goes to is told to the encoder, E(x, l). Which of the many pictures there it becomes is told to the
residual blocks behind it by a latent z, through M and conditional instance norms (eq. 6.10). Where it changes at all is up to the
attention (eq. 6.9).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from studio.core.registry import register_model

LEAK = 0.1  # of what a picture should have been that is learnt from where it is full
RANGE = 0.98  # of a photo's values, so that there is room for change at either end


class Norm(nn.Module):
    """gamma (x - mu) / delta + beta, where a condition may say the scale gamma and the shift beta (eq. 6.10).

    Args:
        conditions: numbers of the condition; 0 for none.
        whole: mu and delta are those of all channels together. An instance norm takes them of each, and forgets colours.
        scale, shift: what the condition has a say in.
    """

    def __init__(self, channels: int, conditions: int = 0, whole: bool = False, scale: bool = True, shift: bool = True):
        super().__init__()
        self.whole = whole
        self.scale, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.to_scale = _said(conditions, channels) if conditions and scale else None
        self.to_shift = _said(conditions, channels) if conditions and shift else None

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``x`` (B, C, h, w), ``condition`` (B, conditions) -> (B, C, h, w)."""
        scale = self.scale if self.to_scale is None else self.scale + self.to_scale(condition)
        shift = self.shift if self.to_shift is None else self.shift + self.to_shift(condition)
        channels = -1, x.shape[1], 1, 1
        plain = F.group_norm(x, 1) if self.whole else F.instance_norm(x)
        return torch.addcmul(shift.view(channels), plain, scale.view(channels))


class Block(nn.Module):
    """Two 3x3 convolutions around a skip, with instance norms; ``norm``: what a :class:`Norm` takes."""

    def __init__(self, channels: int, **norm: int):
        super().__init__()
        self.first, self.second = _conv3(channels, channels), _conv3(channels, channels)
        self.first_norm, self.second_norm = Norm(channels, **norm), Norm(channels, **norm)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        """``x`` (B, C, h, w), ``condition`` (B, conditions) -> (B, C, h, w)."""
        y = F.relu(self.first_norm(self.first(x), condition))
        return x + self.second_norm(self.second(y), condition)


class Generator(nn.Module):
    """E, M, the residual blocks T^c with CIN, the attention T^a, and what draws.

    Four pixels make one place before the first layer and after the last one: layers at the full side would take half of the time.
    What is drawn is added to the photo, before the tanh that keeps a picture in its range: a network need not learn to give the
    photo back, only what is to change, and where nothing is attended the photo stays.

    Args:
        labels: domains, or attributes, K. latent: numbers Z in z.
        width: channels at half the side; they double at each of the ``n_downs`` halvings that follow.
        n_blocks: residual blocks of E, of T^c and of T^a each.
        hidden: numbers that M finds; the norms' own layers are its second one.
        scale, shift: which of gamma and beta z has a say in; neither leaves out z.
        attention: without it all of the picture is changed.
    """

    def __init__(
        self,
        labels: int,
        latent: int = 8,
        width: int = 64,
        n_downs: int = 1,
        n_blocks: int = 2,
        hidden: int = 64,
        scale: bool = True,
        shift: bool = True,
        attention: bool = True,
    ):
        super().__init__()
        widths = [width * 2**k for k in range(n_downs + 1)]
        most = widths[-1]
        self.downs = nn.ModuleList([_conv3(12, width), *(_conv4(c, 2 * c) for c in widths[:-1])])
        self.down_norms = nn.ModuleList(Norm(c, labels, whole=True) for c in widths)
        self.encode = nn.ModuleList(Block(most, conditions=labels) for _ in range(n_blocks))
        self.map = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU())
        nn.init.kaiming_normal_(self.map[0].weight)
        self.change = nn.ModuleList(Block(most, conditions=hidden, scale=scale, shift=shift) for _ in range(n_blocks))
        self.attend = nn.ModuleList(Block(most) for _ in range(n_blocks * attention))
        self.attention = nn.Conv2d(most, 1, 3, 1, 1, bias=False) if attention else None
        self.attention_norm = Norm(1) if attention else None
        if attention:
            nn.init.ones_(self.attention_norm.shift)  # at first nearly everywhere
        self.ups = nn.ModuleList(_conv3(2 * c, c) for c in reversed(widths[:-1]))
        self.up_norms = nn.ModuleList(Norm(c, whole=True) for c in reversed(widths[:-1]))
        self.to_rgb = nn.Conv2d(width, 12, 3, 1, 1)
        with torch.no_grad():  # the four pixels of a place begin alike, else a lattice stays for long
            self.to_rgb.weight.copy_(self.to_rgb.weight[::4].repeat_interleave(4, 0))
            self.to_rgb.bias.zero_()

    def forward(self, image: Tensor, label: Tensor, latent: Tensor) -> dict[str, Tensor]:
        """Translates pictures.

        Args:
            image: (B, 3, R, R) in [-1, 1].
            label: (B, K) in [0, 1], what the picture shall show; all of it, not only what changes.
            latent: (B, Z), drawn from N(0, I).

        Returns:
            ``image`` (B, 3, R, R) in [-1, 1]; with attention also ``attention`` (B, 1, R, R) in [0, 1], where it changed; in
            training also ``change`` (B, 3, R, R), what would be added before the tanh if all were attended.
        """
        found = self._encode(image, label)
        changed, code = found, self.map(latent)
        for block in self.change:
            changed = block(changed, code)
        if self.attention is None:
            return self._draw(changed, image)
        where = self._attend(found)
        size = image.shape[-2:]
        wide = F.interpolate(where, size=size, mode="bilinear", align_corners=False)
        return self._draw((1 - where) * found + where * changed, image, wide) | {"attention": wide}  # eq. 6.9

    def _encode(self, image: Tensor, label: Tensor) -> Tensor:
        """E(x, l): (B, C, h, w). A norm right behind the label's own maps would forget them: it is in the norms."""
        x = F.pixel_unshuffle(image, 2)
        for conv, norm in zip(self.downs, self.down_norms, strict=True):
            x = F.relu(norm(conv(x), label))
        for block in self.encode:
            x = block(x, label)
        return x

    def _attend(self, found: Tensor) -> Tensor:
        """a = T^a(e): (B, 1, h, w). The norm before the sigmoid keeps a map from being the same everywhere."""
        x = found
        for block in self.attend:
            x = block(x, found)
        return self.attention_norm(self.attention(x), found).sigmoid()

    def _draw(self, x: Tensor, image: Tensor, where: Tensor | float = 1.0) -> dict[str, Tensor]:
        for conv, norm in zip(self.ups, self.up_norms, strict=True):
            x = F.relu(norm(conv(F.interpolate(x, scale_factor=2)), x))
        change = without_lattice(F.pixel_shuffle(self.to_rgb(x), 2))
        drawn = torch.atanh(RANGE * image.float()) + (where * change).float()
        if not self.training:
            return {"image": torch.tanh(drawn)}
        # Behind a tanh a colour that is full would learn nothing more: red that should have been yellow stayed red.
        return {"image": torch.tanh(drawn) + LEAK * (drawn - drawn.detach()), "change": change}


def without_lattice(change: Tensor) -> Tensor:
    """Every pixel mixed with its neighbours as 1, 2, 1 in rows and columns: what alternates from pixel to pixel, as four pixels
    from one place may, is gone. The photo itself, to which it is added, stays sharp."""
    for sides in ((1, 0, 1, 0), (0, 1, 0, 1)):
        change = F.avg_pool2d(F.pad(change, sides, mode="replicate"), 2, 1)
    return change


def _said(conditions: int, channels: int) -> nn.Linear:
    """What conditions of variance 1 say has that variance too: what is hardly heard at first, F_rec never learns to hear."""
    layer = nn.Linear(conditions, channels, bias=False)
    nn.init.normal_(layer.weight, std=conditions**-0.5)
    return layer


def _conv3(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)


def _conv4(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)


@register_model("sdit")
def sdit(**config: int) -> Generator:
    return Generator(**config)
