"""`vsr upscale` in a process of its own: how long it takes to the first frame, and how much memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from vsr.bench.clips import Clip
from vsr.bench.plan import NULL, Output
from vsr.bench.result import Start
from vsr.bench.statistics import spread
from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.errors import VsrError
from vsr.upscale.options import NetworkOptions

# A few more frames than are in progress at once in a long run.
_FRAMES_FOR_MEMORY = 24
_MOST_RUNS = 9
_KIB = 1024 if sys.platform != "darwin" else 1  # The system's unit of memory.


@dataclass(frozen=True, slots=True)
class FreshRun:
    """Seconds of one run, see `Start`; peak_bytes of memory, None where the system does not say."""

    imports: float
    model: float
    compile: float
    first_frame: float
    peak_bytes: int | None

    @property
    def total(self) -> float:
        """Seconds from the command to the first frame."""
        return self.imports + self.model + self.compile + self.first_frame


def fresh_runs(
    network: NetworkOptions,
    clip: Clip,
    output: Output,
    folder: Path,
    deadline: float,
    clock: Clock = SYSTEM_CLOCK,
) -> list[FreshRun]:
    """Up to nine runs, one at least, until the deadline: the first of 24 frames, for its memory, the others of one.

    Raises VsrError where `vsr upscale` fails.
    """
    runs = [_run(network, clip, output, folder, _FRAMES_FOR_MEMORY)]
    while len(runs) < _MOST_RUNS and clock.now() < deadline:
        runs.append(_run(network, clip, output, folder, 1))
    return runs


def start_of(runs: Sequence[FreshRun]) -> Start:
    """The spread of each part of the start, over one run or more."""
    return Start(
        *(
            spread([round(getattr(run, name), 3) for run in runs])
            for name in ("imports", "model", "compile", "first_frame", "total")
        )
    )


def _run(network: NetworkOptions, clip: Clip, output: Output, folder: Path, frames: int) -> FreshRun:
    report, said = folder / "fresh.json", folder / "fresh.txt"
    target = "null:" if output.encoder == NULL else str(folder / "fresh.mkv")
    seconds = frames / float(clip.info.frame_rate or 25)
    command = [sys.executable, "-m", "vsr", "upscale", clip.url, target, "--overwrite", "--quiet"]
    command += ["--report", str(report), "--duration", f"{seconds:.6f}", *_words(network)]
    if output.encoder != NULL:
        command += ["--encoder", output.encoder, *(["--preset", output.preset] if output.preset else [])]
    begun = time.time()
    with said.open("wb") as lines:
        code, peak_bytes = _ended(
            subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=lines, stderr=lines)
        )
    if code:
        last = said.read_text(encoding="utf-8", errors="replace").strip().splitlines() or [
            f"exit code {code}"
        ]
        raise VsrError(f"`vsr upscale` in a process of its own failed: {last[0]}")
    told = json.loads(report.read_text(encoding="utf-8"))["reports"][0]
    first_frame = told["first_frame_s"] - told["setup_s"] - told["compile_s"]
    return FreshRun(
        max(0.0, told["started"] - begun), told["setup_s"], told["compile_s"], first_frame, peak_bytes
    )


def _ended(process: subprocess.Popen[bytes]) -> tuple[int, int | None]:
    """Exit code and peak memory of a process, once it is over; it does not outlive this one's wait for it."""
    try:
        if not hasattr(os, "wait4"):
            return process.wait(), None
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        return process.returncode, usage.ru_maxrss * _KIB
    except BaseException:
        process.kill()
        process.wait()
        raise


def _words(network: NetworkOptions) -> list[str]:
    """The options of a network that are not the default, as the command line takes them."""
    words = [] if network.build else ["--no-build"]
    for field in fields(network):
        value = getattr(network, field.name)
        if field.name != "build" and value != field.default:
            words += [f"--{field.name.replace('_', '-')}", str(value)]
    return words
