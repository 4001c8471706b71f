"""Records when frames come out of a stage, and decides which of them count and when there are enough."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from vsr.bench.result import Part
from vsr.bench.statistics import frame_times, spread
from vsr.core.clock import SYSTEM_CLOCK, Clock

WINDOW_S = 0.25
"""A repeat is as many frames as take so long, one at least."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """The uncounted beginning of a pass: `least` frames, then until `most` frames or `seconds` since the first are over. It
    compiles, and fills queues and the encoder's look-ahead."""

    least: int = 2
    most: int = 48
    seconds: float = 1.5


def repeats(run: Callable[[], object], deadline: float, clock: Clock = SYSTEM_CLOCK) -> list[float]:
    """Seconds of each run, one at least, after two that do not count: until their spread is small or the deadline is over."""
    for _ in range(2):
        run()
    taken: list[float] = []
    while not taken or (clock.now() < deadline and not spread(taken).settled):
        begun = clock.now()
        run()
        taken.append(clock.now() - begun)
    return taken


class Recorder:
    """Frames of one stage, over any number of passes; each pass begins with a warm-up. For one thread.

    deadline: of `clock`, after which it is enough. cpu: processor seconds of the process so far.
    """

    def __init__(
        self,
        warm_up: WarmUp,
        deadline: float,
        clock: Clock = SYSTEM_CLOCK,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._warm_up, self._deadline, self._clock, self._cpu = warm_up, deadline, clock, cpu
        self._fps: list[float] = []
        self._cpu_ms: list[float] = []
        self._between: list[float] = []
        # Frames, seconds and processor seconds of the current repeat.
        self._window: tuple[int, float, float] = (0, 0.0, 0.0)
        self._frames, self.warm = 0, False
        self.begin()

    def begin(self) -> None:
        """Another pass: its first frames do not count."""
        if self._frames and not self.warm:
            # A short clip ended before its warm-up did: half of it counts.
            self._warm_up = replace(self._warm_up, most=self._frames // 2)
        self._frames = 0
        self._first, self._last = 0.0, (0.0, 0.0)
        self.warm = False
        """Whether the next frame counts."""

    def frame(self) -> bool:
        """Note that a frame has come out, and return whether there are enough."""
        now, cpu = self._clock.now(), self._cpu()
        self._frames += 1
        if self._frames == 1:
            self._first = now
        if self.warm:
            self._count(now - self._last[0], cpu - self._last[1])
        else:
            up = self._warm_up
            self.warm = self._frames >= up.least and (
                self._frames >= up.most or now - self._first >= up.seconds
            )
        self._last = (now, cpu)
        return self.enough

    def _count(self, seconds: float, cpu_s: float) -> None:
        self._between.append(seconds)
        frames, passed, cpu_passed = self._window
        self._window = frames, passed, cpu_passed = frames + 1, passed + seconds, cpu_passed + cpu_s
        over = self._clock.now() >= self._deadline
        if passed > 0 and (passed >= WINDOW_S or (over and not self._fps)):
            self._fps.append(frames / passed)
            self._cpu_ms.append(1000 * cpu_passed / frames)
            self._window = (0, 0.0, 0.0)

    @property
    def enough(self) -> bool:
        """Whether there is a repeat, and either their spread is small or the time is over."""
        if not self._fps:
            return False
        return self._clock.now() >= self._deadline or spread(self._fps).settled

    def part(self) -> Part:
        """The recorded figures. There is at least one repeat once `enough` is true."""
        return Part(spread(self._fps), spread(self._cpu_ms), frame_times(self._between))
