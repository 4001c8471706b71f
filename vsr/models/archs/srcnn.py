"""The plain convolutional network: Dong et al., "Image super-resolution using deep convolutional networks", 2014.

Three convolutions on the picture enlarged by bicubic, 9-1-5 or as the recipe has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from vsr.models.archs.base import LumaNetwork, NetworkSpec, conv, initialise_for_relu, last_conv


@dataclass(frozen=True)
class SrcnnSpec(NetworkSpec):
    """`first` and `second`: channels of the two hidden layers."""

    widths: ClassVar[tuple[str, ...]] = ("first", "second")

    first: int = 64
    second: int = 32


class Srcnn(LumaNetwork):
    def __init__(self, spec: SrcnnSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype)
        self.layers = nn.Sequential(
            conv(1, spec.first, 9),
            nn.ReLU(),
            conv(spec.first, spec.second, 1),
            nn.ReLU(),
            last_conv(spec.second, 1, 5),
        )
        initialise_for_relu(self.layers[:-1])

    def detail(self, luma: Tensor) -> Tensor:
        large = functional.pixel_shuffle(self.cubic(luma) + luma, self.scale)
        return functional.pixel_unshuffle(self.layers(large), self.scale)


SrcnnSpec.network = Srcnn
