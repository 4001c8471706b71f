"""Several inputs as a whole: what is done stays, whatever ends the run, and the same command continues with the others."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import vsr
from tests.support import clips
from vsr.cli.app import run
from vsr.core.errors import ConfigError
from vsr.jobs.folder import JobFolder


@pytest.fixture
def films(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three short videos; outputs go to `larger`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "films").mkdir()
    clip = clips.h264("short.mp4", source="testsrc2=size=64x48:rate=25:duration=0.2")
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        shutil.copy(clip, tmp_path / "films" / name)
    return tmp_path / "films"


COMMAND = ["upscale", "films", "larger/", "--model", "bicubic", "--preset", "ultrafast"]


def outputs(ending: str = ".mp4") -> dict[str, tuple[int, int]]:
    """The videos or pictures made, each with what tells it from one made anew."""
    found = {path.name: path.stat() for path in Path("larger").glob(f"*{ending}")}
    return {name: (one.st_ino, one.st_mtime_ns) for name, one in found.items()}


def batches() -> list[str]:
    return [path.name for path in Path("larger").glob("*.vsr")]


def broken(path: Path) -> bytes:
    """What a file held before it was cut off at its beginning."""
    data = path.read_bytes()
    path.write_bytes(data[:200])
    return data


def test_after_a_failure_the_same_command_makes_only_what_is_left(
    films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = broken(films / "b.mp4")
    assert run(COMMAND) != 0
    assert "2 of 3 inputs are done; the same command continues with the others" in capsys.readouterr().err
    made = outputs()
    assert sorted(made) == ["a_x2.mp4", "c_x2.mp4"]
    assert run(["jobs", "list", "larger"]) == 0
    assert "2 of 3 inputs" in capsys.readouterr().out
    (films / "b.mp4").write_bytes(whole)
    assert run([*COMMAND, "--report", "report.json"]) == 0
    assert "going on: 2 of 3 inputs are done" in capsys.readouterr().err
    assert outputs().items() >= made.items()
    assert sorted(outputs()) == ["a_x2.mp4", "b_x2.mp4", "c_x2.mp4"]
    assert batches() == []
    reports = json.loads(Path("report.json").read_text())["reports"]
    assert [Path(report["input"]).name for report in reports] == ["a.mp4", "b.mp4", "c.mp4"]


def test_an_output_that_got_its_name_just_before_kill_9_is_done(films: Path) -> None:
    def killed(command: list[str]) -> None:
        child = f"""
import os, sys
from vsr.jobs.folder import JobFolder
JobFolder.remove = lambda self: os.kill(os.getpid(), 9)
from vsr.cli import main
sys.argv = {["vsr", *command]!r}
main()
"""
        ended = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)
        assert ended.returncode == -signal.SIGKILL, ended.stderr

    gop = clips.h264("gop.mp4", "-g", "5", source="testsrc2=size=64x48:rate=25:duration=0.4")
    for path in films.iterdir():
        shutil.copy(gop, path)
    for command in (
        [*COMMAND, "--segment", "0.2"],
        ["upscale", "films/a.mp4", "larger/one.mp4", "--model", "bicubic", "--segment", "0.2"],
    ):
        before = outputs()
        killed(command)
        made = outputs()
        assert len(made) == len(before) + 1
        assert run(command) == 0
        assert outputs().items() >= made.items()
        assert batches() == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("kind", [".mp4", ".png"])
def test_in_one_pass_a_kill_around_the_naming_leaves_no_doubt(
    films: Path, kind: str, when: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == ".png":
        for path in films.iterdir():
            path.unlink()
            Image.new("RGB", (8, 8)).save(path.with_suffix(kind))
    child = f"""
import os, sys
real = os.replace
def replace(made, name):
    hit = str(name).endswith("b_x2{kind}")
    if hit and "{when}" == "before": os.kill(os.getpid(), 9)
    real(made, name)
    if hit: os.kill(os.getpid(), 9)
os.replace = replace
from vsr.cli import main
sys.argv = {["vsr", *COMMAND]!r}
main()
"""
    ended = subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    made = outputs(kind)
    assert sorted(made) == [f"{name}_x2{kind}" for name in ("a", "b")[: 1 + (when == "after")]]
    assert run([*COMMAND, "--report", "report.json"]) == 0
    assert f"going on: {len(made)} of 3 inputs are done" in capsys.readouterr().err
    assert outputs(kind).items() >= made.items()
    assert (len(outputs(kind)), batches()) == (3, [])
    reports = json.loads(Path("report.json").read_text())["reports"]
    assert [report["output"] for report in reports] == [f"larger/{name}_x2{kind}" for name in "abc"]


def begun(films: Path) -> Path:
    """A batch of which one input is not done yet."""
    whole = broken(films / "c.mp4")
    assert run(COMMAND) != 0
    (films / "c.mp4").write_bytes(whole)
    return Path("larger") / batches()[0]


def test_another_option_is_named(films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun(films)
    made = outputs()
    assert run([*COMMAND, "--crf", "30"]) == 2
    err = capsys.readouterr().err
    assert "--crf was not given, is 30" in err
    assert "--restart" in err
    assert outputs() == made
    assert run([*COMMAND, "--crf", "30", "--restart", "--overwrite"]) == 0
    assert not set(outputs().items()) & set(made.items())


def test_an_input_or_an_output_that_changed_is_not_taken_for_done(
    films: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    begun(films)
    os.utime(films / "a.mp4", (1, 1))
    Path("larger/b_x2.mp4").write_bytes(b"somebody else's")
    assert run(COMMAND) == 2
    err = capsys.readouterr().err
    assert "going on:" not in err
    assert err.count("exists") >= 2
    assert Path("larger/b_x2.mp4").read_bytes() == b"somebody else's"


def test_a_dry_run_counts_what_is_done(films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun(films)
    capsys.readouterr()
    assert run([*COMMAND, "--dry-run"]) == 0
    assert [line for line in capsys.readouterr().out.splitlines() if "would write" in line] == [
        "  would write larger/c_x2.mp4"
    ]
    assert run([*COMMAND, "--dry-run", "--crf", "30"]) == 2
    assert len(batches()) == 1


def test_new_inputs_in_the_folder_are_made_with_the_rest(films: Path) -> None:
    begun(films)
    made = outputs()
    shutil.copy(films / "a.mp4", films / "d.mp4")
    assert run(COMMAND) == 0
    assert outputs().items() >= made.items()
    assert (sorted(outputs())[-1], batches()) == ("d_x2.mp4", [])


def test_names_need_not_be_utf8(films: Path) -> None:
    name = os.fsdecode(b"\xff\n'\".mp4")
    (films / "a.mp4").rename(films / name)
    whole = broken(films / "b.mp4")
    assert run(COMMAND) != 0
    made = outputs()
    (films / "b.mp4").write_bytes(whole)
    assert run(COMMAND) == 0
    assert outputs().items() >= made.items()
    assert (len(outputs()), batches()) == (3, [])


def test_two_runs_at_once_are_refused(films: Path) -> None:
    folder = begun(films)
    config = vsr.UpscaleConfig(inputs=("films",), output="larger/", network=vsr.NetworkOptions("bicubic"))
    for run_or_preview in (vsr.upscale_many, vsr.preview_many):
        with JobFolder(folder), pytest.raises(ConfigError, match="another vsr works on"):
            run_or_preview(config)


def test_a_journal_that_is_damaged_is_said(films: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = begun(films) / "journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"x" + lines[1], *lines[2:]]))
    assert run([*COMMAND, "--overwrite"]) == 0
    assert "line 2 of 3" in capsys.readouterr().err
    assert (len(outputs()), batches()) == (3, [])


def test_cleaning_removes_it(films: Path) -> None:
    begun(films)
    made = outputs()
    assert run(["jobs", "clean", "larger", "--yes"]) == 0
    assert (outputs(), batches()) == (made, [])


def test_nothing_stays_where_nothing_is_done(films: Path) -> None:
    for path in films.iterdir():
        broken(path)
    assert run(COMMAND) != 0
    assert list(Path("larger").iterdir()) == []
