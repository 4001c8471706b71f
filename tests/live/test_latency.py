from __future__ import annotations

import random
import sys

import numpy as np
import pytest

from tests.support.clock import PretendedClock
from vsr.live.latency import Latency


def test_percentiles_are_right_to_two_percent() -> None:
    latency = Latency()
    chance = random.Random(1)
    values = [chance.lognormvariate(-3, 0.7) for _ in range(5000)]
    for value in values:
        latency.add(value)
    found = latency.overall()
    wanted = [1000 * float(np.percentile(values, part)) for part in (50, 95, 99)]
    assert [found.p50_ms, found.p95_ms, found.p99_ms] == pytest.approx(wanted, rel=0.025)
    assert found.most_ms == pytest.approx(1000 * max(values), abs=0.01)
    assert found.count == 5000


def test_the_recent_ones_are_those_of_ten_seconds() -> None:
    clock = PretendedClock()
    latency = Latency(clock)
    for second in range(60):
        latency.add(0.5 if second < 50 else 0.1)
        clock.advance(1 if second < 59 else 0)
    assert latency.recent().count == 10
    assert latency.recent().most_ms == 100
    assert latency.overall().p50_ms == pytest.approx(500, rel=0.02)
    clock.advance(1000)
    assert latency.recent().count == 0


def test_nothing_is_zeros() -> None:
    assert Latency().overall().p99_ms == 0
    assert Latency().recent().count == 0


def test_memory_does_not_grow() -> None:
    clock = PretendedClock()
    latency = Latency(clock)

    def held() -> int:
        return sum(sys.getsizeof(item) for item in latency._seconds) + len(latency._seconds)

    for _ in range(3000):
        clock.advance(1 / 30)
        latency.add(0.05)
    before = held()
    for _ in range(27000):
        clock.advance(1 / 30)
        latency.add(0.05)
    assert held() <= before


@pytest.mark.parametrize("seconds", [0.0, -1.0, 1e-9, 1e9])
def test_whatever_comes_is_counted(seconds: float) -> None:
    latency = Latency()
    latency.add(seconds)
    assert latency.overall().count == 1
