"""Planes as arrays: stacked, padded, cut into windows and put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vsr.core.color import Color
from vsr.core.frame import Frame, PixelFormat, Plane
from vsr.upscale.tiles import Window


@dataclass(frozen=True, slots=True)
class Kind:
    """The kind of a frame's planes. Frames of one kind go through a graph together. width, height: luma samples."""

    width: int
    height: int
    format: PixelFormat
    color: Color

    @staticmethod
    def of(frame: Frame) -> Kind:
        return Kind(frame.width, frame.height, frame.format, frame.color)


def stacked(planes: Sequence[Plane]) -> NDArray[np.uint8]:
    """[N, 1, h, w]; a view where there is one plane."""
    if len(planes) == 1:
        return np.asarray(planes[0])[None, None]
    return np.stack([np.asarray(plane) for plane in planes])[:, None]


def padded(plane: NDArray[np.uint8], width: int, height: int, unit: int) -> NDArray[np.uint8]:
    """The plane with its last column and row repeated up to width x height samples."""
    right, below = width - plane.shape[3] // unit, height - plane.shape[2]
    if not right and not below:
        return plane
    samples = plane.reshape(*plane.shape[:3], -1, unit)
    samples = np.pad(samples, ((0, 0), (0, 0), (0, below), (0, right), (0, 0)), mode="edge")
    return samples.reshape(*samples.shape[:3], -1)


def cut(
    plane: NDArray[np.uint8],
    horizontal: Window,
    vertical: Window,
    shift: tuple[int, int],
    unit: int,
    scale: int = 1,
) -> NDArray[np.uint8]:
    """The part of a plane inside a window. scale: of the plane, as often as large as the windows count."""
    across = scale * unit
    left, width = (horizontal.start >> shift[0]) * across, (horizontal.length >> shift[0]) * across
    top, height = (vertical.start >> shift[1]) * scale, (vertical.length >> shift[1]) * scale
    if (height, width) == plane.shape[2:]:
        return plane  # The very array, which engines may know again.
    return plane[:, :, top : top + height, left : left + width]


def paste(
    result: NDArray[np.uint8],
    part: NDArray[np.uint8],
    horizontal: Window,
    vertical: Window,
    shift: tuple[int, int],
    unit: int,
    scale: int,
) -> None:
    """Copy the kept part of a window to its place."""

    def slices(window: Window, log2: int, unit: int) -> tuple[slice, slice]:
        factor = scale * unit
        start, begin, end = (value >> log2 for value in (window.start, window.begin, window.end))
        return slice(begin * factor, end * factor), slice((begin - start) * factor, (end - start) * factor)

    to_x, from_x = slices(horizontal, shift[0], unit)
    to_y, from_y = slices(vertical, shift[1], 1)
    result[:, :, to_y, to_x] = part[:, :, from_y, from_x]
