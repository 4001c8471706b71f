"""Pixel losses, each a scalar over tensors of one shape in 0..1."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional


def charbonnier(output: Tensor, target: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Smooth L1 (Lai et al., LapSRN, 2017): mean of sqrt(d^2 + epsilon^2)."""
    return torch.sqrt((output - target).square() + epsilon * epsilon).mean()


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": functional.l1_loss,
    "charbonnier": charbonnier,
}


def blended(name: str, output: Tensor, target: Tensor, mse_share: Tensor) -> Tensor:
    """Loss `name` while `mse_share` is 0, the mean squared error once it is 1.

    The share is a tensor, so that a captured step can be told without being captured again.
    """
    main = LOSSES[name](output, target)
    return main + mse_share * (functional.mse_loss(output, target) - main)
