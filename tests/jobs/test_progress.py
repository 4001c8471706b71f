"""How much is done and how long it will take, by what the input says of itself."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

import vsr
from tests.support import clips
from vsr.core.frame import Frame, PixelFormat
from vsr.core.video import VideoInfo
from vsr.jobs.progress import Pace, expected_bytes
from vsr.media.types import SinkCounters, SourceOptions
from vsr.pipeline import PipelineStats
from vsr.pipeline.stats import StageStats


def info(**known: object) -> VideoInfo:
    given = {"width": 64, "height": 48, "format": PixelFormat("yuv", 8, (1, 1)), "frame_rate": Fraction(25)}
    return VideoInfo(**{**given, **known})  # type: ignore[arg-type]


def told(pace: Pace, done: int) -> vsr.Progress:
    """What is said after so many frames that took a second in all."""
    encode = StageStats("encode", done, done, 1.0, 0.0, 0.0, 1.0, 1)
    return pace.progress(PipelineStats((encode,), 1.0), "in.mkv", 0, 1, "")


def run(
    video: VideoInfo, wanted: SourceOptions, times: list[int], seconds_a_frame: float = 2.0
) -> list[vsr.Progress]:
    """What is said after each of these frames, whose times are in milliseconds."""
    now = [100.0]
    pace = Pace(video, wanted, lambda: now[0])
    said = []
    for done, pts in enumerate(times, 1):
        now[0] += seconds_a_frame
        pace.wrote(Frame([], 64, 48, PixelFormat("gray"), pts=pts, time_base=Fraction(1, 1000)))
        said.append(told(pace, done))
    return said


EVERY_40_MS = list(range(5000, 6000, 40))


def test_time_stamps_tell_where_nothing_is_counted() -> None:
    said = run(info(duration_s_from_header=1.0), SourceOptions(), EVERY_40_MS)
    assert [one.frames_total for one in said] == [None] * 25
    assert [round(one.share or 0, 4) for one in said] == [round(n / 25, 4) for n in range(1, 26)]
    assert said[0].eta_s is None
    assert [one.eta_s for one in said[1:]] == [pytest.approx(2.0 * (25 - n)) for n in range(2, 26)]


def test_the_time_left_goes_by_the_last_minute() -> None:
    """A machine that has become three times as slow has three times as long to go; of hours, by their last quarter."""
    times = list(range(0, 40_000, 40))
    now = [0.0]
    pace = Pace(info(duration_s_from_header=40.0), SourceOptions(), lambda: now[0])
    left = []
    for done, pts in enumerate(times, 1):
        now[0] += 0.3 if done > 500 else 0.1
        pace.wrote(Frame([], 64, 48, PixelFormat("gray"), pts=pts, time_base=Fraction(1, 1000)))
        left.append(told(pace, done).eta_s)
    assert left[499] == pytest.approx(50, rel=0.02)
    assert left[500 + 210] == pytest.approx(0.3 * 289, rel=0.05)
    assert left[-1] == pytest.approx(0, abs=0.01)


def test_a_part_is_measured_against_the_part() -> None:
    whole = info(duration_s_from_header=100.0, num_frames_from_header=2500)
    for wanted, times in (
        (SourceOptions(start_s=99.0), range(99000, 100000, 40)),
        (SourceOptions(start_s=30.0, duration_s=1.0), range(30000, 31000, 40)),
        (SourceOptions(duration_s=1.0), range(0, 1000, 40)),
    ):
        said = run(whole, wanted, list(times))
        assert said[-1].frames_total is None
        assert (said[4].share, said[-1].share) == (pytest.approx(0.2), pytest.approx(1.0))
        assert said[4].eta_s == pytest.approx(40.0)


def test_uneven_times_count_by_time() -> None:
    """A second of many frames, then nine of few: half of the frames are a tenth of the video."""
    times = [*range(0, 1000, 10), *range(1000, 10000, 90)]
    said = run(info(duration_s_from_header=10.0, frame_rate=Fraction(100)), SourceOptions(), times, 1.0)
    assert said[99].share == pytest.approx(0.1)
    assert said[99].eta_s == pytest.approx(99 * 9 / 0.99 * 0.1 * 10, rel=0.02)


def test_frames_are_counted_where_no_length_is_known() -> None:
    said = run(info(num_frames_from_header=25), SourceOptions(), EVERY_40_MS)
    assert [one.frames_total for one in said] == [25] * 25
    assert said[9].share == pytest.approx(0.4)
    beyond = run(info(num_frames_from_header=20), SourceOptions(), EVERY_40_MS)[-1]
    assert (beyond.frames_total, beyond.share, beyond.eta_s) == (None, None, None)
    assert run(info(), SourceOptions(), EVERY_40_MS)[-1].share is None


def test_a_header_that_says_too_little_ends_at_all_of_it() -> None:
    assert run(info(duration_s_from_header=0.5), SourceOptions(), EVERY_40_MS)[-1].share == 1.0


def test_a_length_that_is_passed_is_not_believed() -> None:
    times = list(range(0, 10000, 40))
    said = run(info(duration_s_from_header=1.0, num_frames_from_header=250), SourceOptions(), times)
    assert [said[n - 1].share for n in (100, 250)] == [pytest.approx(0.4), pytest.approx(1.0)]
    assert said[99].eta_s == pytest.approx(2.0 * 150, rel=0.2)
    said = run(info(duration_s_from_header=1.0), SourceOptions(), times)
    assert (said[99].share, said[99].eta_s) == (None, None)


def test_the_size_to_expect_counts_what_the_encoder_holds_back() -> None:
    assert expected_bytes(SinkCounters(frames=60, packets=40, video_bytes=4000, bytes=1000), 0.5) == 12_000
    assert expected_bytes(SinkCounters(frames=60, packets=40, video_bytes=4000, bytes=4500), 0.5) == 13_000
    assert expected_bytes(SinkCounters(frames=60, packets=10, video_bytes=4000, bytes=4500), 0.5) is None
    assert expected_bytes(SinkCounters(frames=60, packets=40, video_bytes=4000, bytes=4500), None) is None


def test_a_bitrate_tells_the_size_before_the_first_frame(tmp_path: Path) -> None:
    clip, out = str(clips.h264("plain.mp4")), str(tmp_path / "out.mp4")
    sink = vsr.SinkOptions(bitrate=80_000)
    config = vsr.UpscaleConfig((clip,), out, vsr.NetworkOptions("bicubic"), sink=sink)
    assert [found.bytes for found in vsr.preview_many(config)] == [pytest.approx(10_000, rel=0.05)]
    (found,) = vsr.preview_many(vsr.UpscaleConfig((clip,), out, vsr.NetworkOptions("bicubic")))
    assert found.bytes is None


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
@pytest.mark.parametrize("wanted", [{}, {"start_s": 0.4}, {"start_s": 0.2, "duration_s": 0.4}])
def test_every_container_ends_at_all(suffix: str, wanted: dict[str, float], tmp_path: Path) -> None:
    """The last of what is said is within two frames of the whole, and is never before what came first."""
    said: list[vsr.Progress] = []
    vsr.upscale_file(
        clips.h264(f"plain{suffix}"),
        tmp_path / "out.mkv",
        model="bicubic",
        preset="ultrafast",
        segment=0,
        progress=said.append,
        **wanted,  # type: ignore[arg-type]
    )
    shares = [one.share for one in said if one.share is not None]
    assert shares == sorted(shares)
    span = wanted.get("duration_s", 1.0 - wanted.get("start_s", 0))
    assert shares[-1] == pytest.approx(1.0, abs=2 / (25 * span))
