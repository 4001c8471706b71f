"""Draws the progress of a training: losses and PSNR over the steps, and a few pictures enlarged by the network."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from vsr.evaluation.datasets import LumaPair
from vsr.evaluation.pictures import busiest
from vsr.evaluation.resize import resize_bicubic
from vsr.training.checkpoint import printable

Luma = npt.NDArray[np.uint8]

_PICTURES = 3
_CROP = 64


def picture_of(
    rows: Sequence[Mapping[str, Any]],
    sets: Mapping[str, Sequence[LumaPair]],
    upscale: Callable[[Luma], Luma],
    scale: int,
) -> bytes:
    """A PNG of the log's `rows` and of crops of up to three pictures of `sets`: bicubic, network, original, where a network
    has most to win. `upscale` takes uint8 [h, w] and gives uint8 [h*scale, w*scale]."""
    # One picture of each set, then the next of each.
    turns = chain.from_iterable(zip_longest(*sets.values()))
    pairs = [pair for pair in turns if pair is not None][:_PICTURES]
    figure = Figure(figsize=(9, 3.2 + 3 * len(pairs)), layout="constrained")
    grid = figure.add_gridspec(1 + len(pairs), 6, height_ratios=[1] * (1 + len(pairs)))
    steps = [row["step"] for row in rows]
    losses = {"network": "loss", "discriminator": "loss_d"}
    _plot(figure.add_subplot(grid[0, :3]), "loss", steps, rows, losses)
    _plot(
        figure.add_subplot(grid[0, 3:]),
        "PSNR, dB",
        steps,
        rows,
        {key.removeprefix("psnr_"): key for row in rows for key in row if key.startswith("psnr_")},
    )
    for line, pair in enumerate(pairs, 1):
        bicubic = resize_bicubic(pair.lr, scale)
        side = min(_CROP, *pair.hr.shape)
        ((top, left),) = busiest(_rgb(bicubic), _rgb(pair.hr), side, 1)
        for column, (title, luma) in enumerate(
            {"bicubic": bicubic, "network": upscale(pair.lr), "original": pair.hr}.items()
        ):
            axes = figure.add_subplot(grid[line, 2 * column : 2 * column + 2])
            axes.imshow(luma[top : top + side, left : left + side], cmap="gray", vmin=0, vmax=255)
            # File names are text, not formulas, and may contain any characters.
            axes.set_title(printable(f"{pair.name}: {title}"), fontsize=8, parse_math=False)
            axes.set_axis_off()
    file = io.BytesIO()
    with warnings.catch_warnings():
        # Matplotlib warns of characters that its font lacks; it draws boxes for them.
        warnings.simplefilter("ignore")
        figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _plot(
    axes: Axes, title: str, steps: Sequence[int], rows: Sequence[Mapping[str, Any]], keys: Mapping[str, str]
) -> None:
    for label, key in keys.items():
        values = [row.get(key, math.nan) for row in rows]
        if not all(map(math.isnan, values)):
            axes.plot(steps, values, marker=".", label=printable(label))
    axes.set_title(title, fontsize=9)
    axes.set_xlabel("steps", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.grid(visible=True, alpha=0.3)
    if len(axes.lines) > 1:
        for text in axes.legend(fontsize=8).get_texts():
            text.set_parse_math(False)


def _rgb(luma: Luma) -> npt.NDArray[np.uint8]:
    return np.repeat(luma[:, :, None], 3, axis=2)
