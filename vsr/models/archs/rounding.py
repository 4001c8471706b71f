"""Features and kernels rounded to 8 bits while a network trains, so that it learns to tolerate int8.

Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def rounded_features(features: Tensor) -> Tensor:
    """Round to 256 levels between the least and the largest value; gradients pass unchanged."""
    result: Tensor = _Features.apply(features)
    return result


def rounded_kernels(kernels: Tensor) -> Tensor:
    """[out, in, h, w] rounded to 255 levels about zero, separately for each output; gradients pass unchanged."""
    result: Tensor = _Kernels.apply(kernels)
    return result


class _Features(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor) -> Tensor:
        least, most = torch.aminmax(features)
        step = ((most - least).float() / 255).clamp_min(1e-12).to(features.dtype)
        return (features / step).round_().mul_(step)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


class _Kernels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernels: Tensor) -> Tensor:
        wide = kernels.float()
        step = (wide.abs().amax((1, 2, 3), keepdim=True) / 127).clamp_min(1e-12)
        return (wide / step).round_().mul_(step).to(kernels.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient
