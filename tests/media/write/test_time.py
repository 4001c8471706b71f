"""Every frame once, at its own time, in every container."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.support import clips
from tests.support.sinks import assert_same_times, packets, through, times
from vsr.core.errors import ConfigError, EncodeError
from vsr.media.types import SourceOptions


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "avi"])
@pytest.mark.parametrize("sound", [False, True])
def test_constant_rate(tmp_path: Path, ending: str, sound: bool) -> None:
    given = clips.h264("cfr_sound.mp4" if sound else "cfr.mp4", audio=sound)
    output = tmp_path / f"out.{ending}"
    # H.264 in AVI has no timestamps of its own, so that decoders guess late by one; MJPEG shows what was written.
    through(given, output, encoder="mjpeg" if ending == "avi" else None)
    assert_same_times(given, output)


@pytest.mark.parametrize("ending", ["ts", "nut", "webm"])
def test_constant_rate_without_sound(tmp_path: Path, ending: str) -> None:
    given = clips.h264("cfr.mp4")
    through(given, tmp_path / f"out.{ending}")
    assert_same_times(given, tmp_path / f"out.{ending}")


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm", "ts", "nut"])
def test_variable_rate_with_start_and_gap(tmp_path: Path, ending: str) -> None:
    given = clips.variable_rate()
    through(given, tmp_path / f"out.{ending}")
    assert_same_times(given, tmp_path / f"out.{ending}")


@pytest.mark.parametrize("encoder", ["libx265", "libsvtav1", "libvpx-vp9", "mpeg4", "ffv1"])
def test_variable_rate_with_each_encoder(tmp_path: Path, encoder: str) -> None:
    given = clips.variable_rate()
    through(given, tmp_path / "out.mkv", encoder=encoder)
    assert_same_times(given, tmp_path / "out.mkv")


@pytest.mark.parametrize("ending", ["mp4", "nut"])
def test_two_frames_at_one_time_are_both_kept_in_order(tmp_path: Path, ending: str) -> None:
    output = tmp_path / f"out.{ending}"
    through(
        clips.h264("cfr.mp4"),
        output,
        change=lambda frame: replace(frame, pts=frame.pts - frame.index % 2 * 512),
    )
    (before, _), (after, _) = times(clips.h264("cfr.mp4")), times(output)
    assert len(after) == len(before)
    assert all(early < late for early, late in itertools.pairwise(after))


@pytest.mark.parametrize("unit", ["30000", "1001", "90000", "48000"])
def test_exact_time_base_in_mp4(tmp_path: Path, unit: str) -> None:
    given = clips.make(
        f"unit{unit}.mp4", "-c:v", "libx264", "-r", "24000/1001", "-video_track_timescale", unit, "-bf", "2"
    )
    through(given, tmp_path / "out.mp4")
    (before, tick_before), (after, tick_after) = times(given), times(tmp_path / "out.mp4")
    assert [pts * tick_before for pts in before] == [pts * tick_after for pts in after]


def test_start_offset_is_exact_in_mp4(tmp_path: Path) -> None:
    given = clips.derive("late.mp4", clips.h264("cfr.mp4"), "-c", "copy", "-output_ts_offset", "1.2345")
    through(given, tmp_path / "out.mp4")
    assert_same_times(given, tmp_path / "out.mp4")


def test_sound_that_begins_before_the_picture_keeps_its_place(tmp_path: Path) -> None:
    given = clips.h264("cfr_sound.mp4", audio=True)
    before = packets(given, "audio")
    assert before[0][1] < 0
    for ending, slack in (("mp4", 0), ("mkv", Fraction(1, 1000))):
        through(given, tmp_path / f"out.{ending}")
        after = packets(tmp_path / f"out.{ending}", "audio")
        assert [data for data, _ in after] == [data for data, _ in before]
        assert all(abs(a - b) <= slack for (_, a), (_, b) in zip(after, before, strict=True))


def test_variable_rate_is_refused_in_avi(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="constant frame rate"):
        through(clips.variable_rate(), tmp_path / "out.avi")
    assert list(tmp_path.iterdir()) == []


def test_excerpt_begins_at_zero_with_its_sound(tmp_path: Path) -> None:
    given = clips.h264("cfr_sound.mp4", audio=True)
    through(given, tmp_path / "out.mp4", reading=SourceOptions(start_s=0.4, duration_s=0.4))
    after, tick = times(tmp_path / "out.mp4")
    assert [pts * tick for pts in after] == [Fraction(i, 25) for i in range(10)]
    sound = packets(tmp_path / "out.mp4", "audio")
    assert abs(sound[0][1]) < Fraction(1, 20)


def test_last_frame_keeps_its_duration(tmp_path: Path) -> None:
    given = clips.h264("cfr.mp4")
    through(given, tmp_path / "out.mp4")
    found = clips.ffprobe(tmp_path / "out.mp4", "stream=duration,avg_frame_rate", "-select_streams", "v")
    assert float(found["streams"][0]["duration"]) == 1.0, json.dumps(found)
    assert found["streams"][0]["avg_frame_rate"] == "25/1"


def test_pipe_of_raw_pictures_has_times(tmp_path: Path) -> None:
    given = clips.h264("cfr.mp4")
    through(given, tmp_path / "out.nut", encoder="rawvideo")
    assert_same_times(given, tmp_path / "out.nut")
    with av.open(str(tmp_path / "out.nut")) as container:
        assert container.streams.video[0].codec_context.name == "rawvideo"


@pytest.mark.parametrize(
    ("ending", "said"), [("y4m", True), ("h264", True), ("mxf", True), ("avi", False), ("mkv", False)]
)
def test_a_gap_that_cannot_be_kept_is_said(tmp_path: Path, ending: str, said: bool) -> None:
    whole = clips.h264("cfr.mp4")
    given = clips.derive(
        "gap.mkv", whole, "-vf", "select='not(between(n,8,11))'", "-fps_mode", "vfr", "-c:v", "ffv1"
    )
    encoder = "mpeg4" if ending == "avi" else None
    warnings = through(given, tmp_path / f"out.{ending}", encoder=encoder).warnings
    assert [line.split(",")[0] for line in warnings if "gap" in line] == [
        "there is a gap before 0.480 s"
    ] * said


def test_sound_from_before_the_video_is_left_out_where_time_begins_with_it(tmp_path: Path) -> None:
    sound = ("-f", "lavfi", "-i", "sine=duration=2", "-c:v", "libx264", "-c:a", "libmp3lame")
    clip = clips.make("late_video.mkv", *sound, "-vf", "select=gt(t\\,0.5)", "-fps_mode", "passthrough",
                      source="testsrc2=size=64x64:rate=25:duration=2")  # fmt: skip
    sink = through(clip, tmp_path / "out.avi")
    (told,) = sink.warnings
    assert told.startswith("the video begins at 0.5")
    before, after = (packets(path, "audio") for path in (clip, tmp_path / "out.avi"))
    left_out = [time for data, time in before if data not in {d for d, _ in after}]
    assert max(left_out) == pytest.approx(0.5, abs=0.05)


def test_sound_that_begins_late_is_told_where_that_cannot_be_said(tmp_path: Path) -> None:
    sound = (
        "-itsoffset",
        "0.8",
        "-f",
        "lavfi",
        "-i",
        "sine=duration=1",
        "-c:v",
        "libx264",
        "-c:a",
        "libmp3lame",
    )
    clip = clips.make("late_audio.mkv", *sound, source="testsrc2=size=64x64:rate=25:duration=2")
    (told,) = through(clip, tmp_path / "out.avi").warnings
    assert told.startswith("audio stream #1 (mp3) begins 0.7")
    assert through(clip, tmp_path / "out.mkv").warnings == []


@pytest.mark.parametrize("name", ["ismv", "asf"])
def test_formats_that_vsr_does_not_list_keep_order_and_sync(name: str, tmp_path: Path) -> None:
    given = clips.h264("listed.mkv", "-c:a", "mp2", audio=True)
    output = tmp_path / f"out.{name}"
    through(given, output, container_format=name)

    def shown(stream: str) -> list[float]:
        found = clips.ffprobe(output, "frame=best_effort_timestamp_time", "-select_streams", stream)
        return [float(frame["best_effort_timestamp_time"]) for frame in found["frames"]]

    video, sound = shown("v:0"), shown("a:0")
    assert [time - sound[0] for time in video] == pytest.approx([n / 25 for n in range(25)], abs=0.012)


def test_a_rate_that_mxf_cannot_hold_is_named(tmp_path: Path) -> None:
    given = clips.h264("ten.mp4", source="testsrc2=size=64x48:rate=10:duration=0.5")
    with pytest.raises(ConfigError, match=r"Unsupported frame rate 10/1$"):
        through(given, tmp_path / "out.mxf")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
@pytest.mark.parametrize("start", [0.5, 0.3])
def test_frames_stay_even_where_it_begins_between_two_ticks(
    start: float, ending: str, tmp_path: Path
) -> None:
    """Of an AVI, whose ticks are frames."""
    given = clips.make("coarse.avi", "-c:v", "mpeg4", "-an")
    through(given, tmp_path / f"out.{ending}", reading=SourceOptions(start_s=start))
    written, unit = times(tmp_path / f"out.{ending}")
    first = math.ceil(start * 25)
    expected = [Fraction(first + n, 25) - Fraction(str(start)) for n in range(len(written))]
    assert [pts * unit for pts in written] == expected
