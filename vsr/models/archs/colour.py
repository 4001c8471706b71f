"""Networks in colour, `restore` and `anime`: a chain for luma, and beside it a small residual network for Cb and Cr, which
also sees luma.

Eyes see detail in luma, and codecs keep little of chroma: its network works at half the size, with a fraction of the work.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsr.core.errors import ConfigError, WeightsError
from vsr.models.archs.base import CubicResidual, last_conv
from vsr.models.archs.chain import Chain, ChainSpec, PlainChain
from vsr.models.graphs.chroma import GAINS, HALF, MIDDLES


@dataclass(frozen=True)
class ColourSpec(ChainSpec):
    """A chain, and for chroma `chroma_channels` at half the size with `chroma_depth` 3x3 convolutions between the first and the
    last."""

    chroma_channels: int = 24
    chroma_depth: int = 4

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.chroma_channels < 1 or self.chroma_depth < 1:
            raise ConfigError(
                "chroma_channels and chroma_depth must be at least 1, got "
                f"{self.chroma_channels} and {self.chroma_depth}"
            )

    @property
    def planes(self) -> Literal[3]:
        """Of the input and the output."""
        return 3

    @property
    def chroma_widths(self) -> list[tuple[int, int]]:
        """Input and output channels of the convolutions for chroma."""
        trunk = [(self.chroma_channels, self.chroma_channels)] * self.chroma_depth
        last = 2 * (self.scale * HALF) ** 2
        return [(self.planes * HALF**2, self.chroma_channels), *trunk, (self.chroma_channels, last)]

    @property
    def macs_per_pixel(self) -> float:
        return super().macs_per_pixel + sum(9 * i * o for i, o in self.chroma_widths) / HALF**2

    @property
    def parameters(self) -> int:
        slopes = (self.chroma_depth + 1) * self.chroma_channels
        return super().parameters + sum(9 * i * o + o for i, o in self.chroma_widths) + slopes

    @property
    def halo(self) -> int:
        return max(super().halo, (self.chroma_depth + 2) * HALF + HALF - 1)

    @property
    def size_multiple(self) -> int:
        return HALF


class _Chroma(nn.Module):
    """Luma and chroma [N, 3, H, W] to chroma [N, 2, H*scale, W*scale]: residual convolutions. Training starts at bicubic."""

    middles: Tensor
    gains: Tensor

    def __init__(self, spec: ColourSpec) -> None:
        super().__init__()
        self.scale = spec.scale
        *inner, last = spec.chroma_widths
        self.convs = nn.ModuleList([*(nn.Conv2d(i, o, 3, padding=1) for i, o in inner), last_conv(*last)])
        self.acts = nn.ModuleList(nn.PReLU(spec.chroma_channels) for _ in inner)
        self.cubic = CubicResidual(spec.scale)
        for name, values in (("middles", MIDDLES), ("gains", GAINS)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)

    def forward(self, picture: Tensor) -> Tensor:
        features = functional.pixel_unshuffle((picture - self.middles) * self.gains, HALF)
        for number, (convolution, act) in enumerate(zip(self.convs, self.acts, strict=False)):
            found = act(convolution(features))
            features = features + found if number else found
        made = functional.pixel_shuffle(self.convs[-1](features), HALF)
        each = picture[:, 1:].flatten(0, 1).unsqueeze(1)
        base = self.cubic(each) + each
        large = functional.pixel_shuffle(base + made.view(base.shape), self.scale)
        return large.view(picture.shape[0], 2, *large.shape[2:])


class PlainColour(PlainChain):
    """The network as it runs: the tensors of PlainChain, `chroma.convs.N.weight`, `chroma.convs.N.bias` and
    `chroma.acts.N.weight`.

    Takes [N, 3, H, W], luma as chains do, Cb and Cr in -0.5..0.5; gives [N, 3, H*scale, W*scale]. Luma alone [N, 1, H, W] comes
    back as luma.
    """

    def __init__(self, spec: ColourSpec) -> None:
        super().__init__(spec)
        self.chroma = _Chroma(spec)

    def forward(self, picture: Tensor) -> Tensor:
        luma = super().forward(picture[:, :1])
        return luma if picture.shape[1] == 1 else torch.cat([luma, self.chroma(picture)], 1)


class Colour(Chain):
    """The network as it trains. Same input and output as PlainColour; `fold` gives PlainColour's weights."""

    def __init__(self, spec: ColourSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype)
        self.chroma = _Chroma(spec)

    def forward(self, picture: Tensor) -> Tensor:
        luma = super().forward(picture[:, :1])
        fast = self.compute_dtype != torch.float32
        with torch.autocast(picture.device.type, self.compute_dtype, enabled=fast):
            chroma = self.chroma(picture)
        return torch.cat([luma, chroma.float()], 1)

    @torch.no_grad()
    def fold(self) -> dict[str, Tensor]:
        beside = {f"chroma.{name}": tensor for name, tensor in self.chroma.state_dict().items()}
        return super().fold() | {name: t.detach().float().cpu().clone() for name, t in beside.items()}

    @torch.no_grad()
    def load_folded(self, state: dict[str, Tensor]) -> None:
        """Start from the result of `fold`, or from a chain of the same size on luma, which leaves chroma as it is. Raises
        WeightsError where it doesn't fit."""
        chroma = {name.removeprefix("chroma."): t for name, t in state.items() if name.startswith("chroma.")}
        super().load_folded({name: t for name, t in state.items() if not name.startswith("chroma.")})
        if chroma:
            try:
                self.chroma.load_state_dict(chroma)
            except RuntimeError as error:
                raise WeightsError(f"these weights are not of a network with {self.spec}") from error
