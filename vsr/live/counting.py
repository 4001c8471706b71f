"""Counters of a session, written by its threads and read by any."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from itertools import pairwise

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.frame import Frame
from vsr.live.latency import Latency
from vsr.live.load import Load
from vsr.live.report import LadderStep
from vsr.media.live.capture import Captured
from vsr.media.live.timeline import TIME_BASE

_KEPT_STEPS = 200
_INTERVALS = 60
_FPS_WINDOW_S = 3.0


class Counting:
    """Frames before, in and out, sizes, latencies, the load of the stages, steps of the ladder. began_at: on the clock."""

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self.began_at = clock.now()
        self.frames_before = 0
        self.frames_in = 0
        self.frames_out = 0
        self.first_out_at: float | None = None
        self.last_out_at: float | None = None
        self.size_in = (0, 0)
        self.size_out = (0, 0)
        self.latency = Latency(clock)
        self.decode = Load(clock)
        self.infer = Load(clock)
        self.encode = Load(clock)
        self.steps: deque[LadderStep] = deque(maxlen=_KEPT_STEPS)
        self._times: deque[int] = deque(maxlen=_INTERVALS)
        self._out_at: deque[float] = deque()

    def captured(self, captured: Captured) -> None:
        frame = captured.frame
        self.frames_in += 1
        self.size_in = frame.width, frame.height
        assert frame.pts is not None
        self._times.append(frame.pts)

    def gone_out(self, frame: Frame) -> None:
        now = self._clock.now()
        self.frames_out += 1
        self.first_out_at = self.first_out_at or now
        self.last_out_at = now
        self.size_out = frame.width, frame.height
        self._out_at.append(now)
        while self._out_at[0] < now - _FPS_WINDOW_S:
            self._out_at.popleft()

    def rate(self) -> Fraction | None:
        """Frames a second of the source, by the times of the last ones."""
        times = list(self._times)
        steps = sorted(after - before for before, after in pairwise(times))
        middle = steps[len(steps) // 2] if steps else 0
        return 1 / (middle * TIME_BASE) if middle > 0 else None

    def fps(self) -> float:
        """Frames a second that went out, over the last seconds."""
        now = self._clock.now()
        recent = [at for at in list(self._out_at) if at >= now - _FPS_WINDOW_S]
        return len(recent) / _FPS_WINDOW_S

    def load(self) -> dict[str, float]:
        """Part of the last seconds that each stage was busy."""
        stages = {"decode": self.decode, "infer": self.infer, "encode": self.encode}
        return {name: round(stage.part(), 3) for name, stage in stages.items()}

    def stepped(self, before: str, after: str, why: str) -> None:
        self.steps.append(LadderStep(round(self._clock.now() - self.began_at, 2), before, after, why))
