"""The efficient sub-pixel network: Shi et al., "Real-time single image and video super-resolution using an efficient
sub-pixel convolutional neural network", 2016. Everything at the input's resolution, 5-3-3, then one shuffle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vsr.models.archs.base import LumaNetwork, NetworkSpec, conv, last_conv


@dataclass(frozen=True)
class EspcnSpec(NetworkSpec):
    """`first` and `second`: channels of the two hidden layers."""

    widths: ClassVar[tuple[str, ...]] = ("first", "second")

    first: int = 64
    second: int = 32


class Espcn(LumaNetwork):
    def __init__(self, spec: EspcnSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype)
        self.layers = nn.Sequential(
            conv(1, spec.first, 5),
            nn.Tanh(),
            conv(spec.first, spec.second),
            nn.Tanh(),
            last_conv(spec.second, spec.scale**2),
        )

    def detail(self, luma: Tensor) -> Tensor:
        result: Tensor = self.layers(luma)
        return result


EspcnSpec.network = Espcn
