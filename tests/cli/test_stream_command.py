"""`vsr stream` as it is typed, and ended by signals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.support import clips
from tests.support.processes import PATIENCE_S, started, until
from tests.support.rtsp import needs_rtsp_server, rtsp_server
from vsr.cli import main

SOURCE = "testsrc:160x120@25"
QUICK = ["--model", "bicubic", "--max-latency", "30000"]


def test_it_tells_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded, report = tmp_path / "recorded.mp4", tmp_path / "report.json"
    words = ["stream", SOURCE, str(recorded), "null", "--duration", "1.5", "--report", str(report), *QUICK]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert shown.err == "streaming\nstopped\n"
    told = json.loads(report.read_text())["stream"]
    frames = told["frames_out"]
    assert len(clips.frame_times(recorded)) == frames > 10
    assert f"{frames:,} in, {frames:,} out, none dropped" in shown.out
    assert re.search(r"latency p50 [\d.]+ ms, p95 [\d.]+ ms, p99 [\d.]+ ms", shown.out)
    assert [sink["frames"] for sink in told["sinks"]] == [frames, frames]
    assert told["latency"]["p99_ms"] > 0
    assert [change["state"] for change in told["changes"]] == ["connecting", "streaming", "stopped"]


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", SOURCE, "null", "--duration", "0.5", "-q", *QUICK]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([SOURCE], "error: no sink given\n"),
        (["clip.mp4", "null"], "error: clip.mp4: no such file\n"),
        (
            [SOURCE, "null", "--rotate", "often"],
            "error: Invalid value for '--rotate': 'often' is not a time or size",
        ),
        ([SOURCE, "null", "--scale", "7"], "error: Invalid value for '--scale'"),
        ([SOURCE, "null", "--model", "fast", "--scale", "3"], "error: fast enlarges by 4, not by 3\n"),
        ([SOURCE, "null", "--token", "word"], "error: a token without a preview guards nothing\n"),
        ([SOURCE, "null", "--timeout", "0"], "error: the timeout, 0 s, is out of range\n"),
        ([SOURCE, "null", "--duration", "0"], "error: the duration is 0 s\n"),
        (
            [SOURCE, "null", "--max-latency", "9" * 21],
            f"error: Invalid value for '--max-latency': {'9' * 21} is not in the range 20<=x<=10000000000.",
        ),
        ([SOURCE, "null", "--preview", ":0", "--token", ""], "error: the token is empty\n"),
        ([SOURCE, "null", "--preview", ""], "error: '' is not an address to listen at\n"),
        ([SOURCE, "--preview", ""], "error: '' is not an address to listen at\n"),
        ([SOURCE, "null", "--preview", "here"], "error: 'here' is not an address to listen at\n"),
    ],
)
def test_what_cannot_work_is_an_error_and_a_hint(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stream", *words]) != 0
    err = capsys.readouterr().err
    assert err.startswith(said)
    assert err.splitlines()[-1].startswith("hint: ")
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["in.mp4", "null", "--realtime", "--report", "./in.mp4"], "report in.mp4 is the input in.mp4"),
        (["in.mp4", "null", "--realtime", "--report", "in"], "under the name in.part, which is the input"),
        ([SOURCE, "out.mp4", "--report", "out.mp4"], "report out.mp4 is the output out.mp4"),
        ([SOURCE, "out.mp4", "--rotate", "1h", "--report", "out-0001.mp4"], "is the output out-0001.mp4"),
        ([SOURCE, "h/", "--report", "h/index.m3u8"], "report h/index.m3u8 is the output h/index.m3u8"),
    ],
)
def test_a_report_replaces_neither_the_source_nor_a_recording(
    words: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    source = Path(shutil.copy(clips.h264("cfr.mp4"), "in.mp4"))
    content = source.read_bytes()
    Path("in.part").hardlink_to(source)
    Path("h").mkdir()
    assert main(["stream", *words, "--duration", "1", *QUICK]) == 2
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: report ")
    assert said in error
    assert hint.startswith("hint: ")
    assert source.read_bytes() == content
    assert not Path("out.mp4").exists()


def streaming(*words: str, source: str = SOURCE) -> AbstractContextManager[subprocess.Popen[str]]:
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    command = (sys.executable, "-m", "vsr", "stream", source, *words, *QUICK)
    return started(*command, cwd=Path(__file__).parents[2], text=True, **pipes)


def wait_for_size(path: Path, process: subprocess.Popen[str], least: int = 20_000) -> None:
    def reached() -> bool:
        assert process.poll() is None, process.communicate()[1]
        return path.exists() and path.stat().st_size >= least

    until(reached, f"{path.name} does not grow to {least} bytes")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_and_finishes_the_recording(number: signal.Signals, tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.mp4"
    with streaming(str(recorded)) as process:
        wait_for_size(recorded, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    frames = len(clips.frame_times(recorded))
    assert f"{frames:,} in, {frames:,} out, none dropped" in out


def test_a_second_signal_waits_for_no_sink_and_keeps_the_recording(tmp_path: Path) -> None:
    recorded, hangs = tmp_path / "recorded.mkv", tmp_path / "hangs.ts"
    os.mkfifo(hangs)  # Nobody reads it: whoever opens it waits.
    with streaming(str(recorded), str(hangs), "--overwrite", "--timeout", "60") as process:
        wait_for_size(recorded, process)
        assert process.stderr is not None
        for answer in ("again drops it", "dropping the work in progress"):
            process.send_signal(signal.SIGINT)
            while answer not in (line := process.stderr.readline()):
                assert line, process.returncode
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "cancel" not in err
    assert clips.frame_times(recorded)


def test_a_recording_outlives_a_kill(tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.mp4"
    with streaming(str(recorded)) as process:
        wait_for_size(recorded, process, 60_000)
        process.kill()
    assert len(clips.frame_times(recorded)) >= 25


@needs_rtsp_server
def test_a_signal_ends_it_while_the_source_hangs(tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.mp4"
    # It would be tried for longer than anybody waits for the process here.
    with (
        rtsp_server() as camera,
        streaming(str(recorded), "--timeout", "600", source=camera.url()) as process,
    ):
        wait_for_size(recorded, process)
        camera.freeze()
        time.sleep(0.5)  # The test holds also where it does not hang yet.
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
        camera.thaw()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert f"{len(clips.frame_times(recorded)):,} out" in out
