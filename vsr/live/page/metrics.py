"""A stream's figures as Prometheus reads them (text exposition format 0.0.4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from vsr.live.report import StreamReport
from vsr.live.states import State

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(report: StreamReport) -> str:
    """All of them, each with its type."""
    lines: list[str] = []

    def add(name: str, kind: str, help: str, values: Mapping[tuple[tuple[str, str], ...], float]) -> None:
        lines.extend([f"# HELP {name} {help}", f"# TYPE {name} {kind}"])
        for labels, value in values.items():
            said = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels)
            lines.append(f"{name}{{{said}}} {value}" if said else f"{name} {value}")

    def one(value: float) -> dict[tuple[tuple[str, str], ...], float]:
        return {(): value}

    recent = report.recent
    add("vsr_frames_in_total", "counter", "Frames captured.", one(report.frames_in))
    add("vsr_frames_out_total", "counter", "Frames upscaled and sent on.", one(report.frames_out))
    add("vsr_frames_dropped_total", "counter", "Frames dropped.",
        {(("reason", reason),): count for reason, count in report.drops.items()})  # fmt: skip
    add("vsr_frames_per_second", "gauge", "Frames that go out a second.", one(report.fps))
    if report.latency is not None:
        quantiles = (
            ()
            if recent is None
            else (("0.5", recent.p50_ms), ("0.95", recent.p95_ms), ("0.99", recent.p99_ms))
        )
        add("vsr_latency_seconds", "summary", "From capture to packet out; the quantiles of the last ten seconds.",
            {(("quantile", name),): value / 1000 for name, value in quantiles})  # fmt: skip
        lines += [
            f"vsr_latency_seconds_sum {report.latency.sum_ms / 1000}",
            f"vsr_latency_seconds_count {report.latency.count}",
        ]
    add(
        "vsr_healthy",
        "gauge",
        "Whether output flows, to all sinks that are required.",
        one(int(report.health.well)),
    )
    add("vsr_stage_load", "gauge", "Part of the time a stage is busy.",
        {(("stage", stage),): load for stage, load in report.load.items()})  # fmt: skip
    add("vsr_state", "gauge", "1 for the state the stream is in.",
        {(("state", state),): float(state == report.state) for state in get_args(State)})  # fmt: skip
    add("vsr_model", "gauge", "1 for the network in use.",
        {(("model", item.model),): float(item.model == report.model) for item in report.measured})  # fmt: skip
    add("vsr_ladder_steps_total", "counter", "Changes of network.", one(len(report.steps)))
    add("vsr_reconnects_total", "counter", "Times the source was lost.", one(report.reconnects))
    sinks = {f"{number}": sink for number, sink in enumerate(report.sinks, 1)}
    names = {number: (("sink", number), ("name", str(sink["name"]))) for number, sink in sinks.items()}
    add("vsr_sink_frames_total", "counter", "Frames written to a sink.",
        {names[number]: sink["frames"] for number, sink in sinks.items()})  # fmt: skip
    add("vsr_sink_bytes_total", "counter", "Bytes of video written to a sink.",
        {names[number]: sink["bytes"] for number, sink in sinks.items()})  # fmt: skip
    add("vsr_sink_dropped_total", "counter", "Frames a sink did not take.",
        {names[number]: sum(sink["drops"].values()) for number, sink in sinks.items()})  # fmt: skip
    add("vsr_sink_up", "gauge", "Whether a sink is written to.",
        {names[number]: float(sink["state"] == "streaming") for number, sink in sinks.items()})  # fmt: skip
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
