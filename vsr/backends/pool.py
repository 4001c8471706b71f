"""Objects that several threads use in turn, made when they are first needed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Generic, TypeVar

from vsr.core.errors import DeviceMemoryError

Item = TypeVar("Item")


class Pool(Generic[Item]):
    """Up to `most` items, each used by one thread at a time. When all items are in use, another is created, up to `most`. If
    memory is short, callers wait for an existing one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = queue.LifoQueue[Item]()
        self._lock, self._made = threading.Lock(), 0

    @contextmanager
    def taken(self, make: Callable[[], Item]) -> Generator[Item]:
        """An item for the time of a `with`; waits where there are `most` and all are taken. Raises what `make` raises."""
        item = self._take(make)
        try:
            yield item
        finally:
            self._free.put(item)

    def _take(self, make: Callable[[], Item]) -> Item:
        with self._lock:  # One item is made at a time.
            if self._free.empty() and self._made < self._most:
                try:
                    item = make()
                except DeviceMemoryError:
                    if not self._made:
                        raise
                    self._most = self._made
                else:
                    self._made += 1
                    return item
        return self._free.get()
