"""What a job did, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vsr.pipeline import PipelineStats


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage: frames in and out, seconds busy, starved (waiting for input) and blocked (waiting for room).

    rate_fps: frames a second it did while busy. cpu_s: of its own thread, without those that codecs and runtimes start.
    queue_high_water: most items that waited before it.
    """

    name: str
    frames_in: int
    frames_out: int
    busy_s: float
    starved_s: float
    blocked_s: float
    cpu_s: float
    rate_fps: float
    queue_high_water: int


@dataclass(frozen=True, slots=True)
class Report:
    """One input, done. seconds: wall clock from opening to the finished file; setup_s of them before the first frame.

    output is None for stdout and null; stopped_early means that `output` is a `.part` file. cpu_s: of the whole process.
    """

    input: str
    output: str | None
    model: str
    backend: str
    device: str
    precision: str
    size_in: tuple[int, int]
    size_out: tuple[int, int]
    frames_in: int
    frames_out: int
    seconds: float
    setup_s: float
    cpu_s: float
    fps: float
    stages: tuple[StageReport, ...]
    bottleneck: str
    damaged_packets: int = 0
    first_error: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    stopped_early: bool = False
    output_bytes: int | None = None
    encoder: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def stage_reports(stats: PipelineStats) -> tuple[StageReport, ...]:
    """The pipeline's counters, named as users know them."""
    return tuple(
        StageReport(
            name=stage.name,
            frames_in=stage.items_in,
            frames_out=stage.items_out,
            busy_s=round(stage.busy_s, 4),
            starved_s=round(stage.starved_s, 4),
            blocked_s=round(stage.blocked_s, 4),
            cpu_s=round(stage.cpu_s, 4),
            rate_fps=round(stage.rate, 2),
            queue_high_water=stage.queue_high_water,
        )
        for stage in stats.stages
    )
