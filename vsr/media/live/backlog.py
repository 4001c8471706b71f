"""Packets that have arrived and are not decoded yet. Their number shows how far the machine is behind."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vsr.core.clock import SYSTEM_CLOCK, Clock

if TYPE_CHECKING:
    from av.packet import Packet
    from av.stream import Stream

# If decoding is this far behind, it continues at the next keyframe that is up to date.
_BEHIND_S = 2.0
_UP_TO_DATE_S = 0.5
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Arrived:
    """A packet, and when it came, or was due, on the monotonic clock. begins: decoding can begin with it."""

    packet: Packet[Stream]
    kind: Literal["video", "audio"]
    at: float
    begins: bool


class Backlog:
    """The queue of packets between reading and decoding. `put` never waits, so arrivals are exact however slow decoding is.

    If pictures have waited for 2 s, or more than 64 MiB wait, pictures are skipped up to a keyframe that has just come.
    skipped: the number of skipped pictures.
    """

    def __init__(self, clock: Clock = SYSTEM_CLOCK) -> None:
        self.skipped = 0
        self._clock = clock
        self._changed = threading.Condition()
        self._items: deque[Arrived] = deque()
        self._bytes = 0
        self._skips = False
        self._closed = False

    def put(self, item: Arrived) -> None:
        """Add a packet; the next one of `take` is never an old one."""
        with self._changed:
            if self._closed:
                return
            if self._skips and item.kind == "video" and item.packet.size:
                if not item.begins:
                    self.skipped += 1
                    return
                self._skips = False
            self._items.append(item)
            self._bytes += item.packet.size
            self._skip_old()
            self._changed.notify()

    def take(self) -> Arrived | None:
        """The next packet, waiting for one; None at the end."""
        with self._changed:
            while True:
                self._skip_old()
                if self._items:
                    item = self._items.popleft()
                    self._bytes -= item.packet.size
                    return item
                if self._closed:
                    return None
                self._clock.wait(self._changed)

    def end(self) -> None:
        """No more packets come. What waits can still be taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def leave(self) -> None:
        """No more packets come, and none is wanted."""
        with self._changed:
            self._items.clear()
            self._bytes = 0
            self._closed = True
            self._changed.notify_all()

    def _skip_old(self) -> None:
        now = self._clock.now()
        oldest = next((item for item in self._items if item.kind == "video"), None)
        full = self._bytes > _MOST_BYTES
        if not full and (oldest is None or now - oldest.at <= _BEHIND_S):
            return
        kept: deque[Arrived] = deque()
        self._skips = True
        for item in self._items:
            if item.kind == "audio":
                wanted = not full
            elif not item.packet.size:
                wanted = True  # the end, which flushes the decoder
            else:
                self._skips &= not (item.begins and now - item.at <= _UP_TO_DATE_S and not full)
                wanted = not self._skips
                self.skipped += not wanted
            if wanted:
                kept.append(item)
        self._items = kept
        self._bytes = sum(item.packet.size for item in kept)
