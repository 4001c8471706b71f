"""A stream whose pictures change size or format on the way, brought back to how it began."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from vsr.core.color import Color
from vsr.core.frame import Reset
from vsr.media.frames.planes import av_name, converted, frame_from_av, pixel_format
from vsr.media.read.timestamps import Starts, time_of
from vsr.media.types import SourceCounters

_SAME_SHAPE = Fraction(1, 50)


class Uniform:
    """Gives every frame the size and format of the first, with swscale, as players show it; counted, and noted once. Where the
    size changes, a sequence begins anew.

    format is that of the first frame, without alpha where that is a palette's or a GIF's and all opaque.
    """

    def __init__(
        self, first: VideoFrame, codec: str, counters: SourceCounters, notes: list[str], starts: Starts
    ) -> None:
        self._counters = counters
        self._notes = notes
        self._starts = starts
        self._size = self._last_size = first.width, first.height
        self._drops_alpha = self._lost_noted = self._color_noted = self._shape_noted = False
        self._levels: tuple[int, bool] | None = None
        self._shape: Fraction | None = None
        self.format = pixel_format(first.format.name)
        if (first.format.name == "pal8" or codec == "gif") and self.format.alpha and _is_opaque(first):
            self._drops_alpha = True
            self.format = replace(self.format, alpha=False)

    def fits(self, frame: VideoFrame) -> bool:
        """Whether the frame has the size and format of the first."""
        fmt = pixel_format((frame.sw_format or frame.format).name)
        return (frame.width, frame.height) == self._size and fmt == self.format

    def push(self, frame: VideoFrame) -> VideoFrame:
        """The frame, or a converted one. Raises DecodeError where swscale knows no way."""
        size = frame.width, frame.height
        if size != self._last_size:
            self._last_size = size
            self._starts.note(frame.pts or 0, Reset.SIZE)
        if self.fits(frame):
            return frame
        same_size = size == self._size
        fmt = pixel_format(frame.format.name)
        if same_size and self._drops_alpha and replace(fmt, alpha=False) == self.format:
            if not self._lost_noted and not _is_opaque(frame):
                self._lost_noted = True
                self._notes.append("it begins opaque; transparency in later frames is left out")
            return converted(frame, av_name(self.format))
        if not self._counters.rescaled_frames:
            now = f"{frame.width}x{frame.height} {fmt.name}"
            begun = f"{self._size[0]}x{self._size[1]} {self.format.name}"
            self._notes.append(
                f"size or format changes on the way, to {now}: frames are brought back to {begun}"
            )
        self._counters.rescaled_frames += 1
        return converted(frame, av_name(self.format), size=None if same_size else self._size)

    def note_shape(self, frame: VideoFrame, sar: Fraction) -> None:
        """Note, once, that a frame is to be shown in another shape than the first. sar: of its samples."""
        shape = Fraction(frame.width, frame.height) * sar
        self._shape = self._shape or shape
        # Sizes of the same shape differ by rounding.
        if abs(shape / self._shape - 1) > _SAME_SHAPE and not self._shape_noted:
            self._shape_noted = True
            self._notes.append(
                f"the picture's shape changes on the way, from {_ratio(self._shape)} to {_ratio(shape)} at "
                f"{float(time_of(frame)):.1f} s: all frames are shown as the first"
            )

    def note_color(self, color: Color) -> None:
        """Note, once, that the codes of a frame stand for other colours than those of the first."""
        levels = color.matrix, color.full_range
        self._levels = self._levels or levels
        if levels != self._levels and not self._color_noted:
            self._color_noted = True
            self._notes.append("matrix or range changes on the way: each frame is converted by its own")


def _ratio(shape: Fraction) -> str:
    near = shape.limit_denominator(1000)
    return f"{near.numerator}:{near.denominator}"


def _is_opaque(frame: VideoFrame) -> bool:
    return bool(np.asarray(frame_from_av(frame).planes[-1]).min() == 255)
