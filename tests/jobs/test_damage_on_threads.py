"""A process that reads damaged files on many threads never stands still."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import clips
from tests.support.processes import PATIENCE_S, Processes
from tests.support.tiers import slow

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("seconds", "others"), [(2, 0), pytest.param(20, 2, marks=slow)])
def test_damaged_files_on_threads(seconds: int, others: int, tmp_path: Path, processes: Processes) -> None:
    """FFmpeg's decoding threads have much to say of them, while other threads probe, open encoders and close decoders."""
    files = [
        clips.damaged(f"noisy.{ending}", clips.h264(f"noisy-whole.{ending}", "-x264-params", "threads=2"), start=0.1, end=0.9)
        for ending in ("mkv", "ts", "264")
    ]  # fmt: skip
    for _ in range(others):
        processes.start(sys.executable, "-c", "while True: pass")
    command = (sys.executable, "-m", "tests.support.damaged_threads", seconds, tmp_path, *files)
    process = processes.start(*command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, errors = process.communicate(timeout=seconds + PATIENCE_S)
    assert process.returncode == 0, errors.decode()
    assert errors == b""
    assert all(int(rounds) > 0 for rounds in out.split())
