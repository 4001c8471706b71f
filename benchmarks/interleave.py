"""Measuring side by side: in turn, for several rounds, so that whatever else the machine does falls on all alike."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vsr.bench.statistics import spread
from vsr.bench.synthetic import RATE, synthetic_frames
from vsr.machine.environment import environment
from vsr.machine.load import LoadMeter

Run = Callable[[], Mapping[str, Any]]
Rounds = list[dict[str, dict[str, Any]]]


def interleaved(runs: Mapping[str, Run], rounds: int) -> Rounds:
    """What each run measured, by name, for each round. Every other round goes backwards, against slow drifts.

    `others` and `stolen` are added: cores that other processes and the hypervisor took meanwhile.
    """
    found: Rounds = []
    for number in range(rounds):
        line = {}
        for name in list(runs) if number % 2 == 0 else list(reversed(runs)):
            meter = LoadMeter()
            line[name] = dict(runs[name]())
            if load := meter.load():
                line[name] |= {"others": load.others, "stolen": load.stolen}
            print(f"round {number + 1} of {rounds}, {name}: {line[name]}", file=sys.stderr, flush=True)
        found.append(line)
    return found


def of(rounds: Rounds, name: str, key: str) -> dict[str, Any]:
    """The spread of one figure of one run."""
    return _spread([line[name][key] for line in rounds])


def ratio(rounds: Rounds, name: str, other: str, key: str) -> dict[str, Any]:
    """The spread of how many times `other`'s figure that of `name` is, round by round."""
    return _spread([line[name][key] / line[other][key] for line in rounds])


def _spread(values: Sequence[float]) -> dict[str, Any]:
    found = spread(values)
    return {
        "median": round(found.median, 3),
        "low": round(found.low, 3),
        "high": round(found.high, 3),
        "repeats": found.repeats,
    }


def write_result(path: Path | None, **found: Any) -> None:
    """Print what was found with the command and the machine, and write it as JSON."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.stem == "__main__" else program.stem
    # Where things lay on this machine is nobody else's.
    words = [Path(word).name if Path(word).is_absolute() else word for word in sys.argv[1:]]
    command = shlex.join(["python", "-m", f"benchmarks.{name}", *words])
    about = {"schema": 1, "command": command, "environment": environment().as_dict()}
    text = json.dumps(about | found, indent=1)
    print(text)
    if path is not None:
        path.write_text(text + "\n")


def path_to(tree: Path) -> dict[str, str]:
    """The environment in which `import vsr` finds that checkout."""
    return {**os.environ, "PYTHONPATH": str(tree.resolve())}


def commit(tree: Path) -> str:
    """Of a checkout, with what is changed in it."""
    command = ["git", "-C", str(tree), "describe", "--always", "--dirty"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@contextmanager
def busy(processes: int) -> Iterator[list[int]]:
    """So many processes beside that each take all of a core they can get; their ids."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield [other.pid for other in others]
    finally:
        for other in others:
            other.kill()
            other.wait()


def make_clip(path: Path, width: int, height: int, frames: int) -> None:
    """The frames that `vsr bench` makes, in H.264 as cameras and the web have it."""
    size = ["-s", f"{width}x{height}", "-r", str(RATE)]
    command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "yuv420p", *size, "-i", "-"]
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-y", str(path)]
    with subprocess.Popen([*command, *encoder], stdin=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin is not None
        for frame in synthetic_frames(width, height, frames):
            for plane in frame.planes:
                ffmpeg.stdin.write(plane.tobytes())
    if ffmpeg.returncode:
        raise SystemExit(f"ffmpeg could not write {path}")
