"""Pictures for the sinks while the source is away."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Literal

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.frame import Frame
from vsr.live.frame import StreamFrame
from vsr.live.states import StateLog
from vsr.media.live.capture import Captured
from vsr.media.live.pictures import slate
from vsr.media.live.timeline import TIME_BASE, Timeline

WhenAway = Literal["hold", "slate", "silent"]

# The last picture is repeated once nothing has come for this time and for this number of frames.
_MISSED_S = 1.0
_MISSED_FRAMES = 5
# A picture that does not change is sent no more often.
_INTERVAL_S = 0.1


class Away:
    """The last frame, repeated, or a slate in its place once the source counts as lost. For the thread that sends frames.

    how: "hold" repeats, "slate" repeats and then shows the slate, "silent" sends nothing. frames: number sent so far.
    """

    def __init__(
        self, how: WhenAway, source: str, states: StateLog, timeline: Timeline, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        """source: its name, for the slate."""
        self.frames = 0
        self._how = how
        self._source = source
        self._states = states
        self._timeline = timeline
        self._clock = clock
        self._last: tuple[Captured, StreamFrame] | None = None
        self._sent_at = 0.0
        self._slate: Frame | None = None
        self._pts = -1

    def sent(self, captured: Captured, upscaled: StreamFrame) -> bool:
        """Note a frame that goes on. False for one that was captured before a repeated one went out: it must not follow it."""
        assert upscaled.frame.pts is not None
        if upscaled.frame.pts <= self._pts:
            return False
        if self._how != "silent":
            self._last, self._sent_at, self._slate = (captured, upscaled), self._clock.now(), None
        return True

    def due(self) -> tuple[Captured, StreamFrame] | None:
        """A picture to send now, if one is."""
        if self._last is None:
            return None
        now, (captured, upscaled) = self._clock.now(), self._last
        missed_s = _MISSED_FRAMES / float(captured.frame_rate) if captured.frame_rate else 0.0
        silent_s = now - max(captured.at, 0.0)
        if silent_s < max(_MISSED_S, missed_s) or now - self._sent_at < _INTERVAL_S:
            return None
        self._sent_at = now
        self.frames += 1
        self._pts = self._timeline.ticks("video", None, now)
        frame = replace(
            self._picture(upscaled.frame, silent_s), pts=self._pts, time_base=TIME_BASE, starts=None
        )
        return replace(captured, at=now), replace(upscaled, frame=frame, captured_at=now)

    def _picture(self, last: Frame, silent_s: float) -> Frame:
        if self._how == "hold" or self._states.now == "streaming":
            return last
        if self._slate is None:
            since = time.strftime("%H:%M:%S", time.localtime(time.time() - silent_s))
            self._slate = slate(last, self._source, f"no picture since {since}")
        return self._slate
