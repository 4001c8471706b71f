"""Buffers that threads use by turns."""

from __future__ import annotations

import threading

import pytest

from tests.support.processes import PATIENCE_S
from vsr.backends.pool import Pool
from vsr.core.errors import DeviceMemoryError


def test_where_memory_ends_those_there_are_must_do() -> None:
    pool, made = Pool[int](3), list[int]()

    def make() -> int:
        if len(made) == 2:
            raise DeviceMemoryError("full")
        made.append(len(made))
        return made[-1]

    used = list[int]()

    def use() -> None:
        for _ in range(50):
            with pool.taken(make) as item:
                used.append(item)

    threads = [threading.Thread(target=use) for _ in range(3)]
    with pool.taken(make), pool.taken(make):  # Both are out, and a third cannot be made: all wait.
        for thread in threads:
            thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert len(used) == 150
    assert set(used) <= {0, 1}


def test_the_first_that_cannot_be_made_is_an_error() -> None:
    def make() -> int:
        raise DeviceMemoryError("full")

    pool = Pool[int](3)
    for _ in range(2):
        with pytest.raises(DeviceMemoryError), pool.taken(make):
            pass
