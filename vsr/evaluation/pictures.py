"""Pictures to look at: two ways of enlarging side by side, and a piece of each magnified."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vsr.files.whole import write_whole

_GAP = 12
_LABEL = 40
_CROP = 160
_ZOOM = 4
_PIECE_ZOOM = 3


def side_by_side(
    left: NDArray[np.uint8], right: NDArray[np.uint8], labels: tuple[str, str], path: Path
) -> None:
    """Write a PNG: both RGB pictures (height, width, 3) above, the pieces where they differ most, magnified, below.

    Raises FileError where it cannot be written.
    """
    height, width = left.shape[:2]
    crop = min(_CROP, height, width)
    zoomed = crop * _ZOOM
    column = max(width, zoomed)
    places = busiest(left, right, crop, (column + _GAP) // (zoomed + _GAP))
    sheet = Image.new("RGB", (2 * column + _GAP, _LABEL + height + _GAP + zoomed), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(26)
    for number, (picture, label) in enumerate(zip((left, right), labels, strict=True)):
        x = number * (column + _GAP)
        draw.text((x + 4, 4), label, fill="black", font=font)
        image = Image.fromarray(picture)
        pieces = [image.crop((edge, top, edge + crop, top + crop)) for top, edge in places]
        frame = ImageDraw.Draw(image)
        for top, edge in places:
            frame.rectangle((edge, top, edge + crop, top + crop), outline="red", width=2)
        sheet.paste(image, (x, _LABEL))
        for index, piece in enumerate(pieces):
            at = (x + index * (zoomed + _GAP), _LABEL + height + _GAP)
            sheet.paste(piece.resize((zoomed, zoomed), Image.Resampling.NEAREST), at)
    _write(sheet, path)


def pieces(
    columns: Mapping[str, NDArray[np.uint8]], places: Sequence[tuple[int, int]], side: int, path: Path
) -> None:
    """Write a PNG: a column for each RGB picture (height, width, 3), a row for each place (top, left), whose piece of `side`
    pixels it shows magnified. Raises FileError where it cannot be written.
    """
    step = side * _PIECE_ZOOM + _GAP
    sheet = Image.new("RGB", (len(columns) * step - _GAP, _LABEL + len(places) * step - _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for column, (label, picture) in enumerate(columns.items()):
        draw.text((column * step + 2, 8), label, fill="black", font=font)
        for row, (top, left) in enumerate(places):
            piece = Image.fromarray(picture[top : top + side, left : left + side])
            zoomed = piece.resize((side * _PIECE_ZOOM, side * _PIECE_ZOOM), Image.Resampling.NEAREST)
            sheet.paste(zoomed, (column * step, _LABEL + row * step))
    _write(sheet, path)


def _write(sheet: Image.Image, path: Path) -> None:
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    write_whole(path, file.getvalue())


def busiest(
    left: NDArray[np.uint8], right: NDArray[np.uint8], crop: int, count: int = 1
) -> list[tuple[int, int]]:
    """Top and left of the crops, on a coarse grid and clear of each other, where the two differ most."""
    difference = np.abs(left.astype(np.int16) - right).mean(axis=2)
    sums = np.pad(difference, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    tops = np.arange(0, difference.shape[0] - crop + 1, 16)
    lefts = np.arange(0, difference.shape[1] - crop + 1, 16)
    inside = (
        sums[tops + crop][:, lefts + crop]
        - sums[tops][:, lefts + crop]
        - sums[tops + crop][:, lefts]
        + sums[tops][:, lefts]
    )
    places: list[tuple[int, int]] = []
    for at in np.argsort(-inside, axis=None, kind="stable"):
        row, column = np.unravel_index(int(at), inside.shape)
        top, edge = int(tops[row]), int(lefts[column])
        if all(max(abs(top - t), abs(edge - e)) >= crop for t, e in places):
            places.append((top, edge))
        if len(places) == count:
            break
    return places
