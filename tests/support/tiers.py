"""The two tiers: what takes long for what it adds is marked slow, and only scripts/test runs it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

slow = pytest.mark.slow


def slow_except(quick: object, values: Iterable[object]) -> list[object]:
    """The values as parameters, all but one of them marked slow. Values of several parameters are tuples."""
    return [
        value
        if value == quick
        else pytest.param(*(value if isinstance(value, tuple) else (value,)), marks=slow)
        for value in values
    ]
