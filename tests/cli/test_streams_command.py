"""`vsr stream --config` as it is typed, and read again at a signal."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import PATIENCE_S, started
from vsr.cli import main

STREAM = """[[stream]]
name = "{}"
source = "testsrc:64x48@10"
sinks = ["null"]
model = "bicubic"
max-latency = 30000
"""


def test_it_runs_the_streams_of_a_file_and_tells_what_they_did(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, report = tmp_path / "streams.toml", tmp_path / "report.json"
    path.write_text('[defaults]\nduration = "0.3"\n' + STREAM.format("a") + STREAM.format("b"))
    assert main(["stream", "--config", str(path), "--report", str(report)]) == 0
    shown = capsys.readouterr()
    assert {"a: streaming", "b: streaming", "a: stopped", "b: stopped"} == set(shown.err.splitlines())
    assert shown.out.count("testsrc:64x48@10: 64x48 to 128x96") == 2
    assert json.loads(report.read_text())["streams"].keys() == {"a", "b"}


def test_every_fault_has_a_line_and_nothing_begins(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, recording = tmp_path / "streams.toml", tmp_path / "a.mp4"
    stream = STREAM.replace('"null"', f'"{recording}"')
    path.write_text(stream.format("a") + "sise = 1\n" + stream.format("b"))
    assert main(["stream", "--config", str(path)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith(f"error: {path}:7: a: `sise`: is unknown")
    assert second.startswith(f"error: {path}:11: b: `sinks`: {recording} is used by a, too")
    assert not recording.exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["testsrc:64x48@10"], "SOURCE cannot stand beside --config"),
        (["--model", "fast", "--wait"], "--model, --wait cannot stand beside --config"),
    ],
)
def test_other_options_stand_in_the_file(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stream", "--config", str(tmp_path / "x.toml"), *words]) == 2
    assert said in capsys.readouterr().err
    assert main(["stream"]) == 2
    assert "Missing argument 'SOURCE', or --config" in capsys.readouterr().err


def test_the_report_replaces_no_file_of_theirs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, recording = tmp_path / "streams.toml", tmp_path / "a.mp4"
    text = STREAM.format("a").replace('"null"', f'"{recording}"')
    path.write_text(text)
    for report, said in ((path, "report {} is the input"), (recording, "{} is used by the report, too")):
        assert main(["stream", "--config", str(path), "--report", str(report)]) == 2
        assert said.format(report) in capsys.readouterr().err
    assert path.read_text() == text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_a_hangup_reads_the_file_again(tmp_path: Path) -> None:
    path = tmp_path / "streams.toml"
    path.write_text(STREAM.format("a"))
    command = (sys.executable, "-m", "vsr", "stream", "--config", str(path))
    root = Path(__file__).parents[2]
    pipe = subprocess.PIPE
    # It is started without a terminal, whose end the signal might mean.
    with started(*command, cwd=root, text=True, stdout=pipe, stderr=pipe) as process:
        assert process.stderr is not None

        def until_line(wanted: str) -> None:
            assert process.stderr is not None
            while wanted not in (line := process.stderr.readline()):
                assert line, process.poll()

        until_line("a: streaming")
        path.write_text(STREAM.format("b"))
        process.send_signal(signal.SIGHUP)
        until_line("added: b; removed: a")
        path.write_text("[[stream]]\n")
        process.send_signal(signal.SIGHUP)
        until_line(f"error: {path}:1: `name`: is missing")
        until_line("is not used as it is now")
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert "testsrc:64x48@10" in out
