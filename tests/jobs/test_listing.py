"""`vsr jobs` and its form in Python, on jobs that are not done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import vsr
from tests.support.job_parts import PLAN, begun
from vsr.cli.app import run
from vsr.core.errors import ConfigError
from vsr.jobs.folder import JobFolder


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two jobs, and a folder that is not a job."""
    begun(tmp_path / "a.mp4", 2)
    (tmp_path / "below").mkdir()
    begun(tmp_path / "below/b.mkv", 4)
    (tmp_path / "empty.vsr").mkdir()
    (tmp_path / "file.vsr").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_jobs_are_found_in_the_folders_that_are_named(here: Path) -> None:
    (job,) = vsr.list_jobs()
    assert (job.folder, job.output, job.input) == ("a.mp4.vsr", "a.mp4", "/in.mp4")
    assert (job.done_s, job.total_s, job.playable_s) == (19.8, 49.5, 19.8)
    assert (job.segments_done, job.segments, job.running, job.damage) == (2, len(PLAN.segments), "", "")
    assert job.bytes == sum(path.stat().st_size for path in Path("a.mp4.vsr").glob("*.segment"))
    assert [job.output for job in vsr.list_jobs([".", "below", "a.mp4.vsr", "a.mp4"])] == [
        "a.mp4",
        "below/b.mkv",
    ]
    with pytest.raises(ConfigError, match="no folder"):
        vsr.list_jobs(["nowhere"])


@pytest.mark.parametrize("name", ["a.mp4", "a.mp4.vsr", Path("a.mp4")])
def test_a_job_is_known_by_its_output_and_its_folder(name: str | Path, here: Path) -> None:
    assert vsr.find_job(name).identity == {"--crf": 18.0, "input": "/in.mp4"}
    with pytest.raises(ConfigError, match="there is no unfinished job"):
        vsr.find_job("b.mp4")


def test_only_what_has_no_gap_before_it_is_playable(here: Path) -> None:
    Path("below/b.mkv.vsr/000001.segment").unlink()
    job = vsr.find_job("below/b.mkv")
    assert (job.segments_done, job.playable_s) == (4, 9.9)


def test_a_damaged_journal_is_shown_as_it_is(here: Path) -> None:
    journal = Path("a.mp4.vsr/journal")
    journal.write_bytes(b"x" + journal.read_bytes())
    job = vsr.find_job("a.mp4")
    assert (job.input, job.segments) == (None, 0)
    assert "line 1 of 3" in job.damage


def test_the_command_line_lists_and_shows(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "list", ".", "below"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["a.mp4", "20", "of", "50", "s", "2", "of", "5", *lines[1].split()[8:10], "stopped"],
        ["below/b.mkv", "40", "of", "50", "s", "4", "of", "5", *lines[2].split()[8:10], "stopped"],
    ]
    assert run(["jobs", "list", "--json"]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert shown["segments_done"] == 2
    assert run(["jobs", "show", "a.mp4"]) == 0
    out = capsys.readouterr().out
    assert "done: 19.8 of 49.5 s" in out
    assert "segments: 2 of 5" in out
    assert "--crf: 18" in out
    assert run(["jobs", "list", "empty.vsr"]) == 0
    assert "no jobs" in capsys.readouterr().err
    assert run(["jobs", "show", "c.mp4"]) == 2


def test_cleaning_asks_and_spares_what_is_running(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["jobs", "clean", ".", "below"]) == 2
    err = capsys.readouterr().err
    assert "a.mp4" in err
    assert "--yes" in err
    with JobFolder(Path("a.mp4.vsr")):
        assert "process" in vsr.find_job("a.mp4").running
        assert run(["jobs", "clean", ".", "below", "--yes"]) == 0
    assert capsys.readouterr().out.splitlines() == ["removed below/b.mkv.vsr"]
    assert [path.name for path in Path("below").iterdir()] == []
    assert vsr.find_job("a.mp4").segments_done == 2
    assert [job.output for job in vsr.remove_jobs(["a.mp4"], confirm=lambda jobs: len(jobs) == 1)] == [
        "a.mp4"
    ]
    assert sorted(path.name for path in here.iterdir()) == ["below", "empty.vsr", "file.vsr"]
