"""How streams share a device."""

from __future__ import annotations

import threading
from collections import Counter

import pytest

from tests.support.clock import PretendedClock
from tests.support.sessions import until
from vsr.core.clock import Waitable
from vsr.live.turns import Share, Turns


class WakingClock(PretendedClock):
    """Pretended time, but whoever waits wakes at once."""

    def wait(self, for_what: Waitable, timeout_s: float | None = None) -> bool:
        return for_what.wait(timeout_s)


def overloaded(turns: Turns, clock: PretendedClock, shares: dict[str, Share], cost_s: float) -> Counter[str]:
    """The turns that each stream got of 400, if each always wants another one."""
    got: Counter[str] = Counter()

    def stream(name: str, share: Share) -> None:
        while sum(got.values()) < 400:
            with share.turn(lambda: True):
                until(lambda: len(turns._waiting) == len(turns._shares) - 1, every_s=0.0001)
                got[name] += 1
                clock.advance(cost_s)
        share.leave()

    threads = [threading.Thread(target=stream, args=item, daemon=True) for item in shares.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return got


@pytest.mark.parametrize("weights", [(3.0, 1.0), (1.0, 1.0, 2.0)])
def test_turns_go_by_weight_and_nobody_starves(weights: tuple[float, ...]) -> None:
    clock = WakingClock()
    turns = Turns(1, clock)
    shares = {f"{number}": turns.join(weight) for number, weight in enumerate(weights)}
    got = overloaded(turns, clock, shares, 0.001)
    for number, weight in enumerate(weights):
        assert got[f"{number}"] / 400 == pytest.approx(weight / sum(weights), rel=0.15)


def test_a_stream_that_was_idle_does_not_make_up_for_it() -> None:
    clock = PretendedClock()
    turns = Turns(1, clock)
    busy, idle = turns.join(), turns.join()
    for _ in range(100):
        with busy.turn():
            clock.advance(1.0)
    with idle.turn():
        clock.advance(1.0)
    assert idle.had >= 99


def test_one_stream_that_comes_again_keeps_one_turn_and_no_more() -> None:
    clock = PretendedClock()
    turns = Turns(2, clock)
    first, second, third = (turns.join() for _ in range(3))
    for _ in range(3):
        for share in (second, third):
            with share.turn():
                clock.advance(1.0)
    with first.turn(lambda: True):
        pass
    turns.take(second)  # Does not wait.
    assert turns._busy == 1
    turns.give_back(second, 0.0, comes_again=False)


def test_a_turn_is_not_kept_for_a_stream_that_does_not_come() -> None:
    clock = PretendedClock()
    turns = Turns(1, clock)
    first, second = turns.join(), turns.join()
    for _ in range(3):
        with second.turn():
            clock.advance(1.0)
    with first.turn(lambda: True):
        pass
    got = threading.Event()

    def wait() -> None:
        with second.turn():
            got.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    until(lambda: bool(turns._waiting))
    assert not got.is_set()
    first.withdraw()
    thread.join(20)
    assert got.is_set()


def test_a_stream_may_use_what_the_others_leave_and_at_least_its_fair_share() -> None:
    turns = Turns(2, PretendedClock())
    assert turns.join().part == 1.0, "alone: one frame at a time"
    turns = Turns(2, PretendedClock())
    one, other, third, fourth = (turns.join() for _ in range(4))
    assert one.part == 0.5, "what the others need is not known"
    other.needs, third.needs, fourth.needs = 0.1, 0.2, 1.0
    assert one.part == pytest.approx(0.7)
    fourth.needs = 5.0
    assert one.part == 0.5
    third.away = fourth.away = True
    other.needs = 5.0
    assert one.part == 1.0, "two are left, for two frames at a time"
    assert fourth.part == pytest.approx(2 / 3), "it is there again when it asks"
    other.needs, third.away, fourth.away = 0.1, False, False
    fourth.leave()
    assert one.part == 1.0
