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
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import PATIENCE_S, Processes, asleep, catches, until

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

# More than this means that there are frames, too.
HEADER_BYTES = 2000
VSR = (sys.executable, "-m", "vsr")
ROOT = Path(__file__).parents[2]

Process = subprocess.Popen[Any]


@pytest.fixture(autouse=True)
def _signals_are_heard() -> Iterator[None]:
    """Also where pytest itself was started with them ignored, as by nohup: what it starts would ignore them like itself."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT)}
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def endless(processes: Processes) -> Process:
    """What feeds a picture to its standard output for ever."""
    picture = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25", "-f", "yuv4mpegpipe", "-")
    return processes.start("ffmpeg", "-v", "quiet", *picture, stdout=subprocess.PIPE)


def wait_for_frames(process: Process, folder: Path) -> None:
    def written() -> bool:
        assert process.poll() is None, process.communicate()[1]
        return any(path.stat().st_size > HEADER_BYTES for path in folder.iterdir())

    until(written, "no frame was written")


def answers(process: Process, number: signal.Signals, answer: str) -> None:
    """Send a signal, and wait for the line that answers it."""
    process.send_signal(number)
    assert process.stderr is not None
    while answer not in (line := process.stderr.readline()):
        assert line, process.poll()


@pytest.fixture
def running(processes: Processes, tmp_path: Path) -> tuple[Process, Process]:
    """`vsr upscale - out.mkv` that has begun to write, and what feeds it."""
    ffmpeg = endless(processes)
    command = (*VSR, "upscale", "-", tmp_path / "out.mkv", "--model", "bicubic", "--preset", "ultrafast")
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = processes.start(*command, stdin=ffmpeg.stdout, text=True, cwd=ROOT, **pipes)
    wait_for_frames(process, tmp_path)
    return process, ffmpeg


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_once_leaves_a_part_that_plays(
    number: signal.Signals, running: tuple[Process, Process], tmp_path: Path
) -> None:
    process, _ = running
    process.send_signal(number)
    out, err = process.communicate(timeout=PATIENCE_S)
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


def test_a_terminal_that_is_closed_leaves_a_part_that_plays(processes: Processes, tmp_path: Path) -> None:
    command = (*VSR, "upscale", "-", tmp_path / "out.mkv", "--model", "bicubic")
    ours, its = os.openpty()
    process = processes.start(
        *command, stdin=endless(processes).stdout, stdout=its, stderr=its, cwd=ROOT,
        preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(its)
    try:
        wait_for_frames(process, tmp_path)
    finally:
        os.close(ours)  # as a window does
    assert process.wait(PATIENCE_S) == 130
    (part,) = tmp_path.iterdir()
    assert part.name == "out.mkv.1.part"
    decoded = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", str(part), "-f", "null", "-"], capture_output=True, check=True
    )
    assert not decoded.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_commands_that_have_no_end_of_their_own_clean_up(
    number: signal.Signals, processes: Processes, tmp_path: Path
) -> None:
    process = processes.start(
        *VSR, "bench", "--model", "bicubic", "--frames", "100000",
        env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert "a clip of" in process.stderr.readline()
    until(lambda: process.poll() is not None or list(tmp_path.glob("vsr-bench-*/*")), "there is no clip")
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err.splitlines()[-1]) == (130, "cancelled")
    assert not list(tmp_path.iterdir())


def test_twice_leaves_nothing(running: tuple[Process, Process], tmp_path: Path) -> None:
    process, ffmpeg = running
    ffmpeg.send_signal(signal.SIGSTOP)  # so that both come while it waits for more
    assert ffmpeg.stdout is not None
    pipe = ffmpeg.stdout.fileno()
    until(lambda: not _unread(pipe) and asleep(process.pid), "it does not wait for more")
    answers(process, signal.SIGINT, "again drops it")
    answers(process, signal.SIGTERM, "dropping the work in progress")
    ffmpeg.kill()
    _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130, err
    assert "cancelled" in err
    assert not list(tmp_path.iterdir())


def test_three_times_leaves_while_an_input_keeps_silent(processes: Processes, tmp_path: Path) -> None:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = (*VSR, "upscale", "-", tmp_path / "out.mkv", "--model", "bicubic")
    process = processes.start(*command, text=True, **pipes)
    until(lambda: catches(process.pid, signal.SIGTERM) and asleep(process.pid), "it does not wait for bytes")
    answers(process, signal.SIGINT, "again drops it")
    answers(process, signal.SIGINT, "again ends")
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 130


def _unread(pipe: int) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, count)
    return count[0]
