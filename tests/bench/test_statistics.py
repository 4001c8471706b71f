"""Medians, quartiles and verdicts, of numbers one can follow by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vsr.bench.statistics import Spread, frame_times, quantile, spread, verdict


def test_quantiles_are_numpys() -> None:
    values = np.random.default_rng(0).random(37).tolist()
    for part in (0, 0.25, 0.5, 0.95, 0.99, 1):
        assert quantile(values, part) == pytest.approx(float(np.quantile(values, part)))
    assert quantile([3.0], 0.99) == 3.0


def test_a_spread_has_its_quartiles_and_its_error() -> None:
    found = spread([10.0, 12.0, 11.0, 13.0, 14.0])
    assert (found.low, found.median, found.high, found.repeats) == (11.0, 12.0, 13.0, 5)
    assert found.error == pytest.approx(1.57 * 2 / math.sqrt(5))
    assert math.isinf(spread([10.0] * 4).error)


@pytest.mark.parametrize(
    ("values", "settled"),
    [
        ([100.0, 101.0] * 5, True),
        ([100.0] * 9, False),  # Too few, however equal.
        ([100.0, 120.0] * 5, False),
        ([100.0, 120.0] * 200, True),  # Many repeats make up for a wide spread.
    ],
)
def test_a_median_is_settled_by_many_repeats_and_a_small_spread(values: list[float], settled: bool) -> None:
    assert spread(values).settled is settled


def test_times_between_frames() -> None:
    found = frame_times([0.010] * 98 + [0.030, 0.050])
    assert (found.p50, found.p95, found.frames) == (10.0, 10.0, 100)
    assert found.p99 == pytest.approx(30.2)


def around(median: float, half: float, repeats: int = 16) -> Spread:
    return Spread(median, median - half, median + half, repeats)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (around(100, 1), around(110, 1), "better"),
        (around(100, 1), around(90, 1), "worse"),
        (around(100, 1), around(102, 1), "same"),  # Less than 3 %.
        (around(100, 1), around(98, 0), "same"),
        (around(100, 10), around(110, 10), "same"),  # Within the spread.
        (around(100, 10, 400), around(110, 10, 400), "better"),  # So many repeats know the medians well.
        (around(100, 1, 4), around(200, 1), "unknown"),
        (around(100, 1), around(200, 1, 4), "unknown"),
    ],
)
def test_a_verdict_asks_for_more_than_the_spread(before: Spread, after: Spread, expected: str) -> None:
    assert verdict(before, after, more_is_better=True) == expected
    turned = {"better": "worse", "worse": "better"}
    assert verdict(before, after, more_is_better=False) == turned.get(expected, expected)
