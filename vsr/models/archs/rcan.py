"""Channel attention: Zhang et al., "Image super-resolution using very deep residual channel attention networks", 2018."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vsr.models.archs.base import NetworkSpec, ResidualTrunk, conv


@dataclass(frozen=True)
class RcanSpec(NetworkSpec):
    """`channels` of the trunk, `groups` of `blocks`, and the `reduction` of channels inside the attention.

    Attention averages over the whole picture, so tiles come out close to it and not the same.
    """

    whole: ClassVar[bool] = True

    channels: int = 64
    groups: int = 10
    blocks: int = 20
    reduction: int = 16


class Rcan(ResidualTrunk):
    def __init__(self, spec: RcanSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype, spec.channels, (_Group(spec) for _ in range(spec.groups)))


class _Group(nn.Module):
    def __init__(self, spec: RcanSpec) -> None:
        super().__init__()
        blocks = [_Block(spec) for _ in range(spec.blocks)]
        self.layers = nn.Sequential(*blocks, conv(spec.channels, spec.channels))

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = features + self.layers(features)
        return result


class _Block(nn.Module):
    def __init__(self, spec: RcanSpec) -> None:
        super().__init__()
        width, narrow = spec.channels, max(1, spec.channels // spec.reduction)
        self.layers = nn.Sequential(conv(width, width), nn.ReLU(), conv(width, width))
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), conv(width, narrow, 1), nn.ReLU(), conv(narrow, width, 1), nn.Sigmoid()
        )

    def forward(self, features: Tensor) -> Tensor:
        found = self.layers(features)
        result: Tensor = features + found * self.weigh(found)
        return result


RcanSpec.network = Rcan
