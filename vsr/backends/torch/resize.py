"""ONNX's Resize in torch, whose own interpolation knows neither its coordinates nor its cubic kernel."""

from __future__ import annotations

import torch
from torch import Tensor


def resize(
    tensor: Tensor,
    _region: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75,
) -> Tensor:
    """`tensor` with each axis at its length in `sizes`, or its own times that in `scales`; edges repeat."""
    for axis in range(tensor.dim()):
        before = tensor.shape[axis]
        factor = float(scales[axis]) if scales is not None and scales.numel() else 0.0
        after = int(before * factor) if factor else int(sizes[axis])  # type: ignore[index]
        if after == before:
            continue
        at = torch.arange(after, dtype=torch.float32, device=tensor.device)
        if coordinate_transformation_mode == "align_corners":
            at = at * ((before - 1) / max(after - 1, 1))
        elif coordinate_transformation_mode == "asymmetric":
            at = at / (factor or after / before)
        else:
            at = (at + 0.5) / (factor or after / before) - 0.5
        if mode == "nearest":
            nearest = _rounded(at, nearest_mode).long()
            tensor = tensor.index_select(axis, nearest.clamp(0, before - 1))
            continue
        first = at.floor()
        weights = _linear(at - first) if mode == "linear" else _cubic(at - first, cubic_coeff_a)
        total: Tensor | None = None
        for place, weight in weights.items():
            taken = tensor.index_select(axis, (first + place).long().clamp(0, before - 1))
            part = taken * weight.to(tensor.dtype).view([-1] + [1] * (tensor.dim() - axis - 1))
            total = part if total is None else total + part
        assert total is not None
        tensor = total
    return tensor


def _rounded(at: Tensor, how: str) -> Tensor:
    if how.startswith("round"):
        return torch.ceil(at - 0.5) if how == "round_prefer_floor" else torch.floor(at + 0.5)
    return at.floor() if how == "floor" else at.ceil()


def _linear(beyond: Tensor) -> dict[int, Tensor]:
    return {0: 1 - beyond, 1: beyond}


def _cubic(beyond: Tensor, a: float) -> dict[int, Tensor]:
    """Keys, "Cubic convolution interpolation for digital image processing", 1981."""

    def near(t: Tensor) -> Tensor:
        return ((a + 2) * t - (a + 3)) * t * t + 1

    def far(t: Tensor) -> Tensor:
        return ((a * t - 5 * a) * t + 8 * a) * t - 4 * a

    return {-1: far(beyond + 1), 0: near(beyond), 1: near(1 - beyond), 2: far(2 - beyond)}
