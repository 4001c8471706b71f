"""Frames in = frames out, each at its own time."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support import clips
from vsr.core.errors import ConfigError, SourceOpenError
from vsr.core.frame import Frame
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions


def read(path: Path | str, **options: object) -> list[Frame]:
    with open_source(str(path), SourceOptions(**options)) as source:  # type: ignore[arg-type]
        frames = list(source)
        assert [f.index for f in frames] == list(range(len(frames)))
        assert source.counters.frames == len(frames)
        return frames


def starts_and_ends(frames: list[Frame]) -> bool:
    """Whether each frame lasts until the next."""
    return all(a.pts + a.duration == b.pts for a, b in itertools.pairwise(frames))


@pytest.mark.parametrize(
    "make",
    [
        clips.h264,
        clips.variable_rate,
        lambda: clips.variable_rate("vfr.mkv"),
        lambda: clips.h264("late.mkv", "-output_ts_offset", "3.21"),
        lambda: clips.h264("plain.ts"),
        lambda: clips.derive("edited.mp4", clips.h264(), "-c", "copy", before=("-ss", "0.52")),
        lambda: clips.make("mjpeg.avi", "-c:v", "mjpeg"),
        lambda: clips.make(
            "film.mkv", "-c:v", "ffv1", source="testsrc2=size=64x48:rate=24000/1001:duration=1"
        ),
        lambda: clips.make("vp9.webm", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-auto-alt-ref", "1"),
    ],
    ids=["b-frames", "vfr-mp4", "vfr-mkv", "offset", "ts", "edit-list", "mjpeg-avi", "23.976", "vp9"],
)
def test_every_frame_has_the_time_ffprobe_tells(make) -> None:
    path = make()
    frames = read(path)
    assert [f.pts for f in frames] == clips.frame_times(path)
    time_base = clips.ffprobe(path, "stream=time_base", "-select_streams", "v:0")["streams"][0]["time_base"]
    assert all(f.time_base == Fraction(time_base) and f.duration > 0 for f in frames)


def test_edit_list_hides_frames_before_its_start() -> None:
    frames = read(clips.derive("edited.mp4", clips.h264(), "-c", "copy", before=("-ss", "0.52")))
    assert len(frames) == 12
    assert frames[0].pts == 0


def test_gap_and_offset_stay() -> None:
    times = [float(f.pts * f.time_base) for f in read(clips.variable_rate("vfr.mkv"))]
    assert times[0] > 0.5
    assert max(b - a for a, b in itertools.pairwise(times)) > 0.5


@pytest.mark.parametrize("rate", [None, Fraction(30000, 1001)])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_raw_streams_get_times_from_their_rate(codec: str, rate: Fraction | None) -> None:
    name, extra = {"libx264": ("raw.h264", ()), "libx265": ("raw.hevc", ("-x265-params", "log-level=error"))}[
        codec
    ]
    path = clips.make(
        name, "-c:v", codec, "-bf", "2", *extra, source="testsrc2=size=160x120:rate=25:duration=2.4"
    )
    frames = read(path, frame_rate=rate)
    assert len(frames) == 60
    step = 1 / (rate or Fraction(25)) / frames[0].time_base
    assert [f.pts for f in frames] == [round(i * step) for i in range(60)]
    assert starts_and_ends(frames)


def test_raw_stream_is_noted() -> None:
    path = clips.make(
        "raw.h264", "-c:v", "libx264", "-bf", "2", source="testsrc2=size=160x120:rate=25:duration=2.4"
    )
    with open_source(str(path)) as source:
        assert any("no timestamps" in note for note in source.notes)


def test_avi_with_b_frames_counts_up_from_zero() -> None:
    frames = read(clips.h264("b-frames.avi"))
    assert [f.pts for f in frames] == list(range(25))


@pytest.mark.parametrize("later", [0, 3600])
def test_joined_transport_streams_run_on_and_stay_in_sync(later: int) -> None:
    part = clips.h264("part.ts", "-c:a", "aac", audio=True)
    other = clips.derive(f"part{later}.ts", part, "-c", "copy", "-output_ts_offset", str(later))
    path = clips.joined(f"joined{later}.ts", part, other)
    with open_source(str(path)) as source:
        frames = list(source)
        packets = [p for p in source.carried.shelf.take_all() if p.stream.type == "audio"]
        assert any("restarts" in note for note in source.notes)
    assert len(frames) == 50
    pts = [f.pts for f in frames]
    assert all(b > a for a, b in itertools.pairwise(pts))
    assert max(b - a for a, b in itertools.pairwise(pts)) < 0.2 * 90000
    sound = [p.dts for p in packets]
    assert sound == sorted(sound)
    ends = float(frames[-1].pts * frames[-1].time_base), float(packets[-1].pts * packets[-1].time_base)
    assert ends[0] == pytest.approx(ends[1], abs=0.2)


@pytest.mark.parametrize("damaged", ["pts", "dts", "both"])
@pytest.mark.parametrize("stream_id", [0xE0, 0xC0])
def test_a_damaged_time_changes_no_other(damaged: str, stream_id: int, tmp_path: Path) -> None:
    whole = clips.h264("part.ts", "-c:a", "aac", audio=True)
    data = bytearray(whole.read_bytes())
    # Headers of packets with both times, or of sound, which has one: 12,000 s more.
    start = bytes((0, 0, 1, stream_id))
    headers = [at for at in range(len(data) - 20) if data[at : at + 4] == start]
    headers = [at for at in headers if data[at + 7] >> 6 == (3 if stream_id == 0xE0 else 2)]
    at = headers[len(headers) // 2]
    if damaged in ("pts", "both"):
        data[at + 9] ^= 2
    if damaged in ("dts", "both") and stream_id == 0xE0:
        data[at + 14] ^= 2
    (tmp_path / "damaged.ts").write_bytes(data)
    with open_source(str(tmp_path / "damaged.ts")) as source:
        frames = list(source)
        sound = [p.pts for p in source.carried.shelf.take_all()]
    expected = read(whole)
    assert len(frames) == len(expected)
    apart = [abs(f.pts - e.pts) for f, e in zip(frames, expected, strict=True)]
    assert sum(difference > 0 for difference in apart) <= 2
    assert max(apart) < 90000
    assert max(sound) - min(sound) < 2 * 90000


def test_lost_durations_are_the_distance_to_the_next_frame() -> None:
    frames = read(clips.variable_rate("vfr.nut"))
    assert [f.pts for f in frames] == clips.frame_times(clips.variable_rate("vfr.nut"))
    assert all(f.duration > 0 for f in frames)


@pytest.mark.parametrize("name", ["plain.mp4", "plain.ts", "late.mkv"])
@pytest.mark.parametrize(("start", "duration"), [(0.5, None), (0.5, 0.2), (None, 0.3), (0.52, 0.04)])
def test_start_and_duration_choose_frames_by_time(
    name: str, start: float | None, duration: float | None
) -> None:
    path = clips.h264(name, "-output_ts_offset", "3.21") if name == "late.mkv" else clips.h264(name)
    every = read(path)
    origin = every[0].pts * every[0].time_base
    begin = origin + Fraction(str(start or 0)) - Fraction(1, 1000)
    end = begin + Fraction(str(duration)) if duration else origin + 100
    wanted = [f for f in every if begin <= f.pts * f.time_base < end]
    chosen = read(path, start_s=start, duration_s=duration)
    assert [f.pts for f in chosen] == [f.pts for f in wanted]
    for got, want in zip(chosen, wanted, strict=True):
        assert np.array_equal(got.planes[0], want.planes[0])


@pytest.mark.parametrize("ending", ["ts", "mpg", "mkv", "mp4", "flv"])
@pytest.mark.parametrize("start", ["0.2", "1.0", "2.5", "12.6"])
def test_a_start_anywhere_is_found(ending: str, start: str) -> None:
    """Transport streams are entered by the time of decoding, which leads behind keyframes."""
    codec = "mpeg2video" if ending == "mpg" else "libx264"
    long = "testsrc2=size=64x48:rate=25:duration=13"
    path = clips.make(f"long.{ending}", "-c:v", codec, "-g", "25", "-bf", "2", source=long)
    every = read(path)
    begin = every[0].pts + Fraction(start) / every[0].time_base - 1
    assert len(every) == 13 * 25
    assert [f.pts for f in read(path, start_s=float(start))] == [f.pts for f in every if f.pts >= begin]


def test_copied_packets_outside_the_range_are_left_out() -> None:
    path = clips.h264("sound.mp4", "-c:a", "aac", audio=True)
    with open_source(str(path), SourceOptions(start_s=0.4, duration_s=0.2)) as source:
        assert len(list(source)) == 5
        assert source.carried.start_offset == Fraction(4, 10)
        times = [p.pts * p.time_base for p in source.carried.shelf.take_all()]
    assert times
    assert min(times) >= Fraction(4, 10)
    assert max(times) < Fraction(6, 10)
    assert max(times) > Fraction(57, 100)


def test_all_packets_of_other_streams_reach_the_shelf_in_order() -> None:
    path = clips.h264("sound.mp4", "-c:a", "aac", audio=True)
    with open_source(str(path)) as source:
        list(source)
        packets = source.carried.shelf.take_all()
        assert [s.type for s in source.carried.copied] == ["audio"]
        assert source.carried.shelf.take_all() == []
    assert [p.pts for p in packets] == clips.packet_times(path, "a:0")


def test_start_beyond_the_end_says_so() -> None:
    with pytest.raises(SourceOpenError, match="no frame at or after 99 s") as error:
        open_source(str(clips.h264()), SourceOptions(start_s=99))
    assert error.value.hint


@pytest.mark.parametrize("options", [SourceOptions(start_s=-1), SourceOptions(duration_s=0)])
def test_impossible_ranges_are_refused(options: SourceOptions) -> None:
    with pytest.raises(ConfigError):
        open_source(str(clips.h264()), options)


@pytest.mark.parametrize(("name", "codec"), [("interlaced.ts", "mpeg2video"), ("interlaced.mp4", "libx264")])
def test_interlaced_is_detected_and_keeps_frames_and_times(name: str, codec: str) -> None:
    path = clips.interlaced(name, codec)
    with open_source(str(path)) as source:
        frames = list(source)
        assert any(note.startswith("interlaced") for note in source.notes)
    untouched = read(path, deinterlace="off")
    assert [(f.pts, f.duration, f.time_base) for f in frames] == [
        (f.pts, f.duration, f.time_base) for f in untouched
    ]
    assert combing(frames[10]) < 0.7 * combing(untouched[10])


def test_progressive_is_left_alone_unless_forced() -> None:
    path = clips.h264()
    plain, forced = read(path, deinterlace="auto"), read(path, deinterlace="on")
    off = read(path, deinterlace="off")
    assert all(np.array_equal(a.planes[0], b.planes[0]) for a, b in zip(plain, off, strict=True))
    assert [f.pts for f in forced] == [f.pts for f in off]
    assert not all(np.array_equal(a.planes[0], b.planes[0]) for a, b in zip(forced, off, strict=True))


@clips.needs_hard
def test_soft_telecine_is_not_interlaced() -> None:
    with open_source(str(clips.HARD / "interlace_telecine" / "bt601-525_480_telecined_soft.mkv")) as source:
        list(source)
        assert source.notes == []


def combing(frame: Frame) -> float:
    """How much neighbouring rows differ beyond what rows two apart do."""
    rows = np.asarray(frame.planes[0]).astype(float)
    return float(np.abs(rows[1:-1] * 2 - rows[:-2] - rows[2:]).mean())


def test_a_program_stream_that_is_entered_late_has_no_jumps() -> None:
    """There the times of the first packets after a keyframe are in disorder."""
    clip = clips.make(
        "mpeg2.mpg", "-c:v", "mpeg2video", "-bf", "2", source="testsrc2=size=160x120:rate=25:duration=4"
    )
    with open_source(str(clip), SourceOptions(start_s=1.5)) as source:
        frames = list(source)
        assert source.notes == []
    assert len(frames) == 62
