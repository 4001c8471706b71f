"""Streams for long, with real other ends, watched from outside.

    python benchmarks/live.py soak --minutes 30        testsrc: into null
    python benchmarks/live.py rtsp --seconds 60        RTSP in, enlarged, RTSP out and a recording

Both take --source-size, --rate, --model and --report FILE, and exit with 1 where something is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.rtsp import rtsp_server
from vsr.live.config import StreamConfig
from vsr.live.report import StreamReport
from vsr.live.session import Session
from vsr.upscale.options import NetworkOptions

_SAMPLE_S = 10.0
_WARM_UP_S = 60.0
_MOST_GROWTH = 30 << 20
_MOST_P99_MS = 150.0


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Samples:
    """Memory, threads and latency, every ten seconds."""

    def __init__(self, session: Session) -> None:
        self.rows: list[dict[str, Any]] = []
        self._session = session
        self._began = time.monotonic()
        self._next_at = self._began + _SAMPLE_S

    def __call__(self) -> None:
        now = time.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + _SAMPLE_S
        report = self._session.report()
        row = {
            "at_s": round(now - self._began, 1),
            "resident_mb": round(resident_bytes() / 1e6, 1),
            "threads": threading.active_count(),
            "fps": report.fps,
            "p50_ms": report.recent.p50_ms,
            "p99_ms": report.recent.p99_ms,
            "dropped": sum(report.drops.values()),
            "model": report.model,
        }
        self.rows.append(row)
        print(json.dumps(row), flush=True)


def faults_of(report: StreamReport, rows: list[dict[str, Any]], *, strict: bool) -> list[str]:
    """What is not as it should be. strict: on an idle machine that keeps up."""
    faults = []
    if report.frames_in != report.frames_out + sum(report.drops.values()):
        faults.append("frames are unaccounted for")
    settled = [row for row in rows if row["at_s"] >= min(_WARM_UP_S, rows[-1]["at_s"] / 3)] if rows else []
    if settled:
        grown = (settled[-1]["resident_mb"] - settled[0]["resident_mb"]) * 1e6
        if grown > _MOST_GROWTH:
            faults.append(f"memory grew by {grown / 1e6:.0f} MB")
        if settled[-1]["threads"] > settled[0]["threads"]:
            faults.append("threads grew")
    if strict:
        late = {reason: count for reason, count in report.drops.items() if reason != "starting"}
        if late:
            faults.append(f"dropped {late}")
        if report.latency.p99_ms > _MOST_P99_MS:
            faults.append(f"p99 is {report.latency.p99_ms:.0f} ms")
    return faults


def stream(config: StreamConfig) -> tuple[StreamReport, list[dict[str, Any]]]:
    session = Session(config, on_change=lambda change: print(change.state, change.why, flush=True))
    samples = Samples(session)
    return session.run(samples), samples.rows


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["soak", "rtsp"])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--source-size", default="640x360")
    parser.add_argument("--rate", type=int, default=30)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--report", type=Path)
    asked = parser.parse_args()
    if asked.what == "soak":
        source = f"testsrc:{asked.source_size}@{asked.rate}"
        config = StreamConfig(
            source, ("null",), network=NetworkOptions(asked.model), duration_s=asked.minutes * 60
        )
        report, rows = stream(config)
    else:
        with (
            tempfile.TemporaryDirectory() as folder,
            rtsp_server("--size", asked.source_size, "--rate", str(asked.rate)) as camera,
            rtsp_server("--record", f"{folder}/published.mkv") as server,
        ):
            sinks = (server.url("record"), f"{folder}/recorded.mp4")
            config = StreamConfig(
                camera.url(), sinks, network=NetworkOptions(asked.model), duration_s=asked.seconds
            )
            report, rows = stream(config)
    faults = faults_of(report, rows, strict=True)
    told = {"stream": report.as_dict(), "samples": rows, "faults": faults, "cores": os.cpu_count()}
    if asked.report is not None:
        text = json.dumps(told, indent=1, default=str).replace(f"{tempfile.gettempdir()}/", "")
        asked.report.write_text(text + "\n")
    latency = report.latency
    print(f"{report.frames_in} in, {report.frames_out} out, dropped {report.drops}")
    print(
        f"latency p50 {latency.p50_ms} ms, p95 {latency.p95_ms} ms, p99 {latency.p99_ms} ms, most {latency.most_ms} ms"
    )
    print("\n".join(f"fault: {fault}" for fault in faults) or "as it should be")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
