"""The result of a job, in numbers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from vsr.pipeline import PipelineStats


@dataclass(frozen=True, slots=True)
class StageReport:
    """One stage: frames in and out, seconds busy, starved (waiting for input) and blocked (waiting for room).

    rate_fps: frames a second it did while busy. cpu_s: of its own thread, without the threads of codecs and runtimes.
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
    """The result of one input. seconds: wall clock from opening to the finished file; setup_s: the part before the first frame.

    output: None for stdout and null. stopped_early: the job was stopped, and either `output` is a `.part` file, or finished
    segments are in the folder `kept`, from which the same job continues. cpu_s: processor time of the whole process. started:
    seconds since 1970, UTC. first_frame_s: until the encoder got the first frame, None if there was none; compile_s: the part
    for compiling the network. video_s: playing time of the output, None for pictures. nodes: frames a second of each node of a
    cluster that took part. resets: how often the memory of the network began again, by reason; empty if it has none.
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
    kept: str | None = None
    started: float = 0.0
    first_frame_s: float | None = None
    compile_s: float = 0.0
    video_s: float | None = None
    nodes: Mapping[str, float] = field(default_factory=dict)
    resets: Mapping[str, int] = field(default_factory=dict)

    @property
    def seconds_an_hour(self) -> float | None:
        """Seconds for an hour of such video in the steady state; None where unknown."""
        steady_s = self.seconds - (self.first_frame_s or 0.0)
        return 3600 * steady_s / self.video_s if self.video_s and steady_s > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Report:
        """The inverse of `as_dict`, also after JSON. Raises TypeError, KeyError, ValueError."""
        given: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
        }
        given["stages"] = tuple(StageReport(**stage) for stage in given["stages"])
        return cls(**given)


def merged(reports: Sequence[Report]) -> Report:
    """One report of an input that was made in parts, in their order. Counts add up, and so do the times of stages.

    Its seconds are the time in which any part was made: parts made side by side count once, and a pause does not count.
    """
    first = reports[0]
    seconds = _covered([(report.started, report.started + report.seconds) for report in reports])
    frames_out = sum(report.frames_out for report in reports)
    lengths = [report.video_s for report in reports if report.video_s is not None]
    stages = _stages_merged([report.stages for report in reports])
    return replace(
        first,
        device=", ".join(sorted({report.device for report in reports})),
        started=min(report.started for report in reports),
        frames_in=sum(report.frames_in for report in reports),
        frames_out=frames_out,
        seconds=round(seconds, 3),
        setup_s=round(sum(report.setup_s for report in reports), 3),
        cpu_s=round(sum(report.cpu_s for report in reports), 3),
        compile_s=round(sum(report.compile_s for report in reports), 3),
        fps=round(frames_out / seconds, 2) if seconds > 0 else 0.0,
        stages=stages,
        bottleneck=max(stages, key=lambda stage: stage.busy_s).name if stages else first.bottleneck,
        damaged_packets=sum(report.damaged_packets for report in reports),
        first_error=next((report.first_error for report in reports if report.first_error), None),
        notes=counted_once(note for report in reports for note in report.notes),
        warnings=counted_once(warning for report in reports for warning in report.warnings),
        stopped_early=any(report.stopped_early for report in reports),
        video_s=round(sum(lengths), 3) if lengths else None,
        output_bytes=None,
        nodes=_rates(reports),
        resets=dict(sum((Counter(report.resets) for report in reports), Counter())),
    )


def _rates(reports: Sequence[Report]) -> dict[str, float]:
    """Frames a second of each node, while it made any."""
    rates = {}
    for node in sorted({node for report in reports for node in report.nodes}):
        own = [report for report in reports if node in report.nodes]
        seconds = _covered([(report.started, report.started + report.seconds) for report in own])
        rates[node] = round(sum(report.frames_out for report in own) / seconds, 2) if seconds > 0 else 0.0
    return rates


def _covered(spans: Iterable[tuple[float, float]]) -> float:
    """The length that these spans cover together."""
    length, reached = 0.0, -math.inf
    for begin, end in sorted(spans):
        length += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return length


def counted_once(sentences: Iterable[str]) -> tuple[str, ...]:
    """Each sentence once, in order. If sentences begin with a count of frames or timestamps, their counts are added up."""
    counts: dict[str, int | None] = {}
    for sentence in sentences:
        found = re.fullmatch(r"(\d+)( (?:frames|timestamps) .*)", sentence, re.DOTALL)
        rest = found[2] if found else sentence
        counts[rest] = (counts.get(rest) or 0) + int(found[1]) if found else None
    return tuple(rest if count is None else f"{count}{rest}" for rest, count in counts.items())


def _stages_merged(parts: Sequence[Sequence[StageReport]]) -> tuple[StageReport, ...]:
    """The reports of several parts in one, stage by stage. All parts have the same stages."""
    result = []
    for same in zip(*parts, strict=True):
        busy_s = sum(stage.busy_s for stage in same)
        frames_in = sum(stage.frames_in for stage in same)
        frames_out = sum(stage.frames_out for stage in same)
        result.append(
            StageReport(
                name=same[0].name,
                frames_in=frames_in,
                frames_out=frames_out,
                busy_s=round(busy_s, 4),
                starved_s=round(sum(stage.starved_s for stage in same), 4),
                blocked_s=round(sum(stage.blocked_s for stage in same), 4),
                cpu_s=round(sum(stage.cpu_s for stage in same), 4),
                rate_fps=round(max(frames_in, frames_out) / busy_s, 2) if busy_s > 0 else 0.0,
                queue_high_water=max(stage.queue_high_water for stage in same),
            )
        )
    return tuple(result)


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
