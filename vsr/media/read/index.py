"""What can be cut of an input, and where."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """The pictures of an input's video within the range that is wanted.

    times: pts of every picture, rising, in ticks of time_base. keyframes: pts of the pictures where decoding can begin, rising;
    some may lie outside the range. uncuttable: why the input cannot be cut, "" where it can.
    """

    time_base: Fraction
    times: tuple[int, ...]
    keyframes: tuple[int, ...]
    uncuttable: str = ""
