"""Figures of a result against its original, by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from vsr.evaluation import metrics
from vsr.evaluation.datasets import METRICS

Picture = npt.NDArray[np.uint8]
Figures = dict[str, float]


def on_y(result: Picture, original: Picture, border: int) -> Figures:
    """Of luma [H, W]."""
    return {f"{name}_y": metric(result, original, border=border) for name, metric in METRICS.items()}


def on_rgb(result: Picture, original: Picture, border: int) -> Figures:
    """Of pictures [H, W, 3]: means over the channels; PSNR of their mean squared error."""
    mean = {
        name: float(
            np.mean([METRICS[name](result[..., c], original[..., c], border=border) for c in range(3)])
        )
        for name in ("ssim", "mse", "mae")
    }
    figures = {"psnr": metrics.psnr_from_mse(mean["mse"])} | mean
    return {f"{name}_rgb": value for name, value in figures.items()}


def mean_of(rows: Sequence[Figures]) -> Figures:
    """The mean of each figure, over the rows that have it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: float(np.mean([row[name] for row in rows if name in row])) for name in names}
