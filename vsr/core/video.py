"""Facts about a video that are known before its frames are decoded."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from vsr.core.color import Color
from vsr.core.frame import PixelFormat


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """A video stream as its source will deliver it.

    width, height: coded samples, before rotation. sar: shape of a sample, width over height (1 where unknown).
    rotation: degrees the picture is turned counter-clockwise for display, a multiple of 90; mirrored: flipped first.
    on_device: frames lie on a GPU, and come to the host when they are looked at.
    Values from headers may lie and say so; None where the header is silent.
    """

    width: int
    height: int
    format: PixelFormat
    color: Color = field(default_factory=Color)
    sar: Fraction = Fraction(1)
    rotation: int = 0
    mirrored: bool = False
    time_base: Fraction = Fraction(1, 1000)
    frame_rate: Fraction | None = None
    codec: str = ""
    num_frames_from_header: int | None = None
    duration_s_from_header: float | None = None
    is_picture: bool = False
    on_device: bool = False

    @property
    def display_size(self) -> tuple[int, int]:
        """(width, height) in square pixels, rotated for display: the sample aspect ratio widens, never shrinks."""
        width, height = self.width, self.height
        if self.sar > 1:
            width = round(width * self.sar)
        elif self.sar < 1:
            height = round(height / self.sar)
        return (height, width) if self.rotation % 180 else (width, height)
