"""Chooses the places in pictures where patches are drawn, and how often.

Most of a photograph is smooth and teaches little (Wang et al., "SamplingAug: on the importance of patch sampling augmentation
for single image super-resolution", 2021, keep the patches that interpolation does worst).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from vsr.evaluation.datasets import LumaPair
from vsr.training.losses import ERROR_FLOOR

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Places:
    """Places of patches, `patch` pixels a side, in the low resolution of `pairs`; each must hold one.

    A picture is drawn as often as `shares` [len(pairs)] says, which sum to 1. Within it, a place is drawn in proportion to
    the error that its patch has when enlarged by bicubic, to the power `error_power`: at 0 all alike; at 1 each as often as
    it has part in the error of its picture, so that a loss by PSNR over patches falls as that over pictures does.
    """

    def __init__(
        self, pairs: Sequence[LumaPair], patch: int, shares: Floats, error_power: float = 0.0
    ) -> None:
        # Neighbours differ little: one weight for all places in a square of a quarter of a patch.
        step = max(1, patch // 4)
        squares, weights = [], []
        for number, (pair, share) in enumerate(zip(pairs, shares, strict=True)):
            tops, rows = _cut(pair.lr.shape[0] - patch + 1, step)
            lefts, columns = _cut(pair.lr.shape[1] - patch + 1, step)
            errors = _errors(pair, patch, step) if error_power else np.zeros((len(tops), len(lefts)))
            # The floor makes all places of a picture without errors alike. Divided by the largest, no power makes all zero.
            relative = (errors + ERROR_FLOOR) / (errors.max() + ERROR_FLOOR)
            weight = np.outer(rows, columns) * relative**error_power
            weights.append((weight * (share / weight.sum())).ravel())
            grid = np.broadcast_arrays(number, tops[:, None], lefts, rows[:, None], columns)
            squares.append(np.stack([part.ravel() for part in grid], axis=1))
        self._squares = np.concatenate(squares)
        self._edges = np.cumsum(np.concatenate(weights))

    def draw(self, rng: np.random.Generator, count: int) -> tuple[Ints, Ints, Ints]:
        """`count` places: of each the picture's number, the top and the left."""
        found = np.searchsorted(self._edges, rng.random(count) * self._edges[-1], side="right")
        picture, top, left, rows, columns = self._squares[np.minimum(found, len(self._edges) - 1)].T
        return picture, top + rng.integers(0, rows), left + rng.integers(0, columns)


def _cut(places: int, step: int) -> tuple[Ints, Ints]:
    """The starts of the squares along one axis, and the length of each."""
    starts = np.arange(0, places, step)
    return starts, np.minimum(step, places - starts)


def _errors(pair: LumaPair, patch: int, step: int) -> Floats:
    """Mean squared error of luma in 0..1 by bicubic enlargement, of the patches at every `step` places each way."""
    scale = pair.hr.shape[0] // pair.lr.shape[0]
    lr, hr = (torch.from_numpy(plane).float()[None, None] / 255.0 for plane in (pair.lr, pair.hr))
    enlarged = functional.interpolate(lr, scale_factor=float(scale), mode="bicubic")
    errors = functional.avg_pool2d((enlarged - hr).square(), patch * scale, step * scale)
    return errors[0, 0].double().numpy()
