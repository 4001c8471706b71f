"""Replaces the colour under transparent samples by the colour around them, before a network sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vsr.core.frame import Frame, PixelFormat, Plane

Codes = NDArray[np.uint8] | NDArray[np.uint16]
Floats = NDArray[np.float32]


_HARDLY = 16  # Lossy codecs leave noise in alpha around visible samples.


def extended_colour(frame: Frame) -> Sequence[Plane]:
    """The planes of a frame with alpha, without alpha itself. Where alpha is next to nothing, samples get the mean colour of
    the nearest visible samples.

    A network would draw invisible colour, mostly black, into the edge of visible parts. Visible samples stay unchanged.
    """
    opaque = replace(frame.format, alpha=False)
    planes = frame.planes[: opaque.num_planes]
    alpha = _codes(frame.planes[-1], frame.format)
    alpha = np.where(alpha < frame.format.max_code / _HARDLY, alpha.dtype.type(0), alpha)
    if alpha.all() or not alpha.any():
        return planes
    luma = chroma = _pyramid(alpha.astype(np.float32))
    if opaque.log2_chroma != (0, 0):
        weight = luma[0]
        for axis, log2 in zip((1, 0), opaque.log2_chroma, strict=True):
            for _ in range(log2):
                weight = _halved(weight, axis)
        chroma = _pyramid(weight)
    return [
        _extended(_codes(plane, opaque), chroma if number in (1, 2) else luma)
        for number, plane in enumerate(planes)
    ]


def _codes(plane: Plane, fmt: PixelFormat) -> Codes:
    samples = np.ascontiguousarray(plane)
    return samples if fmt.bytes_per_sample == 1 else samples.view("<u2")


def _pyramid(weight: Floats) -> list[Floats]:
    """Weights at full size, at half size and so on, until no weight is 0."""
    levels = [weight]
    while not levels[-1].all():
        levels.append(_smaller(levels[-1]))
    return levels


def _extended(codes: Codes, weights: Sequence[Floats]) -> Plane:
    """Samples, those without weight taken from the first smaller picture in which their place has some."""
    sums = [np.multiply(codes, weights[0], dtype=np.float32)]
    for _ in weights[1:]:
        sums.append(_smaller(sums[-1]))
    filled = sums[-1] / weights[-1]
    for total, weight in zip(sums[-2:0:-1], weights[-2:0:-1], strict=True):
        mean = total / np.maximum(weight, np.float32(1e-3))
        filled = np.where(weight > 0, mean, _doubled(filled, weight.shape))
    if len(weights) == 1:
        return codes.view(np.uint8)
    around = _doubled(np.rint(filled).astype(codes.dtype), codes.shape)
    return np.where(weights[0] > 0, codes, around).view(np.uint8)


def _smaller(values: Floats) -> Floats:
    return _halved(_halved(values, 0), 1)


def _halved(values: Floats, axis: int) -> Floats:
    """Sums of two neighbours each; the last stays alone where their number is odd."""
    first, second = (values[start::2] if axis == 0 else values[:, start::2] for start in (0, 1))
    halves = first.copy()
    (halves if axis == 0 else halves.T)[: second.shape[axis]] += second if axis == 0 else second.T
    return halves


def _doubled(values: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """Each sample four times, cut to a shape."""
    return values.repeat(2, 0)[: shape[0]].repeat(2, 1)[:, : shape[1]]
