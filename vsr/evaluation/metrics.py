"""PSNR, SSIM, MSE and MAE of one plane against another, blur of one alone, and the luma they are usually measured on.

Planes are arrays [H, W]; `peak` is the largest value a sample can take (255 for 8 bits). A `border` of that many samples
is left out on every side, as super-resolution papers do (border = scale).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from vsr.core.errors import ConfigError

FloatArray = npt.NDArray[np.float64]
Plane = npt.NDArray[Any]

MOST_DB = 100.0
"""The PSNR of equal planes, and the most that any have: means stay finite, and so does JSON."""

SSIM_SIDE = 11
"""Samples a side of SSIM's window: the smallest planes it is known of."""


def y_from_rgb(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Luma uint8 [H, W] in 16..235 of `rgb` uint8 [H, W, 3] by BT.601, limited range, rounded as MATLAB's rgb2ycbcr."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ConfigError(f"expected uint8 [H, W, 3], got {rgb.dtype} {list(rgb.shape)}")
    luma: FloatArray = rgb @ np.array([65.481, 128.553, 24.966]) / 255.0 + 16.0
    rounded: npt.NDArray[np.uint8] = np.floor(luma + 0.5).astype(np.uint8)
    return rounded


def mse(a: Plane, b: Plane, *, border: int = 0) -> float:
    """Mean squared error, in squared code values."""
    x, y = _cropped(a, b, border)
    return float(np.mean((x - y) ** 2))


def mae(a: Plane, b: Plane, *, border: int = 0) -> float:
    """Mean absolute error, in code values."""
    x, y = _cropped(a, b, border)
    return float(np.mean(np.abs(x - y)))


def psnr(a: Plane, b: Plane, *, border: int = 0, peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio in dB; 100 (MOST_DB) for equal planes, and at most."""
    return psnr_from_mse(mse(a, b, border=border), peak=peak)


def psnr_from_mse(error: float, *, peak: float = 255.0) -> float:
    """`psnr` where the mean squared error is known."""
    return MOST_DB if error == 0 else min(10.0 * math.log10(peak * peak / error), MOST_DB)


def blur(plane: Plane) -> float:
    """How blurred a picture looks, without another to compare it with: 0 for crisp, 1 for flat (Crete et al., "The blur effect:
    perception and estimation with a new no-reference perceptual blur metric", 2007).

    It is the share of the differences between neighbours that is left after averaging over 9 samples; the worse of both
    directions counts. Raises ConfigError when fewer than 11 samples a side are given.
    """
    x = plane.astype(np.float64)
    if min(x.shape) < 11:
        raise ConfigError(f"the blur metric needs 11 samples a side, got {x.shape[1]}x{x.shape[0]}")
    found = []
    for picture in (x, x.T):
        sums = np.pad(np.pad(picture, ((0, 0), (4, 4)), mode="edge"), ((0, 0), (1, 0))).cumsum(1)
        averaged = (sums[:, 9:] - sums[:, :-9]) / 9
        before = np.abs(np.diff(picture, axis=1))
        lost = np.maximum(before - np.abs(np.diff(averaged, axis=1)), 0).sum()
        found.append(1.0 - lost / before.sum() if before.any() else 1.0)
    return float(max(found))


def ssim(a: Plane, b: Plane, *, border: int = 0, peak: float = 255.0) -> float:
    """Structural similarity, -1..1 (Wang et al., "Image quality assessment: from error visibility to structural
    similarity", 2004): Gaussian window 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, mean over where the window fits.

    Raises ConfigError when fewer than 11 samples a side are left.
    """
    x, y = _cropped(a, b, border)
    if min(x.shape) < SSIM_SIDE:
        raise ConfigError(
            f"SSIM needs {SSIM_SIDE} samples a side, {x.shape[1]}x{x.shape[0]} are left after the border"
        )
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mean_x, mean_y = _windowed(x), _windowed(y)
    var_x = _windowed(x * x) - mean_x**2
    var_y = _windowed(y * y) - mean_y**2
    covariance = _windowed(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (var_x + var_y + c2)
    return float(np.mean(luminance * structure))


def _cropped(a: Plane, b: Plane, border: int) -> tuple[FloatArray, FloatArray]:
    if a.shape != b.shape or a.ndim != 2:
        raise ConfigError(f"planes to compare must be of one size, got {list(a.shape)} and {list(b.shape)}")
    if border < 0 or 2 * border >= min(a.shape):
        raise ConfigError(f"border {border} leaves nothing of {a.shape[1]}x{a.shape[0]}")
    inside = slice(border, -border or None)
    return a[inside, inside].astype(np.float64), b[inside, inside].astype(np.float64)


def _windowed(plane: FloatArray) -> FloatArray:
    """Gaussian mean (11 taps, sigma 1.5) where the window fits: [H-10, W-10]."""
    taps = np.exp(-((np.arange(11) - 5.0) ** 2) / (2 * 1.5**2))
    taps /= taps.sum()
    for axis in (0, 1):
        length = plane.shape[axis] - 10
        parts = (taps[k] * np.take(plane, np.arange(k, k + length), axis=axis) for k in range(11))
        plane = sum(parts, start=np.zeros(()))
    return plane
