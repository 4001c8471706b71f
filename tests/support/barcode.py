"""A number as a bar code in a picture: 32 bits and a checksum, 40 blocks in a row. It outlives encoders and enlarging."""

from __future__ import annotations

from typing import Any

import numpy as np

_BITS = 32
_CHECK_BITS = 8
_BLOCKS = _BITS + _CHECK_BITS
_DARK, _BRIGHT = 20, 220


def write(luma: np.ndarray[Any, Any], row: int, number: int) -> None:
    """Draw a number below 2**32 into the row, counted from above, of a picture (height, width) of uint8."""
    side = luma.shape[1] // _BLOCKS
    bits = [*_bits(number, _BITS), *_bits(_sum(number), _CHECK_BITS)]
    line = np.repeat(np.where(bits, _BRIGHT, _DARK).astype(np.uint8), side)
    luma[row * side : (row + 1) * side, : len(line)] = line


def read(luma: np.ndarray[Any, Any], row: int) -> int | None:
    """The number in that row; None where the row holds no bar code, or a damaged one."""
    side = luma.shape[1] // _BLOCKS
    if side < 2:
        return None
    edge = side // 4
    strip = luma[row * side + edge : (row + 1) * side - edge, : side * _BLOCKS].mean(axis=0)
    blocks = strip.reshape(_BLOCKS, side)[:, edge : side - edge].mean(axis=1)
    bits = "".join("1" if block > (_DARK + _BRIGHT) / 2 else "0" for block in blocks)
    number = int(bits[:_BITS], 2)
    return number if int(bits[_BITS:], 2) == _sum(number) else None


def _bits(number: int, count: int) -> list[bool]:
    return [bool(number >> bit & 1) for bit in reversed(range(count))]


def _sum(number: int) -> int:
    return sum(number.to_bytes(4, "big")) & 255
