"""Records how each stage spent its time."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class StageStats:
    """Counters of one stage, at the end or at one moment.

    items_in, items_out: as counted by the stages' `count`. busy_s: wall-clock seconds neither starved (waiting for input) nor
    blocked (waiting for room in the output queue). cpu_s: processor seconds of the stage's own thread; threads that libraries
    start inside it are not in it. queue_high_water: most items that ever waited in its input queue.
    """

    name: str
    items_in: int
    items_out: int
    busy_s: float
    starved_s: float
    blocked_s: float
    cpu_s: float
    queue_high_water: int

    @property
    def rate(self) -> float:
        """Items a second while the stage was busy: its rate if it never waited."""
        return max(self.items_in, self.items_out) / self.busy_s if self.busy_s > 0 else 0.0

    def as_dict(self) -> dict[str, Any]:
        return {**asdict(self), "rate": self.rate}


@dataclass(frozen=True, slots=True)
class PipelineStats:
    """All stages, source first and sink last, after `seconds` of running."""

    stages: tuple[StageStats, ...]
    seconds: float

    @property
    def bottleneck(self) -> StageStats:
        """The stage that was busy longest: the others waited for it."""
        return max(self.stages, key=lambda stage: stage.busy_s)
