"""Bicubic resizing that agrees with MATLAB's ``imresize``, which published super-resolution figures are made with.

Keys' cubic kernel with a = -0.5 (R. Keys, "Cubic convolution interpolation for digital image processing", 1981), widened
by the scale when shrinking (antialiasing), edges mirrored.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from vsr.core.errors import ConfigError

FloatArray = npt.NDArray[np.float64]


def cubic_kernel(distance: FloatArray) -> FloatArray:
    """Keys' kernel (a = -0.5) at `distance` in samples; zero from 2 on."""
    x = np.abs(distance)
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x <= 1.0, near, np.where(x < 2.0, far, 0.0))


def bicubic_taps(length_in: int, length_out: int, scale: float) -> tuple[npt.NDArray[np.int64], FloatArray]:
    """The input samples that make each output sample along one axis, and the weight of each.

    Returns indices int64 [length_out, taps] and weights float64 [length_out, taps]; each row of weights sums to 1.
    """
    widen = min(scale, 1.0)
    width = 4.0 / widen
    centre = (np.arange(length_out, dtype=np.float64) + 0.5) / scale - 0.5
    first = np.floor(centre - width / 2).astype(np.int64) + 1
    # One tap more than the support: rounding the ends may need it; otherwise its weight is zero.
    indices = first[:, None] + np.arange(math.ceil(width) + 1)
    weights = cubic_kernel((centre[:, None] - indices) * widen)
    weights /= weights.sum(axis=1, keepdims=True)
    # Mirror about the edges with the edge sample repeated, as often as a small picture needs.
    mirrored = np.mod(indices, 2 * length_in)
    mirrored = np.where(mirrored < length_in, mirrored, 2 * length_in - 1 - mirrored)
    used = np.any(weights != 0.0, axis=0)
    return mirrored[:, used], weights[:, used]


def resize_bicubic(
    plane: npt.NDArray[Any], scale: float, size: tuple[int, int] | None = None
) -> npt.NDArray[Any]:
    """`plane` [H, W] enlarged or reduced by `scale` (2 doubles, 0.5 halves), as MATLAB's ``imresize`` does it.

    The result has ceil(H*scale) rows and ceil(W*scale) columns unless `size` = (rows, columns) says otherwise. uint8 in
    gives uint8 out, rounded half away from zero and clipped; any other dtype is computed in and returned as float64.
    Raises ConfigError for a scale that is not positive, or a plane that is not two-dimensional or is empty.
    """
    if not scale > 0:
        raise ConfigError(f"scale must be positive, got {scale}")
    if plane.ndim != 2:
        raise ConfigError(f"a plane has two dimensions, got shape {plane.shape}")
    height, width = plane.shape
    if not plane.size:
        raise ConfigError(f"a plane of {width}x{height} samples cannot be resized")
    # The tiny slack keeps 1/3 of 300 from becoming 101 rows.
    rows, columns = size or (math.ceil(height * scale - 1e-9), math.ceil(width * scale - 1e-9))
    result = _resize_rows(plane.astype(np.float64), rows, scale)
    result = _resize_rows(np.ascontiguousarray(result.T), columns, scale).T
    if plane.dtype == np.uint8:
        return np.clip(np.floor(result + 0.5), 0, 255).astype(np.uint8)
    return np.ascontiguousarray(result)


def _resize_rows(plane: FloatArray, length_out: int, scale: float) -> FloatArray:
    indices, weights = bicubic_taps(plane.shape[0], length_out, scale)
    result = weights[:, :1] * plane[indices[:, 0]]
    for tap in range(1, indices.shape[1]):
        result += weights[:, tap : tap + 1] * plane[indices[:, tap]]
    return result
