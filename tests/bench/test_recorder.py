"""What counts of a stage's frames, and when there are enough, by a clock that moves only when told."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import cycle, islice

import pytest

from tests.support.clock import PretendedClock
from vsr.bench.recorder import Recorder, WarmUp, repeats

WARM_UP = WarmUp(least=3, most=10, seconds=1.0)


class Stage:
    """A stage whose frames take given times, and half as much of a processor."""

    def __init__(self, deadline_s: float = math.inf, warm_up: WarmUp = WARM_UP) -> None:
        self.clock = PretendedClock()
        self.cpu = 0.0
        self.begun = self.clock.now()
        self.recorder = Recorder(warm_up, self.begun + deadline_s, self.clock, lambda: self.cpu)
        self.frames = 0

    def run(self, seconds: Iterable[float]) -> bool:
        """One pass; whether it was enough."""
        self.recorder.begin()
        for each in seconds:
            self.clock.advance(each)
            self.cpu += each / 2
            self.frames += 1
            if self.recorder.frame():
                return True
        return False


def test_the_warm_up_does_not_count() -> None:
    stage = Stage()
    # Compiling takes 5 s; then nine slow frames.
    assert stage.run([5.0, *[0.1] * 9, *[0.01] * 1000])
    part = stage.recorder.part()
    assert part.fps.median == pytest.approx(100)
    assert part.fps.settled
    assert part.cpu_ms.median == pytest.approx(5)
    assert (part.frame_ms.p50, part.frame_ms.p99) == (10, 10)


def test_a_slow_networks_warm_up_ends_by_time() -> None:
    stage = Stage(deadline_s=20)
    # 2 s a frame: the second is past the first second, but three are the least; the first takes its time to compile.
    assert stage.run([4.0, 2.0, 2.0, *[2.5] * 100])
    assert stage.recorder.part().fps.median == pytest.approx(0.4)
    assert stage.clock.now() - stage.begun == pytest.approx(20.5)


def test_equal_repeats_end_early_and_unequal_ones_when_time_is_over() -> None:
    equal, unequal = Stage(60), Stage(60)
    assert equal.run(cycle([0.02]))
    assert unequal.run(cycle([0.02] * 13 + [0.06] * 5))
    assert 2.5 <= equal.clock.now() - equal.begun < 4
    assert unequal.clock.now() - unequal.begun == pytest.approx(60, abs=0.1)
    assert not unequal.recorder.part().fps.settled


def test_time_that_is_over_still_leaves_one_repeat() -> None:
    stage = Stage(deadline_s=0.0)
    assert stage.run(cycle([3.0]))
    assert stage.frames == 4  # Three of warm-up.
    assert stage.recorder.part().fps.repeats == 1


def test_short_passes_make_repeats_together_and_each_has_its_warm_up() -> None:
    stage = Stage(deadline_s=1000, warm_up=WarmUp(least=2, most=4, seconds=1.0))
    passes = 0
    while not stage.run([0.5, 0.1, 0.1, 0.1, 0.01, 0.01]):
        passes += 1
    # Two frames of 10 ms count in each pass, so a repeat of 250 ms takes 12.5 passes, and ten of them 125.
    assert 124 <= passes <= 131
    assert stage.recorder.part().fps.median == pytest.approx(100)


def test_what_is_under_way_in_batches_counts_whole_batches() -> None:
    stage = Stage()
    batches = islice(cycle([0.4, 0.0, 0.0, 0.0]), 400)
    assert stage.run(batches)
    assert stage.recorder.part().fps.median == pytest.approx(10)


def test_runs_are_repeated_until_their_spread_is_small_or_the_time_is_over() -> None:
    clock = PretendedClock()
    assert repeats(lambda: clock.advance(0.1), clock.now() + 100, clock) == pytest.approx([0.1] * 10)
    turns = cycle([0.1, 0.5])
    assert len(repeats(lambda: clock.advance(next(turns)), clock.now() + 30, clock)) == pytest.approx(
        98, abs=3
    )
    assert len(repeats(lambda: clock.advance(1.0), clock.now(), clock)) == 1


def test_a_clip_that_is_over_before_the_warm_up_gets_a_shorter_one() -> None:
    stage = Stage(deadline_s=5.0, warm_up=WarmUp(least=2, most=48, seconds=10.0))
    passes = 0
    while not stage.run([0.1] * 12):
        passes += 1
        assert passes < 100
    assert stage.recorder.part().fps.median == pytest.approx(10)
