"""A bounded queue between two threads that knows how streams end."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from vsr.core.control import Control

T = TypeVar("T")


class EndOfStream(Exception):
    """The channel is closed and drained."""


class _Clock:
    """Seconds spent waiting, readable from another thread while a wait is under way."""

    def __init__(self) -> None:
        self._total_s = 0.0
        self._since: float | None = None

    def __enter__(self) -> None:
        self._since = time.perf_counter()

    def __exit__(self, *exc_info: object) -> None:
        since, self._since = self._since, None
        if since is not None:
            self._total_s += time.perf_counter() - since

    def read(self) -> float:
        since = self._since
        return self._total_s + (time.perf_counter() - since if since is not None else 0.0)


class Channel(Generic[T]):
    """Carries items from one writing thread to one reading thread, `capacity` of them at most at a time.

    The writer ends the stream with `close`: the reader still gets the queued items. The reader may `leave` early: then queued
    items are dropped, and the writer is notified. Cancelling drops queued items and wakes both with Cancelled. Nothing polls.
    """

    def __init__(self, capacity: int, control: Control | None = None) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self.capacity = capacity
        self.high_water = 0
        self._items: deque[T] = deque()
        self._closed = False
        self._left = False
        self._control = control if control is not None else Control()
        self._lock = threading.Lock()
        self._not_empty = threading.Condition(self._lock)
        self._not_full = threading.Condition(self._lock)
        self._put_clock = _Clock()
        self._get_clock = _Clock()
        self._control.on_cancel(self._wake_all)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def put_wait_s(self) -> float:
        """Seconds the writer has waited for room."""
        return self._put_clock.read()

    @property
    def get_wait_s(self) -> float:
        """Seconds the reader has waited for an item."""
        return self._get_clock.read()

    def put(self, item: T) -> bool:
        """Queue one item, waiting for room. False once the reader has left: the item is dropped, and no more are wanted."""
        with self._lock:
            self._control.check()
            if self._closed:
                raise ValueError("put on a closed channel")
            if len(self._items) >= self.capacity and not self._left:
                with self._put_clock:
                    while (
                        len(self._items) >= self.capacity and not self._left and not self._control.cancelled
                    ):
                        self._not_full.wait()
                self._control.check()
            if self._left:
                return False
            self._items.append(item)
            self.high_water = max(self.high_water, len(self._items))
            self._not_empty.notify()
            return True

    def get(self) -> T:
        """The next item, waiting for one. Raises EndOfStream once the channel is closed and drained."""
        with self._lock:
            self._control.check()
            if not self._items and not self._closed:
                with self._get_clock:
                    while not self._items and not self._closed and not self._control.cancelled:
                        self._not_empty.wait()
                self._control.check()
            if not self._items:
                raise EndOfStream
            item = self._items.popleft()
            self._not_full.notify()
            return item

    def __iter__(self) -> Iterator[T]:
        while True:
            try:
                item = self.get()
            except EndOfStream:
                return
            yield item
            del item

    def close(self) -> None:
        """The writer's end of stream. Calling again does nothing."""
        with self._lock:
            self._closed = True
            self._not_empty.notify_all()

    def leave(self) -> None:
        """The reader wants no more. Calling again does nothing."""
        with self._lock:
            self._left = True
            self._items.clear()
            self._not_full.notify_all()

    def _wake_all(self) -> None:
        with self._lock:
            self._items.clear()
            self._not_empty.notify_all()
            self._not_full.notify_all()
