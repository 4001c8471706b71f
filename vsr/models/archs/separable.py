"""Depthwise-separable residual blocks: Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision
applications", 2017, with the wide activation of Yu et al., "Wide activation for efficient and accurate image
super-resolution", 2018.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vsr.models.archs.base import LumaNetwork, NetworkSpec, conv, last_conv


@dataclass(frozen=True)
class SeparableSpec(NetworkSpec):
    """`channels` of the trunk, its `blocks`, and how many times wider a block is `inside`."""

    channels: int = 32
    blocks: int = 8
    inside: int = 2


class Separable(LumaNetwork):
    def __init__(self, spec: SeparableSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype)
        self.head = conv(1, spec.channels)
        self.blocks = nn.Sequential(*(_Block(spec) for _ in range(spec.blocks)))
        self.tail = last_conv(spec.channels, spec.scale**2)

    def detail(self, luma: Tensor) -> Tensor:
        result: Tensor = self.tail(self.blocks(self.head(luma)))
        return result


class _Block(nn.Module):
    def __init__(self, spec: SeparableSpec) -> None:
        super().__init__()
        wide = spec.channels * spec.inside
        self.layers = nn.Sequential(
            conv(spec.channels, wide, 1),
            nn.ReLU(),
            conv(wide, wide, groups=wide),
            nn.ReLU(),
            conv(wide, spec.channels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = features + self.layers(features)
        return result


SeparableSpec.network = Separable
