"""States, waits, the timeline and the pace: all by clocks of their own."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest

from tests.support.clock import PretendedClock
from vsr.live.backoff import MOST_S, Backoff
from vsr.live.states import Change, StateLog
from vsr.media.live.pace import Lag, Pace
from vsr.media.live.timeline import TICKS, Timeline


def test_states_are_told_once_and_kept_with_their_times() -> None:
    told: list[Change] = []
    now = [10.0]
    states = StateLog(told.append, clock=lambda: now[0])
    now[0] = 11.0
    states.enter("streaming")
    states.enter("streaming")
    now[0] = 12.5
    states.enter("stalled", "nothing came for 5 s")
    states.enter("stopped")
    states.enter("streaming")
    assert [(change.state, change.at) for change in states.changes()] == [
        ("connecting", 10.0), ("streaming", 11.0), ("stalled", 12.5), ("stopped", 12.5),
    ]  # fmt: skip
    assert [change.state for change in told] == ["streaming", "stalled", "stopped"]
    assert states.changes()[2].as_dict() == {
        "state": "stalled", "at": "1970-01-01T00:00:12.500+00:00", "why": "nothing came for 5 s",
    }  # fmt: skip
    assert states.count("streaming") == 1


def test_states_of_weeks_stay_few() -> None:
    states = StateLog()
    for _ in range(1000):
        states.enter("streaming")
        states.enter("reconnecting")
    assert len(states.changes()) <= 200
    assert states.count("reconnecting") == 1000


def test_waits_double_and_stay_short() -> None:
    backoff = Backoff(chance=lambda: 0.0)
    waits = [backoff.next_s() for _ in range(40)]
    assert waits[:4] == [0.25, 0.5, 1.0, MOST_S]
    assert waits[-1] == MOST_S
    backoff.succeeded()
    assert backoff.next_s() == 0.25


def test_waits_are_shortened_at_random() -> None:
    waits = {Backoff().next_s() for _ in range(20)}
    assert len(waits) > 1
    assert all(wait is not None and 0.125 <= wait <= 0.25 for wait in waits)


def test_so_many_failures_in_a_row() -> None:
    backoff = Backoff(2)
    assert [backoff.next_s() is None for _ in range(3)] == [False, False, True]
    backoff.succeeded()
    assert backoff.next_s() is not None
    assert Backoff(0).next_s() is None


def test_distances_of_the_source_are_kept_whatever_the_network_does() -> None:
    timeline = Timeline(started_at=1000.0)
    jitter = [0.0, 0.03, 0.01, 0.2, 0.0]
    ticks = [
        timeline.ticks("video", Fraction(500) + Fraction(frame, 25), 1002.0 + frame / 25 + jitter[frame % 5])
        for frame in range(50)
    ]
    assert ticks[0] == 2 * TICKS
    assert {after - before for before, after in pairwise(ticks)} == {TICKS // 25}


@pytest.mark.parametrize("jump_s", [-26.5 * 3600, -3, 3, 1e6])
def test_a_jump_of_the_sources_clock_is_closed(jump_s: float) -> None:
    timeline = Timeline(0.0)
    stamps = [100_000 + frame / 25 + (jump_s if frame >= 25 else 0) for frame in range(50)]
    ticks = [timeline.ticks("video", Fraction(stamp), 1 + frame / 25) for frame, stamp in enumerate(stamps)]
    assert all(abs(after - before - TICKS / 25) < 2 for before, after in pairwise(ticks))
    assert timeline.jumps == 1


def test_sound_and_pictures_jump_together_though_not_at_once() -> None:
    timeline = Timeline(0.0)
    for tick in range(100):
        now = 1 + tick / 50
        video = Fraction(tick, 50) + (0 if tick < 50 else -1000)
        audio = Fraction(tick, 50) + (0 if tick < 53 else -1000)
        one, other = timeline.ticks("video", video, now), timeline.ticks("audio", audio, now)
        assert abs(one - other) < TICKS // 10
    assert timeline.jumps == 1


def test_time_goes_on_across_a_reconnect() -> None:
    timeline = Timeline(0.0)
    before = [timeline.ticks("video", Fraction(frame, 25), 1 + frame / 25) for frame in range(25)]
    timeline.restart()
    after = [timeline.ticks("video", Fraction(frame, 25), 7 + frame / 25) for frame in range(25)]
    assert after[0] == 7 * TICKS
    assert before[-1] < after[0]
    timeline.restart()
    # It is never put before what has gone out, wherever the clock on the wall is.
    assert timeline.ticks("video", Fraction(0), 7.5) > after[-1]


def test_frames_without_times_get_those_of_their_arrival() -> None:
    timeline = Timeline(0.0)
    ticks = [timeline.ticks("video", None, at) for at in (1.0, 1.04, 1.04, 1.12)]
    assert ticks[:2] == [TICKS, round(1.04 * TICKS)]
    assert all(before < after for before, after in pairwise(ticks))


def test_lag_is_what_comes_later_than_the_quickest() -> None:
    lag = Lag()
    delays = [0.1, 0.1, 0.4, 0.1, 0.05, 0.1, 3.0]
    found = [
        lag.behind_s(Fraction(frame, 25), 500 + frame / 25 + delay) for frame, delay in enumerate(delays)
    ]
    assert found == pytest.approx([0, 0, 0.3, 0, 0, 0.05, 2.95])


def test_lag_forgets_the_quickest_as_clocks_drift() -> None:
    lag = Lag()
    # The source's clock is slow by a thousandth: after an hour it would seem 3.6 s behind.
    found = [lag.behind_s(Fraction(second), second * 1.001) for second in range(3600)]
    assert max(found) < 0.05


@pytest.mark.parametrize("jump_s", [-95443, 95443, -30, 30, -5, 5])
def test_a_jump_is_no_lag(jump_s: int) -> None:
    lag = Lag()
    for second in range(10):
        lag.behind_s(Fraction(second), float(second))
    assert lag.behind_s(Fraction(10 + jump_s), 10.0) == 0


def test_what_comes_too_fast_waits_for_its_time() -> None:
    clock = PretendedClock(50.0)
    pace = Pace(clock)
    assert [pace.due(Fraction(frame, 10)) for frame in range(5)] == pytest.approx(
        [50, 50.1, 50.2, 50.3, 50.4]
    )
    clock.advance(0.45)
    assert pace.due(Fraction(1, 2)) == pytest.approx(50.5)
    # After a long sleep it begins anew.
    clock.advance(49.55)
    assert pace.due(Fraction(6, 10)) == 100.0
