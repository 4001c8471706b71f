"""Ctrl-C on a real run, fed by an input that never ends."""

from __future__ import annotations

import array
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

# More than this means that there are frames, too.
HEADER_BYTES = 2000


Running = tuple[subprocess.Popen[str], subprocess.Popen[bytes]]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """`vsr upscale - out.mkv` that has begun to write, and what feeds it."""
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
                yield process, ffmpeg
            finally:
                process.kill()
                ffmpeg.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_once_leaves_a_part_that_plays(number: signal.Signals, running: Running, tmp_path: Path) -> None:
    process, _ = running
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Ctrl-C again drops it" in err
    assert "stopped after" in out
    (part,) = tmp_path.iterdir()
    assert part.name.endswith(".part")
    assert str(part) in out
    probe = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-of", "json", str(part)]
    (stream,) = json.loads(subprocess.run(probe, check=True, capture_output=True).stdout)["streams"]
    frames = int(stream["nb_read_frames"])
    assert frames > 0
    assert f"stopped after {frames:,} frames" in out


def test_a_terminal_that_is_closed_leaves_a_part_that_plays(tmp_path: Path) -> None:
    endless = [
        "ffmpeg",
        "-v",
        "quiet",
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=64x48:rate=25",
        "-f",
        "yuv4mpegpipe",
        "-",
    ]
    command = [sys.executable, "-m", "vsr", "upscale", "-", str(tmp_path / "out.mkv"), "--model", "bicubic"]
    ours, its = os.openpty()
    with (
        subprocess.Popen(endless, stdout=subprocess.PIPE) as ffmpeg,
        subprocess.Popen(
            command, stdin=ffmpeg.stdout, stdout=its, stderr=its, cwd=Path(__file__).parents[2],
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),  # noqa: PLW1509
        ) as process,
    ):  # fmt: skip
        try:
            os.close(its)
            deadline = time.monotonic() + 60
            while not any(path.stat().st_size > HEADER_BYTES for path in tmp_path.iterdir()):
                assert time.monotonic() < deadline
                time.sleep(0.005)
            os.close(ours)  # as a window does
            assert process.wait(60) == 130
        finally:
            process.kill()
            ffmpeg.kill()
    (part,) = tmp_path.iterdir()
    assert part.name == "out.mkv.part"
    decoded = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(part), "-f", "null", "-"], capture_output=True, check=True
    )
    assert not decoded.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_commands_that_have_no_end_of_their_own_clean_up(number: signal.Signals, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vsr", "bench", "--model", "bicubic", "--frames", "100000"]
    process = subprocess.Popen(
        command, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    assert "making the clip" in process.stderr.readline()
    while not list(tmp_path.glob("vsr-bench-*/*")):
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()[-1]) == (130, "cancelled")
    assert not list(tmp_path.iterdir())


def test_twice_leaves_nothing(running: Running, tmp_path: Path) -> None:
    process, ffmpeg = running
    ffmpeg.send_signal(signal.SIGSTOP)  # so that both come while it waits for more
    assert ffmpeg.stdout is not None
    deadline = time.monotonic() + 60
    while _unread(ffmpeg.stdout.fileno()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    time.sleep(0.3)  # what was read last is on its way
    assert process.stderr is not None
    for number, answer in ((signal.SIGINT, "again drops it"), (signal.SIGTERM, "dropping what is under way")):
        process.send_signal(number)
        while answer not in (line := process.stderr.readline()):
            assert line, process.returncode
    ffmpeg.kill()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "cancelled" in err
    assert not list(tmp_path.iterdir())


def test_three_times_leaves_while_an_input_keeps_silent(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "vsr", "upscale", "-", str(tmp_path / "out.mkv"), "--model", "bicubic"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            _wait_for_handler(process.pid)
            time.sleep(1)  # By now it waits for the first bytes.
            for answer in ("again drops it", "again leaves"):
                process.send_signal(signal.SIGINT)
                while answer not in (line := process.stderr.readline()):
                    assert line, process.returncode
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130
        finally:
            process.kill()


def _wait_for_handler(pid: int) -> None:
    """Until it catches SIGTERM, as /proc tells."""
    deadline = time.monotonic() + 60
    while True:
        (caught,) = (
            int(line.split()[1], 16)
            for line in Path(f"/proc/{pid}/status").read_text().splitlines()
            if line.startswith("SigCgt")
        )
        if caught >> (signal.SIGTERM - 1) & 1:
            return
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _unread(pipe: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]
