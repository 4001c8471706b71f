"""Motion between two frames, by itself: shifts that are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from vsr.evaluation.resize import resize_bicubic
from vsr.models.archs.motion import motion


def texture(seed: int, side: int = 320) -> np.ndarray:
    """Detail of every size, as photographs have it: the spectrum falls as 1 / frequency. uint8 [side, side]."""
    rng = np.random.default_rng(seed)
    across, down = np.fft.fftfreq(side)[None], np.fft.fftfreq(side)[:, None]
    distance = np.hypot(across, down)
    distance[0, 0] = 1.0
    plane = np.fft.ifft2(np.fft.fft2(rng.standard_normal((side, side))) / distance).real
    return np.clip(128 + 40 * plane / plane.std(), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("scale", "shift", "most"),
    [(2, (0, 0), 0.0), (2, (1, 0), 0.15), (2, (-7, 5), 0.15), (2, (21, -32), 0.15), (4, (3, -9), 0.3)],
)
def test_known_shifts_are_found(scale: int, shift: tuple[int, int], most: float) -> None:
    """In samples of the large picture, whose reduced copies lie at fractions of a sample: the median of all blocks."""
    x, y = shift
    large, side = texture(1), 256
    frames = []
    for left, top in ((32, 32), (32 + x, 32 + y)):
        small = resize_bicubic(np.ascontiguousarray(large[top : top + side, left : left + side]), 1 / scale)
        frames.append(torch.from_numpy(small / 255.0).float()[None, None])
    found = scale * motion(*frames)[0]
    away = torch.hypot(found[0] + x, found[1] + y)
    edge = 9 // scale  # What came in over the edge was nowhere before.
    assert float(away[edge:-edge, edge:-edge].median()) <= most


def test_flat_frames_stand_still() -> None:
    flat = torch.full((2, 1, 32, 48), 0.5)
    assert (motion(flat, flat) == 0).all()
    assert motion(flat, flat).shape == (2, 2, 8, 12)
