"""Cubic enlargement as one small convolution: the kernels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vsr.models.spec import Siting

_TAPS = 5  # enough for every phase of a cubic kernel, whose support is 4 samples


def cubic(distance: NDArray[np.float64], a: float = -0.5) -> NDArray[np.float64]:
    """Keys's cubic convolution kernel (1981) at distances in samples; a = -0.5 as MATLAB, -0.6 as FFmpeg has it."""
    t = np.abs(distance)
    near = (a + 2) * t**3 - (a + 3) * t**2 + 1
    far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def phase_kernels(scale: int, sited_on_sample: bool, subsampling: int = 2) -> NDArray[np.float64]:
    """[scale, 5] weights on the samples -2..2 around the one an output sample comes from.

    The picture is enlarged about its edges, so output sample j of a plane whose samples are centred lies at
    (j + 1/2)/scale - 1/2. Chroma sited on every `subsampling`-th luma sample lies elsewhere: its output sample m belongs at
    luma m x subsampling of the enlarged picture, which is (m + 1/(2 subsampling))/scale - 1/(2 subsampling) in chroma samples.
    """
    edge = 0.5 / subsampling if sited_on_sample else 0.5
    positions = (np.arange(scale) + edge) / scale - edge
    return cubic(positions[:, None] - np.arange(-(_TAPS // 2), _TAPS // 2 + 1)[None, :])


def residual_kernels(scale: int, siting: Siting, *, exact: bool) -> NDArray[np.float32]:
    """[scale^2, 1, 5, 5]: cubic enlargement less the repeated sample, one kernel for each place in the output block.

    Unless exact, weights are multiples of 1/256 that sum to zero: bfloat16 holds them exactly, so flat areas stay flat.
    """
    vertical = phase_kernels(scale, siting == "topleft")
    horizontal = phase_kernels(scale, siting in ("left", "topleft"))
    kernels = np.einsum("iy,jx->ijyx", vertical, horizontal).reshape(scale * scale, _TAPS, _TAPS)
    if not exact:
        kernels = np.round(kernels * 256) / 256
    middle = _TAPS // 2
    kernels[:, middle, middle] -= kernels.sum(axis=(1, 2))
    single: NDArray[np.float32] = kernels[:, None].astype(np.float32)
    return single
