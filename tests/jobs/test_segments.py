"""Where inputs are cut, tried with random integers."""

from __future__ import annotations

import pickle
import random
from fractions import Fraction
from itertools import pairwise

import pytest

from tests.support import clips
from vsr.jobs.segments import SegmentPlan, early_keyframes, is_short, plan_segments, segment_seconds
from vsr.media.read.index import VideoIndex, video_index
from vsr.media.types import SourceOptions

TICK = Fraction(1, 90000)


def index_of(times: list[int], keyframes: list[int], uncuttable: str = "") -> VideoIndex:
    return VideoIndex(TICK, tuple(times), tuple(keyframes), uncuttable)


def random_index(rng: random.Random) -> VideoIndex:
    """Any rates, also varying ones, from any time on; keyframes sparse or dense, also where no picture comes out."""
    times = [rng.randint(-(10**6), 10**6)]
    for _ in range(rng.randint(0, 400)):
        times.append(times[-1] + rng.choice([1, 2, 1001, 3600, rng.randint(1, 50000)]))
    keyframes = {tick for tick in times if rng.random() < rng.choice([0.005, 0.1, 1])} | {times[0]}
    keyframes |= {times[0] - rng.randint(1, 10**5) for _ in range(rng.randint(0, 3))}
    keyframes |= {rng.randint(times[0], times[-1]) for _ in range(rng.randint(0, 2))}
    keyframes |= {times[-1] + rng.randint(1, 10**5) for _ in range(rng.randint(0, 2))}
    return index_of(times, sorted(keyframes))


def pictures(plan: SegmentPlan, index: VideoIndex) -> list[list[int]]:
    """Of each segment."""
    return [
        [t for t in index.times if (s.begin is None or s.begin <= t) and (s.end is None or t < s.end)]
        for s in plan.segments
    ]


@pytest.mark.parametrize("seed", range(120))
def test_every_plan_holds_every_picture_once_and_can_be_decoded(seed: int) -> None:
    rng = random.Random(seed)
    index = random_index(rng)
    length, warm_up, lead = rng.randint(1, 10**6), rng.randint(0, 5), rng.choice([0, 3, 12])
    scenes = rng.sample(index.keyframes, rng.randint(0, len(index.keyframes)))
    plan = plan_segments(index, length, scene_cuts=scenes, warm_up=warm_up, lead=lead)
    held = pictures(plan, index)
    assert [tick for part in held for tick in part] == list(index.times)
    assert [len(part) for part in held] == [s.frames for s in plan.segments]
    assert [s.number for s in plan.segments] == list(range(len(held)))
    assert plan.segments[0].begin is None
    assert plan.segments[-1].end is None
    cuts = [s.begin for s in plan.segments[1:]]
    assert cuts == [s.end for s in plan.segments[:-1]]
    assert set(cuts) <= set(index.keyframes)
    assert all(held)
    assert bool(plan.note) == (len(held) == 1)
    bounds = [index.times[0], *cuts, index.times[-1]]
    if cuts:
        assert all(2 * (end - begin) >= length for begin, end in pairwise(bounds))
    for segment, before in zip(plan.segments[1:], range(len(cuts)), strict=True):
        first = sum(len(part) for part in held[: before + 1])
        warm = index.times[max(0, first - warm_up - lead)]
        usable = [tick for tick in index.keyframes if tick <= warm]
        assert segment.seek == (usable[-1] if usable else None)
        assert segment.lead == (index.times[max(0, first - lead)] if lead else None)
    assert plan.segments[0].lead is None
    assert pickle.loads(pickle.dumps(plan)) == plan


@pytest.mark.parametrize("seed", range(60))
def test_no_cut_could_lie_nearer_to_its_multiple(seed: int) -> None:
    rng = random.Random(seed)
    index = random_index(rng)
    length = rng.randint(1000, 10**6)
    origin, end = index.times[0], index.times[-1]
    last, keyframes = origin, sorted(set(index.keyframes) & set(index.times))
    for segment in plan_segments(index, length).segments[1:]:
        allowed = [t for t in keyframes if 2 * (t - last) >= length and 2 * (end - t) >= length]
        target = next(m for m in range(origin, end + 2 * length, length) if 2 * (m - last) >= length)
        assert segment.begin is not None
        assert abs(segment.begin - target) == min(abs(t - target) for t in allowed)
        last = segment.begin
    assert not [t for t in keyframes if 2 * (t - last) >= length and 2 * (end - t) >= length]


def test_regular_keyframes_are_cut_at_the_multiples() -> None:
    index = index_of(list(range(0, 1000, 10)), list(range(0, 1000, 50)))
    plan = plan_segments(index, 200)
    assert [(s.begin, s.end, s.seek, s.frames) for s in plan.segments] == [
        (None, 200, None, 20),
        (200, 400, 150, 20),
        (400, 600, 350, 20),
        (600, 800, 550, 20),
        (800, None, 750, 20),
    ]
    assert (plan.frames, plan.seconds) == (100, Fraction(990, 90000))
    assert plan.seconds_of([0, 4]) == plan.seconds * Fraction(40, 100)


def test_a_keyframe_that_begins_a_scene_is_preferred_nearby_only() -> None:
    index = index_of(list(range(0, 1010, 10)), list(range(0, 1010, 10)))
    cuts = [s.begin for s in plan_segments(index, 400, scene_cuts=[320, 680, 5]).segments]
    assert cuts == [None, 320, 800]
    # Scenes that begin at no keyframe are no place to cut.
    assert [s.begin for s in plan_segments(index, 400, scene_cuts=[405]).segments] == [None, 400, 800]


@pytest.mark.parametrize("times", [[], [7], list(range(0, 1000, 10))])
def test_what_cannot_be_cut_is_one_segment_and_says_why(times: list[int]) -> None:
    plan = plan_segments(index_of(times, times, "standard input is read once"), 100)
    (segment,) = plan.segments
    assert (segment.begin, segment.end, segment.seek, segment.frames) == (None, None, None, len(times))
    assert plan.note == "standard input is read once"
    assert plan.seconds_of([0]) == plan.seconds


def test_one_keyframe_is_one_segment_and_says_why() -> None:
    plan = plan_segments(index_of(list(range(0, 900000, 3600)), [0]), 90000)
    assert len(plan.segments) == 1
    assert "keyframe" in plan.note


@pytest.mark.parametrize(
    ("video_s", "work_s", "expected"),
    [(600, 60.0, 120), (600, 600.0, 30), (600, 6000.0, 3), (600, 1e6, 2), (10**5, 100.0, 120), (0, 1e6, 2)],
)
def test_segments_are_half_a_minute_of_work(video_s: int, work_s: float, expected: int) -> None:
    assert segment_seconds(index_of([5, 5 + 90000 * video_s], []), work_s) == expected


def test_less_than_a_minute_of_work_is_short() -> None:
    assert is_short(59.9)
    assert not is_short(60)


def test_a_keyframe_before_its_turn_begins_a_scene() -> None:
    even = index_of(list(range(0, 5000, 10)), list(range(0, 5000, 250)))
    assert early_keyframes(even) == []
    shaken = index_of(list(range(0, 5000, 10)), [0, 250, 490, 740])  # a picture off is no scene
    assert early_keyframes(shaken) == []
    cut = index_of(list(range(0, 5000, 10)), [0, 250, 330, 580, 650])
    assert early_keyframes(cut) == [330, 650]
    assert [early_keyframes(index_of(times, times)) for times in ([], [0])] == [[], []]


def test_an_encoder_begins_a_scene_with_a_keyframe_where_segments_are_cut() -> None:
    """x264 with a keyframe every 50 pictures, and one more where bars follow the moving picture, at 3.16 s."""
    moving, still = "testsrc2=size=64x48:rate=25:duration=3.16", "smptebars=size=64x48:rate=25:duration=2"
    clip = clips.h264("scene.mp4", "-g", "50", source=f"{moving}[a];{still}[b];[a][b]concat")
    index = video_index(str(clip), SourceOptions())
    (scene,) = early_keyframes(index)
    assert float((scene - index.times[0]) * index.time_base) == pytest.approx(3.16, abs=0.001)
