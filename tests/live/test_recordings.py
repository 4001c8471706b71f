"""Recordings that go on from file to file, from run to run, and are removed again."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import av
import pytest

from tests.support import clips
from tests.support.processes import started, until
from tests.support.sessions import config, run_simulated
from vsr.core.errors import ConfigError
from vsr.live.session import Session
from vsr.media.live.recordings import Recordings

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

SOURCE = "testsrc:160x120@25"
ROOT = Path(__file__).parents[2]
NOON = datetime(2026, 11, 30, 12, 0, 5, tzinfo=UTC)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_numbers_go_on_after_the_highest_and_nothing_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "day-0007.mkv").write_text("precious")
    for overwrite in (False, True):
        run_simulated(SOURCE, f"{tmp_path}/day.mkv", duration_s=2.5, rotate_s=1.0, overwrite=overwrite)
    assert names(tmp_path) == [f"day-{number:04d}.mkv" for number in range(7, 12)]
    assert (tmp_path / "day-0007.mkv").read_text() == "precious"


def test_the_number_after_a_change_follows_what_is_there(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "r.mp4")
    assert [recordings.next(number).name for number in (1, 2)] == ["r.mp4", "r-0002.mp4"]
    (tmp_path / "r-0005.mp4").touch()
    assert recordings.next(2).name == "r-0006.mp4"


def test_names_by_time_in_the_order_of_time(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path / "100%%-%Y%m%d-%H%M%S.mp4")
    made = []
    for _ in range(3):
        made.append(recordings.next(now=NOON))
        made[-1].touch()
    made.append(recordings.next(now=NOON.replace(second=6)))
    assert made[0].name == "100%-20261130-120005.mp4"
    assert len(set(made)) == 4
    assert sorted(made) == made
    assert set(recordings.existing()) == set(made[:3])


def test_a_recording_is_named_by_time(tmp_path: Path) -> None:
    report = run_simulated(SOURCE, f"{tmp_path}/r-%Y-%H%M%S.mkv", duration_s=2.5, rotate_s=1.0)
    files = sorted(tmp_path.iterdir())
    assert len(files) == report.sinks[0]["files"] >= 2
    assert all(file.name.startswith("r-20") for file in files)
    assert sum(len(clips.frame_times(file)) for file in files) == report.frames_out


@pytest.mark.parametrize(
    ("name", "said"), [("r-%Y-%Q.mp4", "no %Q is known"), ("r-%H%.mp4", "no % is known")]
)
def test_a_name_by_time_that_cannot_be(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        Session(config(SOURCE, f"{tmp_path}/{name}"))
    assert caught.value.hint


def test_a_per_cent_sign_alone_is_one(tmp_path: Path) -> None:
    assert Recordings(tmp_path / "100%.mp4").next().name == "100%.mp4"


def aged(folder: Path, *named: str, num_bytes: int = 100) -> None:
    """Files, each a minute older than the next, the last of them a minute before 1,000,000."""
    for number, name in enumerate(named):
        (folder / name).write_bytes(bytes(num_bytes))
        os.utime(folder / name, (1e6, 1e6 - 60 * (len(named) - number)))


FOREIGN = ["x-1.mp4", "x-12345.mkv", "y-0001.mp4", "x.mp4", "x-00a1.mp4"]


def test_what_is_too_old_is_removed_and_nothing_else(tmp_path: Path) -> None:
    aged(tmp_path, *FOREIGN, "x-0001.mp4", "x-0002.mp4", "x-0003.mp4")
    Recordings(tmp_path / "x.mp4", rotate_s=60, keep_s=150).remove_old(1e6)
    assert names(tmp_path) == sorted([*FOREIGN, "x-0002.mp4", "x-0003.mp4"])


def test_the_oldest_are_removed_where_they_are_too_much(tmp_path: Path) -> None:
    timed = [f"x-2026-11-{day}.mp4" for day in (28, 29, 30)]
    foreign = [*FOREIGN, "x-2026-11-31.mp4", "x-2026-11-1.mp4", "x-2026-11-30-copy.mp4"]
    aged(tmp_path, *foreign, *timed)
    recordings = Recordings(tmp_path / "x-%Y-%m-%d.mp4", rotate_s=60, keep_bytes=250)
    recordings.remove_old(1e6)
    assert names(tmp_path) == sorted([*foreign, *timed[1:]])


def test_what_is_being_written_is_not_removed(tmp_path: Path) -> None:
    aged(tmp_path, "x-0001.mp4", "x-0002.mp4")
    with (tmp_path / "x-0001.mp4").open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        Recordings(tmp_path / "x.mp4", rotate_s=60, keep_s=1).remove_old(1e6)
    assert names(tmp_path) == ["x-0001.mp4"]


def test_recordings_are_removed_while_it_records(tmp_path: Path) -> None:
    run_simulated(SOURCE, f"{tmp_path}/x.mkv", duration_s=6.5, rotate_s=1.0, keep_bytes=1)
    assert len(names(tmp_path)) == 1, "all that was finished when the last one began is gone"
    assert clips.frame_times(next(tmp_path.iterdir()))


def test_what_is_kept_and_not_rotated_is_refused() -> None:
    with pytest.raises(ConfigError, match="one file"):
        config(SOURCE, "null", keep_s=60.0)


def begun() -> bytes:
    """A recording without a frame."""
    with av.open(file := BytesIO(), "w", format="mp4", options={"movflags": "+empty_moov"}) as container:
        stream = container.add_stream("libx264", rate=25, width=64, height=64)
        stream.pix_fmt = "yuv420p"
        container.start_encoding()
        return file.getvalue()


@pytest.mark.parametrize("left", [b"", begun()])
def test_what_a_killed_run_had_just_begun_is_removed(left: bytes, tmp_path: Path) -> None:
    (tmp_path / "r-0003.mp4").write_bytes(left)
    run_simulated(SOURCE, f"{tmp_path}/r.mp4", duration_s=0.5, rotate_s=60.0)
    assert names(tmp_path) == ["r-0001.mp4"]
    assert clips.frame_times(tmp_path / "r-0001.mp4")


def plays(path: Path) -> bool:
    """Whether there is a frame in it; nothing is where a run was killed that had just begun it."""
    try:
        return bool(clips.frame_times(path))
    except subprocess.CalledProcessError:
        return False


@pytest.mark.parametrize(
    ("ending", "times"),
    [
        ("mp4", 2),
        pytest.param("mkv", 3, marks=pytest.mark.slow),
        pytest.param("mp4", 8, marks=pytest.mark.slow),
    ],
)
@pytest.mark.timeout(600)
def test_killed_and_started_again_it_goes_on_recording(ending: str, times: int, tmp_path: Path) -> None:
    options = [
        "--rotate",
        "1k",
        "--encoder-option",
        "g=5",
        "--model",
        "bicubic",
        "--max-latency",
        "30000",
        "-q",
    ]
    command = [sys.executable, "-m", "vsr", "stream", SOURCE, f"{tmp_path}/r.{ending}", *options]
    recorded: dict[str, bytes] = {}
    for number in range(times):
        with started(*command, cwd=ROOT, stderr=subprocess.PIPE) as process:
            wanted = len(names(tmp_path)) + 2 + number % 3  # The last one has just begun then.
            until(lambda wanted=wanted: process.poll() is not None or len(names(tmp_path)) >= wanted)
            assert process.poll() is None, process.communicate()
            process.send_signal(signal.SIGKILL)
            process.wait()
        found = {path.name: path.read_bytes() for path in tmp_path.iterdir() if plays(path)}
        assert len(found) > len(recorded)
        assert recorded.items() <= found.items(), "none is replaced"
        recorded = found
    Recordings(tmp_path / f"r.{ending}", rotate_s=1.0).clear()  # as the next run does
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == sorted(recorded), "all of them play"
    assert files == sorted(files, key=lambda path: path.stat().st_mtime_ns)
