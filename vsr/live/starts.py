"""Why a frame of a stream does not continue the one before it."""

from __future__ import annotations

from vsr.core.frame import Frame, Reset
from vsr.media.live.capture import Captured

# A pause longer than this time and this number of frames is a gap, whether the source left frames out or vsr dropped them.
_GAP_S = 0.5
_GAP_FRAMES = 3


class Starts:
    """Looks at the frames that come to the networks, one after the other."""

    def __init__(self) -> None:
        self._before: Captured | None = None

    def of(self, captured: Captured) -> Reset | None:
        """The reason why the sequence starts again with this frame; None if it continues the frame before."""
        before, self._before = self._before, captured
        frame = captured.frame
        if before is None:
            return Reset.START
        if captured.connection != before.connection:
            return Reset.RECONNECT
        if (frame.width, frame.height) != (before.frame.width, before.frame.height):
            return Reset.SIZE
        frames_s = _GAP_FRAMES / float(captured.frame_rate) if captured.frame_rate else 0.0
        return Reset.GAP if _time_s(frame) - _time_s(before.frame) > max(_GAP_S, frames_s) else None


def _time_s(frame: Frame) -> float:
    assert frame.pts is not None
    return float(frame.pts * frame.time_base)
