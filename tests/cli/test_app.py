from __future__ import annotations

import errno
import functools
import operator
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

import click
import pytest
from PIL import Image

from tests.support.processes import PATIENCE_S, until
from vsr.cli import app, main
from vsr.cli.interrupt import as_keyboard_interrupt, interrupts
from vsr.core.control import Cancelled
from vsr.core.errors import DecodeError, PipelineError
from vsr.media.samples import CLIP


def command_raising(error: BaseException) -> click.Command:
    def fail() -> NoReturn:
        raise error

    return click.Command("fail", callback=fail)


def run_raising(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    monkeypatch.setattr(app.LazyGroup, "get_command", lambda *_: command_raising(error))
    return main(["fail"])


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n  {name} " in out for name in app.COMMANDS)
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("vsr ")


@pytest.mark.parametrize("name", app.COMMANDS)
def test_each_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert capsys.readouterr().out.startswith(f"Usage: vsr {name}")


def test_no_command_is_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("Usage: vsr")


@pytest.mark.parametrize(
    "arguments", [["nosuch"], ["upscale"], ["upscale", "a", "--size", "big"], ["--nosuch"]]
)
def test_wrong_use_is_an_error_and_a_hint(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert "--help` shows" in hint


def test_our_errors_are_a_line_and_a_hint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = DecodeError("packet 3 is damaged", hint="leave out --strict")
    error.add_note("in decode at frame 2")
    assert run_raising(monkeypatch, error) == 4
    expected = "error: packet 3 is damaged (in decode at frame 2)\nhint: leave out --strict\n"
    assert capsys.readouterr().err == expected


def test_what_is_not_ours_says_it_is_a_bug(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_raising(monkeypatch, KeyError("gone")) == 70
    err = capsys.readouterr().err
    assert err.startswith("error: internal error: KeyError: 'gone' (test_app.py:")
    assert "this is a bug in vsr" in err
    assert "Traceback" not in err
    monkeypatch.setenv("VSR_DEBUG", "1")
    assert run_raising(monkeypatch, KeyError("gone")) == 70
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
)
def test_where_memory_ends_it_is_said_in_a_line(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_raising(monkeypatch, error) == 6
    told, hint = capsys.readouterr().err.splitlines()
    assert told == "error: out of memory: not enough to go on"
    assert "ulimit -v" in hint


def test_so_it_is_under_a_limit(tmp_path: Path) -> None:
    Image.new("RGB", (16, 16)).save(tmp_path / "x.png")
    run = f"ulimit -v 425000; exec {sys.executable} -m vsr upscale {tmp_path}/x.png null: --model bicubic --backend openvino"
    done = subprocess.run(
        ["bash", "-c", run], capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode in (3, 6), done.stderr
    assert "out of memory" in done.stderr
    assert "internal error" not in done.stderr


def test_a_bug_in_a_stage_shows_its_cause_when_asked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = PipelineError("infer", 7, ZeroDivisionError("by zero"))
    error.__cause__ = ZeroDivisionError("by zero")
    monkeypatch.setenv("VSR_DEBUG", "1")
    assert run_raising(monkeypatch, error) == 70
    err = capsys.readouterr().err
    assert err.startswith("error: internal error in infer at frame 7: ZeroDivisionError: by zero\nhint: ")
    assert "direct cause" in err


@pytest.mark.parametrize("error", [Cancelled(), KeyboardInterrupt()])
def test_cancelled_is_130(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_raising(monkeypatch, error) == 130
    assert "cancelled" in capsys.readouterr().err


def test_a_reader_that_has_enough_is_no_error() -> None:
    program = "import sys\nfrom vsr.cli import main\nsys.exit(main(['--help']))"
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", program], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.returncode == 1
    assert done.stderr == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_a_standard_output_that_takes_nothing_is_no_bug_of_ours(redirection: str) -> None:
    command = ["bash", "-c", f"exec {sys.executable} -m vsr model list {redirection}"]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    full = (1, "error: cannot write to standard output: No space left on device\n")
    assert (done.returncode, done.stderr) == (full if "full" in redirection else (0, ""))


@pytest.mark.parametrize(
    ("closed", "paths", "code"), [("<&-", "- out.mkv", 4), ("2>&-", f"{CLIP} out.mkv", 0), (">&- 2>&-", f"{CLIP} null:", 0)]
)  # fmt: skip
def test_standard_streams_that_are_closed_hold_nothing_up(
    closed: str, paths: str, code: int, tmp_path: Path
) -> None:
    command = f"exec {sys.executable} -m vsr upscale {paths} --model bicubic --duration 0.2 {closed}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == code, done.stderr
    assert [path.name for path in tmp_path.iterdir()] == (["out.mkv"] if "2>" in closed[:2] else [])


def test_a_file_name_of_any_bytes_is_printed_as_it_is(tmp_path: Path) -> None:
    name = tmp_path / os.fsdecode(b"caf\xe9.png")
    Image.new("L", (16, 16)).save(tmp_path / "plain.png")
    (tmp_path / "plain.png").rename(name)
    done = subprocess.run([sys.executable, "-m", "vsr", "probe", name], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"caf\xe9.png" in done.stdout


class RecordingControl:
    def __init__(self) -> None:
        self.told: list[str] = []

    def stop(self) -> None:
        self.told.append("stop")

    def cancel(self) -> None:
        self.told.append("cancel")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_stop_then_cancel(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    control = RecordingControl()
    before = signal.getsignal(number)
    with interrupts(control):
        for expected in (["stop"], ["stop", "cancel"]):
            signal.raise_signal(number)
            until(functools.partial(operator.eq, control.told, expected))
    assert not [thread for thread in threading.enumerate() if thread.name == "signals"]
    assert signal.getsignal(number) == before
    assert "Ctrl-C again drops it" in capfd.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_signal_that_was_ignored_before_stays_ignored(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    control = RecordingControl()
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with as_keyboard_interrupt(), interrupts(control):
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
    assert control.told == []
    assert capfd.readouterr().err == ""


def test_the_third_signal_leaves_at_once() -> None:
    program = (
        "import signal\nfrom vsr.cli.interrupt import interrupts\nfrom vsr.core.control import Control\n"
        "with interrupts(Control()):\n    for _ in range(3): signal.raise_signal(signal.SIGINT)\nprint('here')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 130
    assert b"here" not in done.stdout
