"""Which network the machine can afford now. It knows only times, and those the caller gives."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

# Down: in the last seconds so many frames were late, or the work took more than this part of the time between two frames.
_WINDOW_S = 1.5
_DROPS = 2
_FULL_LOAD = 0.92
# Up: the cost measured for the heavier network is within this part of the time between two frames.
_ROOM = 0.70
_CALM_S = 4.0
_MOST_CALM_S = 120.0
# A step up that is taken back within this time was a mistake: the next one waits twice as long.
_REGRET_S = 15.0
# After a step nothing is judged for a moment: the queue still holds frames from before.
_SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class Step:
    """From one rung to another, by their numbers, and why."""

    before: int
    after: int
    why: str


class Ladder:
    """Rungs from the heaviest, number 0, to the lightest. costs_s: seconds a frame on each, as measured at the start.

    Report frames with `worked` and `dropped`, and ask `step` now and then whether to change. Times are on the caller's clock.
    """

    def __init__(self, costs_s: Sequence[float], rung: int) -> None:
        self.rung = rung
        self._costs = list(costs_s)
        self._work: deque[tuple[float, float]] = deque()
        self._drops: deque[float] = deque()
        self._settled_at = 0.0
        self._calm_since: float | None = None
        self._calm_s = _CALM_S
        self._rose_at: float | None = None

    def worked(self, now: float, seconds: float) -> None:
        """A frame took that long in the network."""
        self._work.append((now, seconds))

    def dropped(self, now: float, count: int = 1) -> None:
        """So many frames were too late."""
        self._drops.extend([now] * count)

    def step(self, now: float, interval_s: float) -> Step | None:
        """What to change, if anything. interval_s: between two frames of the source."""
        while self._work and self._work[0][0] < now - _WINDOW_S:
            self._work.popleft()
        while self._drops and self._drops[0] < now - _WINDOW_S:
            self._drops.popleft()
        late = len(self._drops)
        if now < self._settled_at or not (self._work or late):
            return None
        cost = sum(seconds for _, seconds in self._work) / max(1, len(self._work))
        load = cost / interval_s
        if late >= _DROPS or load > _FULL_LOAD:
            self._calm_since = None
            if self.rung + 1 < len(self._costs):
                why = (
                    f"{late} frames were late"
                    if late >= _DROPS
                    else f"it takes {load:.0%} of the time there is"
                )
                return self._go(now, self.rung + 1, why)
            return None
        if self.rung == 0 or not self._fits_above(cost, interval_s):
            self._calm_since = None
            return None
        self._calm_since = now if self._calm_since is None else self._calm_since
        if now - self._calm_since < self._calm_s:
            return None
        return self._go(now, self.rung - 1, f"calm for {self._calm_s:g} s")

    def _fits_above(self, cost: float, interval_s: float) -> bool:
        # Whatever slows this network down now slows the other one down as much.
        slowness = max(1.0, cost / self._costs[self.rung])
        return self._costs[self.rung - 1] * slowness <= _ROOM * interval_s

    def _go(self, now: float, rung: int, why: str) -> Step:
        if rung < self.rung:
            self._rose_at = now
        elif self._rose_at is not None and now - self._rose_at < _REGRET_S:
            self._calm_s = min(_MOST_CALM_S, 2 * self._calm_s)
        elif self._rose_at is not None:
            self._calm_s = _CALM_S
        step = Step(self.rung, rung, why)
        self.rung = rung
        self._work.clear()
        self._drops.clear()
        self._calm_since = None
        self._settled_at = now + _SETTLE_S
        return step
