"""Chooses the network that the machine can afford now. It knows only times, and the caller passes them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

# Step down if this number of frames was late in the last seconds, or the work took more than this part of the frame interval.
_WINDOW_S = 1.5
_DROPS = 2
_FULL_LOAD = 0.92
# Step up: after this time without either, the heavier networks are measured, and again after longer and longer waits. The
# longest wait bounds how long a machine that has become idle goes unnoticed.
_CALM_S = 4.0
_MOST_WAIT_S = 10.0
# Measuring takes at most this part of the machine's time.
_MEASURING = 0.04
# If a step up is taken back within this time, it was a mistake: the next one waits twice as long.
_REGRET_S = 15.0
_MOST_CALM_S = 120.0
# After a step, frames are not judged for this time: the queue still holds frames from before.
_SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """A step from one rung to another, by their numbers, and the reason."""

    before: int
    after: int
    why: str


class Ladder:
    """Rungs from the heaviest, number 0, to the lightest.

    It steps down by the costs of the current network, and up only to a network that was just measured: older costs say little,
    because the load of the machine may have changed. Report frames with `worked` and `dropped`, ask `step` now and then whether
    to change, and `wants_measuring` whether to measure the heavier networks and report it with `measured`. Times are on the
    caller's clock.
    """

    def __init__(self, rungs: int, rung: int) -> None:
        self.rung = rung
        self._lightest = rungs - 1
        self._work: deque[tuple[float, float]] = deque()
        self._drops: deque[float] = deque()
        self._settled_at = 0.0
        self._calm_since: float | None = None
        self._calm_s = _CALM_S
        self._measure_at = 0.0
        self._wait_s = _CALM_S
        self._rose_at: float | None = None

    def worked(self, now: float, seconds: float) -> None:
        """Note a frame's time in the network."""
        self._work.append((now, seconds))

    def dropped(self, now: float, count: int = 1) -> None:
        """Note frames that were dropped because they were too late."""
        self._drops.extend([now] * count)

    def step(self, now: float, interval_s: float) -> Step | None:
        """The step down to take, if any. interval_s: the time that there is for a frame."""
        while self._work and self._work[0][0] < now - _WINDOW_S:
            self._work.popleft()
        while self._drops and self._drops[0] < now - _WINDOW_S:
            self._drops.popleft()
        late = len(self._drops)
        if now < self._settled_at or not (self._work or late):
            return None
        load = (self.cost_s or 0.0) / interval_s
        if late < _DROPS and load <= _FULL_LOAD:
            self._calm_since = now if self._calm_since is None else self._calm_since
            return None
        self._calm_since = None
        if self.rung == self._lightest:
            return None
        why = f"{late} frames were late" if late >= _DROPS else f"it takes {load:.0%} of the available time"
        regretted = self._rose_at is not None and now - self._rose_at < _REGRET_S
        self._calm_s = min(_MOST_CALM_S, 2 * self._calm_s) if regretted else _CALM_S
        self._measure_at, self._wait_s = now, _CALM_S
        return self._go(now, self.rung + 1, why)

    @property
    def cost_s(self) -> float | None:
        """Mean time of the last frames in the current network; None if there were none."""
        return sum(seconds for _, seconds in self._work) / len(self._work) if self._work else None

    @property
    def calm(self) -> bool:
        """Whether nothing was late when `step` was last asked."""
        return self._calm_since is not None

    def wants_measuring(self, now: float) -> bool:
        """Whether it is time to measure the networks above the one in use."""
        calm = self._calm_since is not None and now - self._calm_since >= self._calm_s
        return self.rung > 0 and calm and now >= self._measure_at

    def measured(self, now: float, best: int, took_s: float) -> Step | None:
        """The step up to take, if any. best: the heaviest rung that fits; took_s: how long measuring it all took."""
        self._measure_at = now + max(self._wait_s, took_s / _MEASURING)
        self._wait_s = min(_MOST_WAIT_S, 2 * self._wait_s)
        if best >= self.rung or not self.calm:
            return None
        self._rose_at = now
        return self._go(now, best, f"calm for {self._calm_s:g} s, and measured to fit")

    def _go(self, now: float, rung: int, why: str) -> Step:
        step = Step(self.rung, rung, why)
        self.rung = rung
        self._work.clear()
        self._drops.clear()
        self._calm_since = None
        self._settled_at = now + _SETTLE_S
        return step
