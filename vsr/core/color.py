"""Colour description of a video, in the code points of ITU-T H.273 (which FFmpeg uses too)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Range(IntEnum):
    """The codes that stand for black and white (FFmpeg's AVColorRange)."""

    UNSPECIFIED = 0
    LIMITED = 1
    FULL = 2


class ChromaLocation(IntEnum):
    """The position of chroma samples between luma samples (FFmpeg's AVChromaLocation)."""

    UNSPECIFIED = 0
    LEFT = 1
    CENTER = 2
    TOPLEFT = 3
    TOP = 4
    BOTTOMLEFT = 5
    BOTTOM = 6


@dataclass(frozen=True, slots=True)
class Color:
    """How codes map to light. 2 means unspecified for matrix, primaries and transfer, as in H.273."""

    matrix: int = 2
    primaries: int = 2
    transfer: int = 2
    range: Range = Range.UNSPECIFIED
    chroma_location: ChromaLocation = ChromaLocation.UNSPECIFIED

    @property
    def full_range(self) -> bool:
        """Whether codes span the whole scale; untagged video counts as limited."""
        return self.range is Range.FULL


# Luma coefficients (Kr, Kb) by H.273 MatrixCoefficients.
_LUMA_COEFFICIENTS: dict[int, tuple[float, float]] = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.470BG, BT.601 625
    6: (0.299, 0.114),  # SMPTE 170M, BT.601 525
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020 non-constant luminance
    10: (0.2627, 0.0593),  # BT.2020 constant luminance
}


def luma_coefficients(matrix: int) -> tuple[float, float, float]:
    """(Kr, Kg, Kb) of an H.273 matrix, summing to 1; BT.601 for RGB and for unspecified or unknown matrices."""
    kr, kb = _LUMA_COEFFICIENTS.get(matrix, _LUMA_COEFFICIENTS[6])
    return kr, 1.0 - kr - kb, kb
