"""The residual network: Lim et al., "Enhanced deep residual networks for single image super-resolution", 2017.

Blocks of conv-ReLU-conv with a skip and without normalisation, and one skip over all of them. The large form of the paper has
32 blocks of 256 channels whose residuals are scaled by 0.1 (`residual_percent` 10).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vsr.models.archs.base import NetworkSpec, ResidualTrunk, conv


@dataclass(frozen=True)
class EdsrSpec(NetworkSpec):
    """`channels` and residual `blocks` of the trunk; `residual_percent` of each block's residual is added."""

    channels: int = 64
    blocks: int = 16
    residual_percent: int = 100


class Edsr(ResidualTrunk):
    def __init__(self, spec: EdsrSpec, compute_dtype: torch.dtype = torch.float32) -> None:
        super().__init__(spec, compute_dtype, spec.channels, (_Block(spec) for _ in range(spec.blocks)))


class _Block(nn.Module):
    def __init__(self, spec: EdsrSpec) -> None:
        super().__init__()
        self.first, self.second = conv(spec.channels, spec.channels), conv(spec.channels, spec.channels)
        self.activation = nn.ReLU()
        self.share = spec.residual_percent / 100

    def forward(self, features: Tensor) -> Tensor:
        result: Tensor = features + self.second(self.activation(self.first(features))) * self.share
        return result


EdsrSpec.network = Edsr
