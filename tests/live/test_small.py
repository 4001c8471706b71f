"""States, waits and the pace: all by clocks of their own."""

from __future__ import annotations

from fractions import Fraction

import pytest

from tests.support.clock import PretendedClock
from vsr.live.backoff import MOST_S, Backoff
from vsr.live.states import Change, StateLog
from vsr.media.live.pace import Pace


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
