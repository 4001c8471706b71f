"""Pixel losses, each a scalar over tensors of one shape in 0..1."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

# A PSNR of 50 dB: beyond it nobody sees a difference.
ERROR_FLOOR = 1e-5


def charbonnier(output: Tensor, target: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Smooth L1 (Lai et al., LapSRN, 2017): mean of sqrt(d^2 + epsilon^2)."""
    return torch.sqrt((output - target).square() + epsilon * epsilon).mean()


def ssim(output: Tensor, target: Tensor) -> Tensor:
    """1 - structural similarity (Wang et al., 2004), as `vsr.evaluation.metrics.ssim` measures it, peak 1; 0 when equal.

    [N, 1, H, W], at least 11 pixels a side.
    """
    taps = torch.exp(-((torch.arange(11, device=output.device, dtype=output.dtype) - 5) ** 2) / (2 * 1.5**2))
    taps = taps / taps.sum()

    def windowed(plane: Tensor) -> Tensor:
        rows = functional.conv2d(plane, taps.view(1, 1, 11, 1))
        return functional.conv2d(rows, taps.view(1, 1, 1, 11))

    mean_o, mean_t = windowed(output), windowed(target)
    var_o = windowed(output * output) - mean_o**2
    var_t = windowed(target * target) - mean_t**2
    covariance = windowed(output * target) - mean_o * mean_t
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_o * mean_t + c1) / (mean_o**2 + mean_t**2 + c1)
    structure = (2 * covariance + c2) / (var_o + var_t + c2)
    return 1.0 - (luminance * structure).mean()


def psnr(output: Tensor, target: Tensor, floor: float = ERROR_FLOOR) -> Tensor:
    """Mean over the patches of log(MSE / `floor` + 1) (Chen et al., HINet, 2021): a dB of any patch counts the same, be it
    smooth or full of detail, as in the mean PSNR of a set. About 50 dB, where nobody sees more, it levels off."""
    errors = (output - target).square().mean(dim=(1, 2, 3))
    return torch.log1p(errors / floor).mean()


def with_chroma(planes: Tensor) -> Tensor:
    """Planes [N, 3, H, W] as a loss over all of them should see them: errors of Cb and Cr, which are small, count four times.

    A loss per plane would not do: by the logarithm of `psnr` the small errors would drown those of luma."""
    weights = torch.tensor([1.0, 2.0, 2.0], device=planes.device, dtype=planes.dtype)
    return planes * weights.view(1, 3, 1, 1)


def steadiness(name: str, output: Tensor, target: Tensor) -> Tensor:
    """Loss `name` of the differences between neighbouring frames of sequences [N, T, H, W]."""
    changes = (output.diff(dim=1).flatten(0, 1).unsqueeze(1), target.diff(dim=1).flatten(0, 1).unsqueeze(1))
    return LOSSES[name](*changes)


LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "l1": functional.l1_loss,
    "charbonnier": charbonnier,
    "mse": functional.mse_loss,
    "ssim": ssim,
    "psnr": psnr,
}


def blended(name: str, output: Tensor, target: Tensor, mse_share: Tensor) -> Tensor:
    """Loss `name` while `mse_share` is 0, the mean squared error once it is 1.

    The share is a tensor, so that it can change without capturing the step again.
    """
    main = LOSSES[name](output, target)
    return main + mse_share * (functional.mse_loss(output, target) - main)
