"""Inputs whose clock counted before they began."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import pytest

from tests.support import clips
from tests.support.sinks import packets, through, times
from vsr.media.types import SourceOptions


def broadcast(name: str = "broadcast.ts", offset: str = "50000") -> Path:
    """Two seconds with sound, from a clock that has run for hours."""
    long = "testsrc2=size=96x64:rate=25:duration=2"
    codec = "mpeg2video" if name.endswith("mpg") else "libx264"
    sound = (
        "-f",
        "lavfi",
        "-i",
        "sine=duration=2",
        "-c:v",
        codec,
        "-bf",
        "2",
        "-g",
        "12",
        "-c:a",
        "libmp3lame",
    )
    return clips.make(name, *sound, "-output_ts_offset", offset, source=long)


def begins(path: Path) -> tuple[Fraction, Fraction]:
    """(the first frame's time, the first sound's), in seconds."""
    pts, unit = times(path)
    return pts[0] * unit, packets(path, "audio")[0][1]


@pytest.mark.parametrize("given", ["ts", "mpg", "mkv", "nut"])
@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "flv", "avi"])
def test_a_file_begins_at_zero_with_sound_and_picture_as_they_were(
    given: str, ending: str, tmp_path: Path
) -> None:
    path = broadcast(f"broadcast.{given}", "40000" if given == "mpg" else "50000")
    before, after = begins(path), tmp_path / f"out.{ending}"
    sink = through(path, after, encoder={"avi": "mpeg4", "flv": "flv"}.get(ending))
    (note,) = sink.notes
    # Of sound, what an encoder needs to begin with is not counted.
    said = re.match(r"its clock begins at ([\d.]+) s: all streams are moved", note)
    assert said is not None
    assert abs(float(said[1]) - min(before)) < 0.05
    video, audio = begins(after)
    assert abs((video - audio) - (before[0] - before[1])) <= Fraction(2, 1000) or ending == "avi"
    assert abs(min(video, audio)) < Fraction(1, 20)
    (pts, unit), (old, tick) = times(after), times(path)
    assert [round(float((t - pts[0]) * unit), 2) for t in pts] == [
        round(float((t - old[0]) * tick), 2) for t in old
    ]


@pytest.mark.parametrize("ending", ["ts", "nut"])
def test_a_broadcast_keeps_its_clock_in_a_broadcast(ending: str, tmp_path: Path) -> None:
    sink = through(broadcast(), tmp_path / f"out.{ending}")
    assert not sink.notes
    for kept, given in zip(begins(tmp_path / f"out.{ending}"), begins(broadcast()), strict=True):
        assert abs(kept - given) < Fraction(1, 10000)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_an_excerpt_of_a_broadcast_begins_at_zero(ending: str, tmp_path: Path) -> None:
    out = tmp_path / f"out.{ending}"
    sink = through(broadcast(), out, reading=SourceOptions(start_s=0.5, duration_s=0.4))
    assert not sink.notes
    assert len(times(out)[0]) == 10
    assert all(0 <= begin < Fraction(1, 20) for begin in begins(out))
    sink = through(broadcast(), out, overwrite=True, reading=SourceOptions(duration_s=0.4))
    assert len(sink.notes) == 1
    assert all(0 <= begin < Fraction(1, 20) for begin in begins(out))


def test_a_clock_that_wraps_is_no_obstacle(tmp_path: Path) -> None:
    """MPEG-TS counts to 95,443.7 s; FFmpeg tells what is before that as negative times."""
    given = broadcast("wraps.ts", "95441")
    before = begins(given)
    assert min(before) < 0
    for ending in ("mp4", "mkv"):
        through(given, tmp_path / f"out.{ending}")
        video, audio = begins(tmp_path / f"out.{ending}")
        assert abs((video - audio) - (before[0] - before[1])) < Fraction(2, 1000)
        assert 0 <= min(video, audio) < Fraction(1, 20)
        assert len(times(tmp_path / f"out.{ending}")[0]) == 50


def test_a_file_that_begins_late_by_its_own_time_stays(tmp_path: Path) -> None:
    late = clips.h264("late.mkv", "-output_ts_offset", "3.21")
    sink = through(late, tmp_path / "out.mkv")
    assert not sink.notes
    assert times(tmp_path / "out.mkv") == times(late)


def test_chapters_move_with_the_clock(tmp_path: Path) -> None:
    facts = ";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=50001000\nEND=50002000\ntitle=Two\n"
    (tmp_path / "facts.txt").write_text(facts)
    given = tmp_path / "in.mkv"
    clips.run(
        "-i",
        broadcast("broadcast.mkv"),
        "-i",
        tmp_path / "facts.txt",
        "-map_chapters",
        "1",
        "-c",
        "copy",
        "-copyts",
        given,
    )
    through(given, tmp_path / "out.mkv")
    (chapter,) = clips.ffprobe(tmp_path / "out.mkv", "chapter", "-show_chapters")["chapters"]
    assert 0.9 < float(chapter["start_time"]) < 1.1
