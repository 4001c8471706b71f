"""Residual in residual dense blocks: Wang et al., "ESRGAN: enhanced super-resolution generative adversarial networks", 2018."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from vsr.models.archs.base import NetworkSpec, ResidualTrunk, conv

_SHARE = 0.2


@dataclass(frozen=True)
class RrdbSpec(NetworkSpec):
    """`channels` of the trunk, `growth` channels of each dense convolution, and `blocks` of three dense blocks each."""

    widths: ClassVar[tuple[str, ...]] = ("channels", "growth")

    channels: int = 64
    growth: int = 32
    blocks: int = 23


class Rrdb(ResidualTrunk):
    def __init__(self, spec: RrdbSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype, spec.channels, (_Rrdb(spec) for _ in range(spec.blocks)))


class _Rrdb(nn.Module):
    def __init__(self, spec: RrdbSpec) -> None:
        super().__init__()
        self.dense = nn.Sequential(*(_Dense(spec) for _ in range(3)))

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = features + self.dense(features) * _SHARE
        return result


class _Dense(nn.Module):
    """Five convolutions, each seeing all before it."""

    def __init__(self, spec: RrdbSpec) -> None:
        super().__init__()
        widths = [spec.channels + n * spec.growth for n in range(5)]
        self.convs = nn.ModuleList(conv(width, spec.growth) for width in widths[:-1])
        self.last = conv(widths[-1], spec.channels)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, features: Tensor) -> Tensor:
        seen = features
        for layer in self.convs:
            seen = torch.cat([seen, self.activation(layer(seen))], dim=1)
        result: Tensor = features + self.last(seen) * _SHARE
        return result


RrdbSpec.network = Rrdb
