"""A queue that drops items which have become too old, the oldest first."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Generic, TypeVar

from vsr.core.clock import SYSTEM_CLOCK, Clock

T = TypeVar("T")

LATE = "late"
FULL = "queue full"


class FreshQueue(Generic[T]):
    """Carries items with the time they were captured at from one thread to another. Putting never waits.

    budget_s: how old an item may be when its work is done. The reader keeps `work_s` up to date, how long that work takes: an
    item that would be too old by then is dropped when the reader comes for it, unless it is the newest there is. Dropped items
    are counted in `drops` by reason. `late` is the reason of items that are too old; the reader changes it while it does
    something else.
    """

    def __init__(
        self, budget_s: float, capacity: int = 64, *, late: str = LATE, clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self.work_s = 0.0
        self.late = late
        self.drops: Counter[str] = Counter()
        self.high_water = 0
        self._budget_s = budget_s
        self._capacity = capacity
        self._clock = clock
        self._items: deque[tuple[float, T]] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._items)

    def put(self, item: T, captured_at: float) -> None:
        """Add an item; drop those too old, then the oldest where there is no room."""
        with self._changed:
            if self._closed:
                self.drops["stopped"] += 1
                return
            self._items.append((captured_at, item))
            self._drop_older_than(self._budget_s)
            while len(self._items) > self._capacity:
                self._drop(FULL)
            self.high_water = max(self.high_water, len(self._items))
            self._changed.notify()

    def take(self, timeout_s: float, *, newest: bool = False) -> T | None:
        """The oldest item that is still fresh, or the newest; None when there was none in time, or the queue is closed and
        empty."""
        with self._changed:
            end = self._clock.now() + timeout_s
            while True:
                self._drop_older_than(self._budget_s)
                while len(self._items) > 1 and (newest or self._age() > self._budget_s - self.work_s):
                    self._drop(self.late)
                if self._items:
                    return self._items.popleft()[1]
                left_s = end - self._clock.now()
                if self._closed or left_s <= 0:
                    return None
                # Check the queue after every wake-up and timeout: items may have come before this thread got the lock again.
                self._clock.wait(self._changed, left_s)

    def wait(self, timeout_s: float) -> bool:
        """Whether an item waits, after at most that time."""
        with self._changed:
            end = self._clock.now() + timeout_s
            while not self._items and not self._closed and (left_s := end - self._clock.now()) > 0:
                self._clock.wait(self._changed, left_s)
            return bool(self._items)

    def close(self) -> None:
        """No more items come. What waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def finished(self) -> bool:
        """Whether nothing waits, and no more comes."""
        with self._changed:
            return self._closed and not self._items

    def empty(self, reason: str) -> None:
        """Drop all items."""
        with self._changed:
            while self._items:
                self._drop(reason)

    def lose(self, reason: str) -> None:
        """Count an item that was taken as dropped, too."""
        with self._changed:
            self.drops[reason] += 1

    def _age(self) -> float:
        return self._clock.now() - self._items[0][0]

    def _drop_older_than(self, seconds: float) -> None:
        while self._items and self._age() > seconds:
            self._drop(self.late)

    def _drop(self, reason: str) -> None:
        self._items.popleft()
        self.drops[reason] += 1
