"""Finds cuts: whether a frame begins a new scene, from its luma and that of the frame before.

As in encoders, a cut is where the frame before cannot predict the frame, wherever its parts may have moved. Frames are
compared as thumbnails, also with the light of the first brought to that of the second: flashes and fades are no cuts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Thumbnail = npt.NDArray[np.float32]

_LONGEST = 64  # Samples of a thumbnail's longer side.
_BLOCK = 8  # Side of the blocks that move, in samples of a thumbnail.
_REACH = 6  # How far they move: a tenth of the longer side.
_SAMPLES = 4  # Rows and columns of the picture that a sample of its thumbnail averages.
_GAIN, _OFFSET = 3.0, 112.0  # How far light changes within a scene, in contrast and in codes of 8 bits.
_BINS = 32
_LEAST = 1.5  # Codes: what differs by less is noise.
_CUT = 0.88  # `benchmarks/cuts.py` says how it was chosen.


def thumbnail(luma: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], bits: int = 8) -> Thumbnail:
    """A luma plane, codes of `bits` bits, about 64 samples on its longer side, from 0 to 255: what `is_cut` compares."""
    factor = max(1, round(max(luma.shape) / _LONGEST))
    starts = [factor * np.arange(max(1, side // factor)) for side in luma.shape]
    steps = sorted({(2 * n + 1) * factor // (2 * _SAMPLES) for n in range(_SAMPLES)})
    total = np.zeros([len(along) for along in starts], np.uint32)
    for y in steps:
        for x in steps:
            rows, columns = (
                np.minimum(along + step, side - 1)
                for along, step, side in zip(starts, (y, x), luma.shape, strict=True)
            )
            total += luma[rows[:, None], columns]
    return np.asarray(total * (255 / (((1 << bits) - 1) * len(steps) ** 2)), np.float32)


def is_cut(before: Thumbnail, now: Thumbnail) -> bool:
    """Whether the frame of thumbnail `now` begins a new scene after that of `before`. Another size is a new scene.

    It is one where what differs after motion, over what differs from each block's own mean, plus half the distance of
    histograms (0 to 1), is more than 0.88: both as they are and in the same light.
    """
    if before.shape != now.shape:
        return True
    before, now = (
        np.pad(plane, [(0, max(0, _BLOCK - side)) for side in plane.shape], "edge") for plane in (before, now)
    )
    height, width = (side // _BLOCK * _BLOCK for side in now.shape)
    before, now = before[:height, :width], now[:height, :width]
    return all(_differs(lit, now) for lit in (before, _in_light_of(now, before)))


def _differs(before: Thumbnail, now: Thumbnail) -> bool:
    height, width = now.shape
    blocks = now.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK)
    own = float(np.abs(blocks - blocks.mean((1, 3), keepdims=True)).mean()) + _LEAST
    most = (_CUT - _distance(before, now) / 2) * own
    return float(np.abs(now - before).mean()) > most and _after_motion(before, now) > most


def _in_light_of(now: Thumbnail, before: Thumbnail) -> Thumbnail:
    """`before` with the mean and the contrast of `now`, as far as light changes within a scene."""
    gain = np.clip((now.std() + 0.5) / (before.std() + 0.5), 1 / _GAIN, _GAIN)
    mean = before.mean()
    return np.asarray(
        (before - mean) * gain + mean + np.clip(now.mean() - mean, -_OFFSET, _OFFSET), np.float32
    )


def _distance(a: Thumbnail, b: Thumbnail) -> float:
    """Between histograms: the share of samples that would have to change their bin."""
    counts = [
        np.bincount((plane.clip(0, 255) * (_BINS / 256)).astype(np.int64).ravel(), minlength=_BINS)
        for plane in (a, b)
    ]
    return float(np.abs(counts[0] - counts[1]).sum()) / (2 * a.size)


def _after_motion(before: Thumbnail, now: Thumbnail) -> float:
    """The mean difference where each block of `now` has moved from where it matches `before` best."""
    height, width = now.shape
    padded = np.pad(before, _REACH, "edge")
    best = np.full((height // _BLOCK, width // _BLOCK), np.inf, np.float32)
    for y in range(2 * _REACH + 1):
        rows = np.lib.stride_tricks.sliding_window_view(padded[y : y + height], width, 1).swapaxes(0, 1)
        apart = np.abs(rows - now)  # [shifts, height, width]
        across = apart.reshape(len(rows), height // _BLOCK, _BLOCK, width).sum(2)
        sums = across.reshape(*across.shape[:2], width // _BLOCK, _BLOCK).sum(3)
        np.minimum(best, sums.min(0), out=best)
    return float(best.mean()) / _BLOCK**2
