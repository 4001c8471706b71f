"""Recordings and playlists on disks that are full, and written by two."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support import clips
from tests.support.sessions import adds_up, run_simulated, running_simulated, until
from vsr.core.errors import EncodeError

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

SOURCE = "testsrc:160x120@25"
ROOT = Path(__file__).parents[2]


def limited(folder: Path, num_bytes: int, *words: str, code: int = 4) -> tuple[dict[str, Any], str]:
    """(report, what was printed) of a `vsr stream` whose files can be no larger than that, and which ends with that code."""
    program = (
        "import resource, sys\nfrom tests.support.sessions import simulated\nfrom vsr import api\n"
        "from vsr.cli import main\napi.StreamSession = simulated\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({num_bytes}, {num_bytes}))\nsys.exit(main(sys.argv[1:]))"
    )
    options = ["--model", "bicubic", "--max-latency", "30000", "--report", str(folder / "report.json")]
    done = subprocess.run(
        [sys.executable, "-c", program, "stream", SOURCE, *words, *options],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())["stream"]
    return report, done.stdout + done.stderr


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_what_did_not_get_to_the_disk_is_not_counted_as_recorded(ending: str, tmp_path: Path) -> None:
    report, said = limited(tmp_path, 200_000, str(tmp_path / f"a.{ending}"), "--duration", "7")
    recordings = sorted(tmp_path.glob(f"a*.{ending}"))
    counts = [len(clips.frame_times(path)) for path in recordings]
    sink = report["sinks"][0]
    assert "reconnecting" in said
    assert 50 <= sink["frames"] <= sum(counts)
    assert all(counts)
    lost = sum(sink["drops"].values())
    assert f"{lost} dropped (" in said
    assert "by sinks, in" in said
    assert f"a.{ending}: {lost} of {report['frames_out']} frames are missing (" in said
    assert report["missing"]
    assert sink["frames"] + sum(sink["drops"].values()) == report["frames_out"]


def test_a_recording_of_no_frame_is_removed_and_its_number_taken_again(tmp_path: Path) -> None:
    words = [str(tmp_path / "a.mp4"), "null", "--duration", "6", "--require", "null", "--crf", "1"]
    report, said = limited(tmp_path, 20_000, *words, code=0)
    assert "reconnecting" in said
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]
    assert (report["sinks"][0]["frames"], report["sinks"][0]["files"]) == (0, 0)
    assert report["sinks"][1]["frames"] == report["frames_out"]


def test_an_end_that_is_not_written_is_told(tmp_path: Path) -> None:
    report, said = limited(tmp_path, 20_000, str(tmp_path / "a.mp4"), "--duration", "1", "--crf", "1")
    assert "0 frames" in said
    assert "stopped: " in said
    assert "file too large" in said
    assert "a.mp4: got no frame (" in said
    assert sum(report["sinks"][0]["drops"].values()) == report["frames_out"]


def test_a_full_disk_is_told_of_hls_and_its_playlist_names_what_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "h"
    folder.mkdir()
    (folder / "index-1.ts").symlink_to("/dev/full")
    with running_simulated(SOURCE, f"{folder}/") as stream:
        stream.wait(lambda report: report.sinks[0]["reconnects"])
        stream.wait_for_frames(60)
        report = stream.stop()
    assert "no space left" in str(report.sinks[0]["changes"])
    named = [line for line in (folder / "index.m3u8").read_text().splitlines() if line.endswith(".ts")]
    assert sorted(named) == sorted(path.name for path in folder.glob("*.ts"))
    counted = report.sinks[0]["frames"]
    assert counted == sum(len(clips.frame_times(folder / name)) for name in named)
    assert counted + sum(report.sinks[0]["drops"].values()) == report.frames_out


@pytest.mark.parametrize("sink", ["d.mkv", "h/", "h/other.m3u8"])
def test_two_at_once_do_not_write_one_recording(sink: str, tmp_path: Path) -> None:
    (tmp_path / "h").mkdir()
    name = f"{tmp_path}/{sink}"
    with running_simulated(SOURCE, name, f"{tmp_path}/h/one.m3u8") as first:
        first.wait(lambda report: report.sinks[0]["state"] == "streaming")
        with pytest.raises(EncodeError, match="another vsr is writing") as caught:
            run_simulated(SOURCE, name, overwrite=True, duration_s=3.0)
        assert caught.value.hint
        report = first.stop()
    assert report.sinks[0]["frames"] == report.frames_out
    assert adds_up(run_simulated(SOURCE, name, overwrite=True, duration_s=0.5))  # nothing stays locked
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.parametrize("sink", ["d.mkv", "d.mp4", "h/"])
def test_what_somebody_removes_is_begun_again(sink: str, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    with running_simulated(SOURCE, f"{folder}/{sink}") as stream:
        stream.wait(lambda report: report.sinks[0]["frames"])
        shutil.rmtree(folder)
        stream.wait(lambda report: report.sinks[0]["reconnects"])
        folder.mkdir(exist_ok=True)
        before = stream.session.report().sinks[0]["frames"]
        stream.wait(lambda report: report.sinks[0]["frames"] > before)
        report = stream.stop()
    assert "was removed while it was written" in str(report.sinks[0]["changes"])
    again = next(path for path in folder.rglob("*") if path.suffix in (".mkv", ".mp4", ".m3u8"))
    assert clips.frame_times(again)
    assert report.sinks[0]["frames"] + sum(report.sinks[0]["drops"].values()) == report.frames_out


def test_files_of_other_programs_stay_in_a_folder_of_hls(tmp_path: Path) -> None:
    foreign = ["index-0000.ts", "index-007.ts", "index-.ts", "index-1.ts.bak", "other-1.ts", "notes.txt"]
    for name in foreign:
        (tmp_path / name).write_text("precious")
    run_simulated(SOURCE, f"{tmp_path}/", duration_s=60.0)
    assert {path.name for path in tmp_path.iterdir() if path.read_bytes() == b"precious"} == set(foreign)


def test_what_was_killed_blocks_nobody(tmp_path: Path) -> None:
    sinks = [str(tmp_path / "d.mkv"), f"{tmp_path}/h/"]
    command = [sys.executable, "-m", "vsr", "stream", SOURCE, *sinks, "--model", "bicubic", "-q"]
    with subprocess.Popen(command, cwd=ROOT) as process:
        until((tmp_path / "h/index.m3u8").exists, 60)
        process.send_signal(signal.SIGKILL)
    report = run_simulated(SOURCE, *sinks, overwrite=True, duration_s=0.5)
    assert [sink["frames"] for sink in report.sinks] == [report.frames_out] * 2
    assert not list(tmp_path.rglob("*.part"))
