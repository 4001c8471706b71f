"""Pictures to look at: two ways of enlarging side by side, and a piece of each magnified."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from vsr.core.errors import EncodeError

_GAP = 12
_LABEL = 40
_CROP = 160
_ZOOM = 4


def side_by_side(
    left: NDArray[np.uint8], right: NDArray[np.uint8], labels: tuple[str, str], path: Path
) -> None:
    """Write a PNG: both RGB pictures (height, width, 3) above, the piece where they differ most, magnified, below.

    Raises EncodeError where it cannot be written.
    """
    height, width = left.shape[:2]
    crop = min(_CROP, height, width)
    top, left_edge = _busiest(left, right, crop)
    zoomed = crop * _ZOOM
    column = max(width, zoomed)
    sheet = Image.new("RGB", (2 * column + _GAP, _LABEL + height + _GAP + zoomed), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(26)
    for number, (picture, label) in enumerate(zip((left, right), labels, strict=True)):
        x = number * (column + _GAP)
        draw.text((x + 4, 4), label, fill="black", font=font)
        image = Image.fromarray(picture)
        piece = image.crop((left_edge, top, left_edge + crop, top + crop))
        ImageDraw.Draw(image).rectangle(
            (left_edge, top, left_edge + crop, top + crop), outline="red", width=2
        )
        sheet.paste(image, (x, _LABEL))
        sheet.paste(piece.resize((zoomed, zoomed), Image.Resampling.NEAREST), (x, _LABEL + height + _GAP))
    part = path.with_name(f".{path.name}.part")
    try:
        sheet.save(part, format="PNG")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise EncodeError(f"cannot write {path}: {error.strerror or error}") from error


def _busiest(left: NDArray[np.uint8], right: NDArray[np.uint8], crop: int) -> tuple[int, int]:
    """Top and left of the crop, on a coarse grid, where the two differ most."""
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
    row, column = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(tops[row]), int(lefts[column])
