from __future__ import annotations

import threading

import pytest

from tests.support.clock import PretendedClock
from tests.support.sessions import until
from vsr.live.fresh_queue import FreshQueue


def queue(budget_s: float = 0.2, capacity: int = 64) -> tuple[FreshQueue[int], PretendedClock]:
    clock = PretendedClock(0.0)
    return FreshQueue(budget_s, capacity, clock=clock), clock


def test_what_is_fresh_comes_in_order() -> None:
    fresh, _ = queue()
    for number in range(3):
        fresh.put(number, 0.0)
    assert [fresh.take(0) for _ in range(4)] == [0, 1, 2, None]
    assert not fresh.drops


def test_what_is_too_old_is_dropped_oldest_first() -> None:
    fresh, clock = queue()
    for number in range(5):
        fresh.put(number, clock.now())
        clock.advance(0.1 if number < 4 else 0.0)
    # At 0.4 s, those of 0.0 and 0.1 s are older than 0.2 s.
    assert fresh.take(0) == 2
    assert fresh.drops == {"late": 2}


def test_it_never_holds_more_than_the_budget() -> None:
    fresh, clock = queue()
    for number in range(1000):
        fresh.put(number, clock.now())
        clock.advance(0.01)
    assert fresh.high_water <= 21
    assert len(fresh) + sum(fresh.drops.values()) == 1000


def test_what_would_be_too_old_when_it_is_done_is_dropped_but_never_the_newest() -> None:
    fresh, clock = queue()
    fresh.work_s = 0.15
    for number in range(3):
        fresh.put(number, number * 0.05)
    clock.advance(0.12)
    assert fresh.take(0) == 2
    assert fresh.drops == {"late": 2}
    fresh.work_s = 10.0
    fresh.put(3, clock.now())
    assert fresh.take(0) == 3


def test_the_newest_goes_too_once_it_is_older_than_the_budget() -> None:
    fresh, clock = queue()
    fresh.put(0, 0.0)
    clock.advance(0.3)
    assert fresh.take(0) is None
    assert fresh.drops == {"late": 1}


def test_there_is_room_for_so_many() -> None:
    fresh, _ = queue(capacity=2)
    for number in range(5):
        fresh.put(number, 0.0)
    assert [fresh.take(0), fresh.take(0)] == [3, 4]
    assert fresh.drops == {"queue full": 3}


def test_a_reason_of_the_readers_own() -> None:
    fresh, clock = queue()
    fresh.late = "starting"
    fresh.put(0, 0.0)
    clock.advance(1.0)
    assert fresh.take(0) is None
    assert fresh.drops == {"starting": 1}


def test_after_the_end_nothing_is_taken_in() -> None:
    fresh, _ = queue()
    fresh.put(0, 0.0)
    fresh.close()
    fresh.put(1, 0.0)
    assert fresh.take(10) == 0
    assert fresh.take(10) is None
    assert fresh.drops == {"stopped": 1}
    assert fresh.closed


def test_a_reader_that_waits_is_woken() -> None:
    fresh, clock = queue()
    found: list[int | None] = []
    reader = threading.Thread(target=lambda: found.append(fresh.take(30)), name="reader")
    reader.start()
    until(lambda: clock.all_wait("reader"))
    fresh.put(7, clock.now())
    reader.join(10)
    assert found == [7]


def test_what_comes_while_a_wait_runs_out_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    fresh, clock = queue()

    def wait(_what: object, _timeout_s: float | None = None) -> bool:
        # The thread that puts gets the lock before the one whose time is up.
        clock.advance(0.05)
        fresh.put(7, clock.now())
        fresh.close()
        return False

    monkeypatch.setattr(clock, "wait", wait)
    assert not fresh.finished
    assert fresh.take(0.05) == 7
    assert fresh.finished


def test_it_is_finished_only_when_nothing_waits() -> None:
    fresh, _ = queue()
    fresh.put(7, 0.0)
    fresh.close()
    assert not fresh.finished
    assert fresh.take(0) == 7
    assert fresh.finished


def test_a_reader_waits_for_so_long_and_no_longer() -> None:
    fresh, clock = queue()
    found: list[int | None] = []
    reader = threading.Thread(target=lambda: found.append(fresh.take(30)), name="reader")
    reader.start()
    clock.advance(29)
    until(lambda: clock.all_wait("reader"))
    assert not found
    clock.advance(1)
    reader.join(10)
    assert found == [None]
