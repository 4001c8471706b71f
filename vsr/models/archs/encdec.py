"""An encoder and decoder with skip connections: Mao et al., "Image restoration using very deep convolutional encoder-decoder
networks with symmetric skip connections", 2016, with the halved resolutions of U-Net (Ronneberger et al., 2015).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsr.models.archs.base import LumaNetwork, NetworkSpec, conv, initialise_for_relu, last_conv


@dataclass(frozen=True)
class EncdecSpec(NetworkSpec):
    """`channels` at the input's resolution; twice as many at half the resolution, four times as many at a quarter."""

    size_multiple: ClassVar[int] = 4

    channels: int = 32


class Encdec(LumaNetwork):
    def __init__(self, spec: EncdecSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype)
        wide = [spec.channels << level for level in range(3)]
        self.inward = nn.ModuleList(
            [_pair(1, wide[0]), _pair(4 * wide[0], wide[1]), _pair(4 * wide[1], wide[2])]
        )
        self.up = nn.ModuleList([conv(wide[2], 4 * wide[1], 1), conv(wide[1], 4 * wide[0], 1)])
        self.outward = nn.ModuleList([_pair(wide[1], wide[1]), _pair(wide[0], wide[0])])
        initialise_for_relu(self.inward, self.outward)
        self.tail = last_conv(wide[0], spec.scale**2)

    def detail(self, luma: Tensor) -> Tensor:
        full = self.inward[0](luma)
        half = self.inward[1](functional.pixel_unshuffle(full, 2))
        quarter = self.inward[2](functional.pixel_unshuffle(half, 2))
        half = self.outward[0](functional.pixel_shuffle(self.up[0](quarter), 2) + half)
        full = self.outward[1](functional.pixel_shuffle(self.up[1](half), 2) + full)
        result: Tensor = self.tail(full)
        return result


def _pair(width_in: int, width_out: int) -> nn.Sequential:
    return nn.Sequential(conv(width_in, width_out), nn.ReLU(), conv(width_out, width_out), nn.ReLU())


EncdecSpec.network = Encdec
