"""Plans where an input is cut into segments: in integers, in the time base of its video."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from vsr.media.read.index import VideoIndex

WARM_UP = 2
"""Pictures before a segment that its decoding begins with: a deinterlacer looks one back, which has one before it."""
LEAD = 12
"""Pictures before a segment that go through a network with memory: after 4 to 9 its memory is that of a run in one pass."""

_WORK_S = 30
_ONE_PASS_WORK_S = 60
_LEAST_S, _MOST_S = 2, 120


@dataclass(frozen=True, slots=True)
class Segment:
    """Pictures with begin <= pts < end, in ticks; None where it is open, at the ends of what is wanted.

    number: from 0, in order. seek: pts of the keyframe from which it is decoded, None for the beginning of the input. frames:
    number of its pictures in the input. lead: pts of the picture with which the network begins, to have a memory at `begin`;
    None for `begin` itself.
    """

    number: int
    begin: int | None
    end: int | None
    seek: int | None
    frames: int
    lead: int | None = None


@dataclass(frozen=True, slots=True)
class SegmentPlan:
    """Segments that hold every picture once, in order. time_base: of their ticks, in seconds. length: of all, in ticks, up to
    where the last picture begins. note: why there is one only, "" where there are several."""

    time_base: Fraction
    segments: tuple[Segment, ...]
    length: int
    note: str = ""

    @property
    def frames(self) -> int:
        return sum(segment.frames for segment in self.segments)

    @property
    def seconds(self) -> Fraction:
        return self.length * self.time_base

    def seconds_of(self, numbers: Sequence[int]) -> Fraction:
        """Seconds of video in some of the segments, by their share of the pictures."""
        return self.seconds * sum(self.segments[number].frames for number in numbers) / max(1, self.frames)


def plan_segments(
    index: VideoIndex, length: int, *, scene_cuts: Sequence[int] = (), warm_up: int = WARM_UP, lead: int = 0
) -> SegmentPlan:
    """Cut at pictures that are keyframes, as near as possible to multiples of `length` ticks; no segment is shorter than half.

    Keyframes that begin a scene (their pts is in `scene_cuts`) are preferred to nearer ones that do not, within a quarter of
    the length. lead: pictures before a segment that go through the network, see LEAD. warm_up: pictures before these that
    decoding begins with at the latest. Where nothing is cut, the plan's note says why.
    """
    if length <= 0:
        raise ValueError(f"segments of {length} ticks")
    times = index.times
    span = times[-1] - times[0] if times else 0
    cuts = [] if index.uncuttable else _cuts(index, length, frozenset(scene_cuts))
    bounds = [None, *cuts, None]
    segments = []
    for number, (begin, end) in enumerate(pairwise(bounds)):
        first = 0 if begin is None else bisect_left(times, begin)
        behind = len(times) if end is None else bisect_left(times, end)
        seek = None if begin is None else _seek(index, first, warm_up + lead)
        leads = index.times[max(0, first - lead)] if lead and begin is not None else None
        segments.append(Segment(number, begin, end, seek, behind - first, leads))
    note = index.uncuttable
    if not note and not cuts:
        note = f"no keyframe lies between segments of {float(length * index.time_base):.3g} s"
    return SegmentPlan(index.time_base, tuple(segments), span, note)


def early_keyframes(index: VideoIndex) -> list[int]:
    """Keyframes before their regular turn, with which encoders begin a scene: their distance from the previous keyframe is less
    than the input's longest, by more than a picture."""
    apart = [(later - before, later) for before, later in pairwise(index.keyframes)]
    if not apart or len(index.times) < 2:
        return []
    a_picture = Fraction(index.times[-1] - index.times[0], len(index.times) - 1)
    turn = max(apart)[0]
    return [keyframe for ticks, keyframe in apart if ticks + a_picture < turn]


def _cuts(index: VideoIndex, length: int, scene_cuts: frozenset[int]) -> list[int]:
    times = index.times
    if not times:
        return []
    shown = frozenset(times)
    keyframes = [tick for tick in index.keyframes if tick in shown]
    origin, cuts = times[0], list[int]()
    # Half of an odd number of ticks is rounded up.
    half = (length + 1) // 2
    last = origin
    stop = bisect_right(keyframes, times[-1] - half)
    while (start := bisect_left(keyframes, last + half)) < stop:
        target = origin + -(-(last + half - origin) // length) * length
        last = _nearest(keyframes, (start, stop), target, length, scene_cuts)
        cuts.append(last)
    return cuts


def _nearest(
    keyframes: Sequence[int], bounds: tuple[int, int], target: int, length: int, scene_cuts: frozenset[int]
) -> int:
    """The keyframe nearest to the target; of those within a quarter of the length one that begins a scene, if any.

    bounds: which of the keyframes may be taken, at least one, as of a slice.
    """
    at = bisect_left(keyframes, target, *bounds)
    beside = keyframes[max(bounds[0], at - 1) : min(at + 1, bounds[1])]
    nearest = min(beside, key=lambda tick: abs(tick - target))
    low = bisect_left(keyframes, target - length // 4, *bounds)
    high = bisect_right(keyframes, target + length // 4, *bounds)
    scenes = [tick for tick in keyframes[low:high] if tick in scene_cuts]
    return min(scenes, key=lambda tick: abs(tick - target), default=nearest)


def _seek(index: VideoIndex, first: int, warm_up: int) -> int | None:
    """The last keyframe from which the picture `warm_up` before the first is decoded; None where the beginning must do."""
    wanted = index.times[max(0, first - warm_up)]
    at = bisect_right(index.keyframes, wanted)
    return index.keyframes[at - 1] if at else None


def is_short(work_s: float) -> bool:
    """Whether this amount of work is best done in one pass: a minute of work may be lost."""
    return work_s < _ONE_PASS_WORK_S


def segment_seconds(index: VideoIndex, work_s: float) -> Fraction:
    """The default length of segments: half a minute of work, but 2 s of video at least and 120 s at most.

    work_s: how long all of it is estimated to take.
    """
    video_s = (index.times[-1] - index.times[0]) * index.time_base if index.times else Fraction(0)
    length = video_s * _WORK_S / Fraction(max(work_s, 1)).limit_denominator(1000)
    return min(max(length, Fraction(_LEAST_S)), Fraction(_MOST_S))
