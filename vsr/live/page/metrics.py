"""Figures of streams as Prometheus reads them (text exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import get_args

from vsr.live.report import StreamReport
from vsr.live.states import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Labels = tuple[tuple[str, str], ...]


@dataclass(slots=True)
class _Family:
    """One metric of one stream. values: by labels and by the ending of the name."""

    name: str
    kind: str
    help: str
    values: Mapping[_Labels, float] = field(default_factory=dict)
    endings: Mapping[str, float] = field(default_factory=dict)


def exposition(reports: Mapping[str, StreamReport]) -> str:
    """All figures, each with its type. reports: by the name of the stream, which is a label unless it is empty."""
    families: dict[str, tuple[_Family, list[str]]] = {}
    for stream, report in reports.items():
        of: _Labels = (("stream", stream),) if stream else ()
        for family in _families(report):
            _, lines = families.setdefault(family.name, (family, []))
            lines += [_line(family.name, (*of, *labels), value) for labels, value in family.values.items()]
            lines += [_line(family.name + end, of, value) for end, value in family.endings.items()]
    said = [
        line
        for name, (family, lines) in families.items()
        for line in (f"# HELP {name} {family.help}", f"# TYPE {name} {family.kind}", *lines)
    ]
    return "\n".join(said) + "\n"


def _families(report: StreamReport) -> Iterator[_Family]:
    yield _one("vsr_frames_in_total", "counter", "Frames captured.", report.frames_in)
    yield _one("vsr_frames_out_total", "counter", "Frames upscaled and sent on.", report.frames_out)
    yield _one(
        "vsr_frames_held_total", "counter", "Frames sent while the source was away.", report.frames_held
    )
    yield _Family("vsr_frames_dropped_total", "counter", "Frames dropped.",
        {(("reason", reason),): count for reason, count in report.drops.items()})  # fmt: skip
    yield _one("vsr_frames_per_second", "gauge", "Frames that go out a second.", report.fps)
    if report.latency is not None:
        recent = report.recent
        quantiles = (
            ()
            if recent is None
            else (("0.5", recent.p50_ms), ("0.95", recent.p95_ms), ("0.99", recent.p99_ms))
        )
        yield _Family(
            "vsr_latency_seconds",
            "summary",
            "From capture to packet out; the quantiles of the last ten seconds.",
            {(("quantile", name),): value / 1000 for name, value in quantiles},
            {"_sum": report.latency.sum_ms / 1000, "_count": report.latency.count},
        )
    well = "Whether output flows, to all sinks that are required."
    yield _one("vsr_healthy", "gauge", well, int(report.health.well))
    yield _Family("vsr_stage_load", "gauge", "Part of the time a stage is busy.",
        {(("stage", stage),): load for stage, load in report.load.items()})  # fmt: skip
    yield _Family("vsr_state", "gauge", "1 for the state the stream is in.",
        {(("state", state),): float(state == report.state) for state in get_args(State)})  # fmt: skip
    yield _Family("vsr_model", "gauge", "1 for the network in use.",
        {(("model", item.model),): float(item.model == report.model) for item in report.measured})  # fmt: skip
    yield _one("vsr_ladder_steps_total", "counter", "Changes of network.", len(report.steps))
    yield _one("vsr_reconnects_total", "counter", "Times the source was lost.", report.reconnects)
    sinks = {f"{number}": sink for number, sink in enumerate(report.sinks, 1)}
    names = {number: (("sink", number), ("name", str(sink["name"]))) for number, sink in sinks.items()}
    yield _Family("vsr_sink_frames_total", "counter", "Frames written to a sink.",
        {names[number]: sink["frames"] for number, sink in sinks.items()})  # fmt: skip
    yield _Family("vsr_sink_bytes_total", "counter", "Bytes of video written to a sink.",
        {names[number]: sink["bytes"] for number, sink in sinks.items()})  # fmt: skip
    yield _Family("vsr_sink_dropped_total", "counter", "Frames a sink did not take.",
        {names[number]: sum(sink["drops"].values()) for number, sink in sinks.items()})  # fmt: skip
    yield _Family("vsr_sink_up", "gauge", "Whether a sink is written to.",
        {names[number]: float(sink["state"] == "streaming") for number, sink in sinks.items()})  # fmt: skip


def _one(name: str, kind: str, help: str, value: float) -> _Family:
    return _Family(name, kind, help, {(): value})


def _line(name: str, labels: _Labels, value: float) -> str:
    said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
    return f"{name}{{{said}}} {value}" if said else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
