"""Many streams in one process, watched from outside.

    python benchmarks/streams.py memory                one test source, then sixteen: memory (PSS) and frames
    python benchmarks/streams.py weights               two test sources that want more than there is, weights 3 and 1
    python benchmarks/streams.py cameras --seconds 120 sixteen RTSP cameras, three of which fail in turns, and a reload
    python benchmarks/streams.py sizing --seconds 12   processor time for a frame, from H.264 to H.264, by size and network

All take --model, --max-latency and --report FILE, and exit with 1 where something is not as it should be.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.support.children import free_port
from tests.support.rtsp import RtspServer, rtsp_server

_MANY = 16
_START_S = 20.0
_FAILS_S = 12.0
_RATE = 10
_SIZES = [
    (size, model)
    for size in ("160x90", "320x180", "640x360", "1280x720")
    for model in ("bicubic", "fast", "balanced")
    if (size, model) != ("1280x720", "balanced")
]
# What a process of many may take: this many times the memory of one stream, and this for each.
_MOST_TIMES, _MOST_EACH_MB = 1.3, 8.0
_MOST_OFF = 0.15


@dataclass
class Run:
    """`vsr stream --config` with a file of streams."""

    file: Path
    process: subprocess.Popen[bytes]
    reports: Mapping[str, Any]

    @property
    def cpu_s(self) -> float:
        """Seconds of processor time so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return sum(map(int, fields[11:13])) / os.sysconf("SC_CLK_TCK")

    @property
    def pss_mb(self) -> float:
        """Its proportional set size: memory shared with other processes counts in part."""
        text = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        return round(int(text.partition("\nPss:")[2].split()[0]) / 1000, 1)


@contextlib.contextmanager
def running(streams: str) -> Iterator[Run]:
    """The reports are there once the block has ended."""
    with tempfile.TemporaryDirectory() as folder:
        file, report = Path(folder, "streams.toml"), Path(folder, "report.json")
        file.write_text(streams)
        command = [sys.executable, "-m", "vsr", "stream", "--config", str(file), "--report", str(report)]
        run = Run(file, subprocess.Popen([*command, "--quiet"]), {})
        try:
            yield run
        finally:
            run.process.send_signal(signal.SIGTERM)
            run.process.wait(60)
        run.reports = json.loads(report.read_text())["streams"]


def defaults(asked: argparse.Namespace) -> str:
    return f'[defaults]\nmodel = "{asked.model}"\nmax-latency = {asked.max_latency}\nsinks = ["null"]\n'


def entry(name: str, source: str, more: str = "") -> str:
    return f'[[stream]]\nname = "{name}"\nsource = "{source}"\n{more}\n'


def facts(report: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("frames_before", "frames_in", "frames_out", "drops", "reconnects", "model", "seconds")
    return {name: report[name] for name in kept} | {"p95_ms": (report["latency"] or {}).get("p95_ms")}


def memory(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    told, faults = {}, []
    for count in (1, _MANY):
        sources = [entry(f"s{number}", "testsrc:160x90@10") for number in range(count)]
        with running(defaults(asked) + "".join(sources)) as run:
            time.sleep(asked.seconds)
            pss_mb = run.pss_mb
        told[f"{count}"] = {
            "pss_mb": pss_mb,
            "streams": {name: facts(one) for name, one in run.reports.items()},
        }
        for name, one in run.reports.items():
            if one["frames_out"] < 0.9 * one["frames_in"]:
                faults.append(f"{count} streams: {name} got {one['frames_out']} of {one['frames_in']} frames")
    most = _MOST_TIMES * told["1"]["pss_mb"] + _MOST_EACH_MB * _MANY
    if told[f"{_MANY}"]["pss_mb"] > most:
        faults.append(f"more than {most:.0f} MB")
    return told, faults


def weights(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    streams = entry("three", "testsrc:640x360@30", "weight = 3") + entry("one", "testsrc:640x360@30")
    with running(defaults(asked) + streams) as run:
        time.sleep(asked.seconds)
    three, one = (run.reports[name]["frames_out"] for name in ("three", "one"))
    ratio = three / max(1, one)
    faults = [] if abs(ratio / 3 - 1) <= _MOST_OFF else [f"the ratio is {ratio:.2f}"]
    if not any(report["drops"].get("late") for report in run.reports.values()):
        faults.append("there was no overload")
    return {"ratio": ratio, "streams": {n: facts(report) for n, report in run.reports.items()}}, faults


def cameras(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    with contextlib.ExitStack() as stack:
        there: list[RtspServer] = [
            stack.enter_context(rtsp_server("--size", "160x90", "--rate", str(asked.rate), "--audio", "none"))
            for _ in range(_MANY)
        ]
        streams = [entry(f"camera{number}", camera.url()) for number, camera in enumerate(there)]
        with running(defaults(asked) + "".join(streams)) as run:
            time.sleep(_START_S)
            rest_s = (asked.seconds - _START_S) / 4
            for number in range(3):
                there[number].freeze()
                time.sleep(min(_FAILS_S, rest_s))
                there[number].thaw()
                time.sleep(max(0.0, rest_s - _FAILS_S))
                if number == 1:
                    run.file.write_text(run.file.read_text() + entry("added", "testsrc:160x90@10"))
                    run.process.send_signal(signal.SIGHUP)
            time.sleep(rest_s)
            pss_mb = run.pss_mb
    faults = []
    for number in range(3, _MANY):
        one = run.reports[f"camera{number}"]
        if one["drops"] or one["reconnects"] or one["in_flight"]:
            faults.append(f"camera{number} lost frames: {one['drops']}, {one['reconnects']} reconnects")
    faults += [f"camera{n} was not lost" for n in range(3) if not run.reports[f"camera{n}"]["stalls"]]
    if not run.reports["added"]["frames_out"]:
        faults.append("the reload added no stream")
    return {"pss_mb": pss_mb, "streams": {n: facts(report) for n, report in run.reports.items()}}, faults


def sizing(asked: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """Processor time does not depend on what else the machine does, unlike frames a second."""
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for size, model in _SIZES:
            clip = Path(folder, f"{size}.mp4")
            if not clip.exists():
                source = f"testsrc2=size={size}:rate={_RATE}:duration={asked.seconds + 30}"
                make = [
                    "ffmpeg",
                    "-v",
                    "error",
                    "-f",
                    "lavfi",
                    "-i",
                    source,
                    "-pix_fmt",
                    "yuv420p",
                    str(clip),
                ]
                subprocess.run(make, check=True)
            port = free_port()
            options = f'model = "{model}"\nmax-latency = 10000\nsinks = ["null"]\nrealtime = true\n'
            with running(f'preview = ":{port}"\n' + entry("s", str(clip), options)) as run:
                while (begun := frames_of(port)) < _RATE:
                    time.sleep(0.2)
                cpu_s = run.cpu_s
                time.sleep(asked.seconds)
                frames, cpu_s = frames_of(port) - begun, run.cpu_s - cpu_s
            told[f"{size} {model}"] = {"frames": frames, "cpu_ms_per_frame": round(1000 * cpu_s / frames, 1)}
    return told, []


def frames_of(port: int) -> int:
    """Frames that have gone out."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status?stream=s", timeout=20) as answer:
            return int(json.load(answer)["frames_out"])
    except (urllib.error.URLError, ConnectionError):
        return 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["memory", "weights", "cameras", "sizing"])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--rate", type=int, default=10, help="frames a second of the cameras")
    parser.add_argument("--max-latency", type=int, default=500)
    parser.add_argument("--report", type=Path)
    asked = parser.parse_args()
    cases = {"memory": memory, "weights": weights, "cameras": cameras, "sizing": sizing}
    told, faults = cases[asked.what](asked)
    given = sys.argv[1 : sys.argv.index("--report") if "--report" in sys.argv else None]
    written = {"command": f"python benchmarks/streams.py {' '.join(given)}", **told, "faults": faults}
    written |= {"cores": os.cpu_count(), "load": os.getloadavg()}
    if asked.report is not None:
        asked.report.write_text(json.dumps(written, indent=1) + "\n")
    print(json.dumps(told, indent=1))
    print("\n".join(f"fault: {fault}" for fault in faults) or "as it should be")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
