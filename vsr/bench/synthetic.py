"""Frames out of nothing: detail at several sizes, moving, with a little grain, the same on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from vsr.core.color import Color, Range
from vsr.core.frame import Frame, PixelFormat

RATE = 25


def synthetic_frames(width: int, height: int, count: int) -> Iterator[Frame]:
    """`count` frames of 8-bit 4:2:0, limited range BT.709, 25 a second, panning over one large texture."""
    random = np.random.default_rng(0)
    margin = 64
    luma = _texture(random, width + margin, height + margin)
    chroma = [
        _texture(random, (width + margin) // 2 + 1, (height + margin) // 2 + 1) // 4 + 96 for _ in range(2)
    ]
    color = Color(1, 1, 1, Range.LIMITED)
    yuv420p = PixelFormat("yuv", 8, (1, 1))
    chroma_width, chroma_height = yuv420p.plane_size(1, width, height)
    for index in range(count):
        x = abs(margin - 2 * index % (2 * margin)) // 2 * 2
        y = abs(margin - index % (2 * margin)) // 2 * 2
        planes = [luma[y : y + height, x : x + width]]
        planes += [c[y // 2 : y // 2 + chroma_height, x // 2 : x // 2 + chroma_width] for c in chroma]
        yield Frame(planes, width, height, yuv420p, color, index, 1, Fraction(1, RATE), index)


def _texture(random: np.random.Generator, width: int, height: int) -> NDArray[np.uint8]:
    """Noise at octaves from 64 pixels to 2, louder where larger, as in photographs."""
    picture = np.zeros((height, width))
    for octave in range(6, 0, -1):
        cell = 1 << octave
        coarse = random.standard_normal((height // cell + 2, width // cell + 2))
        rows, columns = np.arange(height) / cell, np.arange(width) / cell
        y, x = rows.astype(int), columns.astype(int)
        v, u = (rows - y)[:, None], (columns - x)[None, :]
        top = coarse[y][:, x] * (1 - u) + coarse[y][:, x + 1] * u
        bottom = coarse[y + 1][:, x] * (1 - u) + coarse[y + 1][:, x + 1] * u
        picture += (top * (1 - v) + bottom * v) * cell**0.5
    low, high = np.percentile(picture, (1, 99))
    codes: NDArray[np.uint8] = np.clip((picture - low) / (high - low) * 219 + 16, 16, 235).astype(np.uint8)
    return codes
