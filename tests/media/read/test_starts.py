"""Where a sequence begins anew: `Frame.starts`."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image

from tests.support import clips
from vsr.core.frame import Reset
from vsr.media.read.open import open_source
from vsr.media.read.timestamps import Clock, Starts
from vsr.media.types import SourceCounters, SourceOptions


def starts(path: Path | str, **options: object) -> dict[int, Reset]:
    """The reasons of an input's frames, by their number."""
    with open_source(str(path), SourceOptions(**options)) as source:  # type: ignore[arg-type]
        return {frame.index: frame.starts for frame in source if frame.starts is not None}


def without(name: str, begin_s: float, end_s: float, *options: str) -> Path:
    """Three seconds at 25 frames a second of which those between two times are left out."""
    chosen = f"select='not(gte(t,{begin_s})*lt(t,{end_s}))'"
    return clips.h264(
        name,
        "-vf",
        chosen,
        "-fps_mode",
        "passthrough",
        *options,
        source="testsrc2=size=160x120:rate=25:duration=3",
    )


@pytest.mark.parametrize("path", [clips.h264, clips.interlaced])
def test_only_the_first_frame_of_a_whole_file_starts_a_sequence(path) -> None:
    assert starts(path()) == {0: Reset.START}
    assert starts(path(), duration_s=0.3) == {0: Reset.START}


def test_a_start_in_the_middle_is_a_seek() -> None:
    assert starts(clips.h264(), start_s=0.5) == {0: Reset.SEEK}


@pytest.mark.parametrize("ending", ["ts", "mkv", "nut"])
def test_missing_time_is_a_gap(ending: str) -> None:
    assert starts(without(f"gap.{ending}", 1, 2)) == {0: Reset.START, 25: Reset.GAP}
    assert starts(without(f"short-gap.{ending}", 1, 1.4)) == {0: Reset.START}


def test_a_gap_before_the_start_does_not_count() -> None:
    assert starts(without("gap.ts", 1, 2), start_s=2.2) == {0: Reset.SEEK}


def test_a_frame_that_says_it_is_shown_for_long_leaves_no_gap() -> None:
    assert starts(without("gap.mp4", 1, 2, "-bf", "0")) == {0: Reset.START}


def test_a_gap_is_found_where_frames_are_deinterlaced() -> None:
    assert starts(without("gap.ts", 1, 2), deinterlace="on") == {0: Reset.START, 25: Reset.GAP}


@pytest.mark.parametrize("later", [0, 3600])
def test_a_clock_that_jumps_is_a_gap(later: int) -> None:
    other = clips.derive(
        f"plain{later}.ts", clips.h264("plain.ts"), "-c", "copy", "-output_ts_offset", str(later)
    )
    path = clips.joined(f"jump{later}.ts", clips.h264("plain.ts"), other)
    assert starts(path) == {0: Reset.START, 25: Reset.GAP}


def test_a_change_of_size_is_one_also_when_it_changes_back() -> None:
    small = clips.h264("small.ts", source="testsrc2=size=96x64:rate=25:duration=0.4")
    path = clips.joined("there-and-back.ts", clips.h264("plain.ts"), small, clips.h264("plain.ts"))
    assert starts(path) == {0: Reset.START, 25: Reset.SIZE, 35: Reset.SIZE}


def test_pictures_of_a_sequence_are_one_run_whatever_their_format(tmp_path: Path) -> None:
    for number, mode in enumerate(["RGB", "L", "RGB"]):
        Image.fromarray(np.full((48, 64, 3), 90, np.uint8)).convert(mode).save(tmp_path / f"{number}.png")
    assert starts(tmp_path / "%d.png") == {0: Reset.START}


def test_what_pillow_reads_starts_with_its_first_picture(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (32, 32), (shade, 0, 0)) for shade in (10, 120, 240)]
    pictures[0].save(tmp_path / "a.webp", save_all=True, append_images=pictures[1:], lossless=True)
    assert starts(tmp_path / "a.webp") == {0: Reset.START}


def test_a_reason_whose_frame_never_comes_is_the_next_ones() -> None:
    noted = Starts()
    noted.note(30, Reset.SIZE)
    noted.note(20, Reset.GAP)
    assert noted.at(10) is None
    assert noted.at(25) is Reset.GAP
    assert noted.at(30) is Reset.SIZE
    assert noted.at(31) is None


@pytest.mark.parametrize(
    ("rate", "stated", "times", "gaps"),
    [
        (25, 40, [0, 40, 620], [620]),
        (25, 40, [0, 40, 540], []),  # 0.46 s are missing
        (5, 200, [0, 200, 900, 1500], []),  # 0.5 s, and more than that, but not three frames
        (5, 200, [0, 200, 1001], [1001]),
        (25, 0, [0, 40, 700], [700]),  # durations from the rate where the input has none
        (25, 600, [0, 600, 1800], []),
        (1, 0, [0, 1000, 5000], []),
        (1, 0, [0, 1000, 5001], [5001]),
    ],
)
def test_a_gap_is_half_a_second_and_three_frames(
    rate: int, stated: int, times: list[int], gaps: list[int]
) -> None:
    frames = [VideoFrame(16, 16, "gray") for _ in times]
    for frame, time in zip(frames, times, strict=True):
        frame.pts, frame.duration = time, stated
    noted = Starts()
    clock = Clock(Fraction(1, 1000), Fraction(rate), SourceCounters(), noted)
    assert [frame.pts for frame in clock.stamp(frames) if noted.at(frame.pts or 0)] == gaps
