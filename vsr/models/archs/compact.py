"""The compact network of Real-ESRGAN, SRVGG: Wang et al., "Real-ESRGAN: training real-world blind super-resolution with pure
synthetic data", 2021. A plain chain of 3x3 convolutions with PReLU.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from vsr.models.archs.base import LumaNetwork, NetworkSpec, conv, last_conv


@dataclass(frozen=True)
class CompactSpec(NetworkSpec):
    """`channels` of the trunk and its `depth` in convolutions, between the first and the last."""

    channels: int = 64
    depth: int = 16


class Compact(LumaNetwork):
    def __init__(self, spec: CompactSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype)
        widths = [1, *[spec.channels] * (spec.depth + 1)]
        layers: list[nn.Module] = []
        for width_in, width_out in pairwise(widths):
            layers += [conv(width_in, width_out), nn.PReLU(width_out)]
        self.layers = nn.Sequential(*layers, last_conv(spec.channels, spec.scale**2))

    def detail(self, luma: Tensor) -> Tensor:
        result: Tensor = self.layers(luma)
        return result


CompactSpec.network = Compact
