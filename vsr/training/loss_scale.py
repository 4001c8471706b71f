"""Keeps gradients within the range of float16. Its tensors stay in place (see `vsr.training.step`)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_FIRST = 2.0**14
_PATIENCE = 500


class LossScale:
    """A factor on the loss, so that small gradients don't vanish in float16 (Micikevicius et al., "Mixed precision
    training", 2018): halved when one overflows, whose step then counts as without gradient, doubled after 500 that didn't.
    """

    def __init__(self, device: torch.device) -> None:
        self.state = {
            "loss_scale": torch.tensor(_FIRST, device=device),
            "fitting": torch.zeros((), device=device),
        }

    def up(self, loss: Tensor) -> Tensor:
        """The loss to take gradients of."""
        return loss * self.state["loss_scale"]

    @torch.no_grad()
    def down(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """The gradients of the loss itself, zero where one of them overflowed; sets the factor of the next step."""
        scale, fitting = self.state["loss_scale"], self.state["fitting"]
        fits = torch.stack([gradient.isfinite().all() for gradient in gradients]).all()
        factor = torch.where(fits, 1 / scale, 0.0)
        found = [torch.nan_to_num(gradient, posinf=0.0, neginf=0.0) * factor for gradient in gradients]
        long_enough = fitting + 1 >= _PATIENCE
        grown = torch.where(long_enough, scale * 2, scale)
        scale.copy_(torch.where(fits, grown, scale / 2))
        fitting.copy_(torch.where(fits & ~long_enough, fitting + 1, 0.0))
        return found
