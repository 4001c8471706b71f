"""Ctrl-C on a real run, fed by an input that never ends."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

# More than this means that there are frames, too.
HEADER_BYTES = 2000


@pytest.fixture
def running(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`vsr upscale - out.mkv` that has begun to write."""
    endless = ["ffmpeg", "-v", "quiet", "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25"]
    with subprocess.Popen([*endless, "-f", "yuv4mpegpipe", "-"], stdout=subprocess.PIPE) as ffmpeg:
        command = [
            sys.executable,
            "-m",
            "vsr",
            "upscale",
            "-",
            str(tmp_path / "out.mkv"),
            "--model",
            "bicubic",
        ]
        with subprocess.Popen(
            [*command, "--preset", "ultrafast"],
            stdin=ffmpeg.stdout,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        ) as process:
            try:
                deadline = time.monotonic() + 60
                while not any(path.stat().st_size > HEADER_BYTES for path in tmp_path.iterdir()):
                    assert process.poll() is None, process.communicate()[1]
                    assert time.monotonic() < deadline
                    time.sleep(0.005)
                yield process
            finally:
                process.kill()
                ffmpeg.kill()


def test_once_leaves_a_part_that_plays(running: subprocess.Popen[str], tmp_path: Path) -> None:
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "Ctrl-C again cancels" in err
    assert "stopped after" in out
    (part,) = tmp_path.iterdir()
    assert part.name.endswith(".part")
    assert str(part) in out
    probe = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(part)]
    (stream,) = json.loads(subprocess.run(probe, check=True, capture_output=True).stdout)["streams"]
    frames = int(stream["nb_read_frames"])
    assert frames > 0
    assert f"stopped after {frames:,} frames" in out


def test_twice_leaves_nothing(running: subprocess.Popen[str], tmp_path: Path) -> None:
    running.send_signal(signal.SIGSTOP)  # so that both come while it runs
    running.send_signal(signal.SIGINT)
    running.send_signal(signal.SIGTERM)
    running.send_signal(signal.SIGCONT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    assert "cancelled" in err
    assert not list(tmp_path.iterdir())
