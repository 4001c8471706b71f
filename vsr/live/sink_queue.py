"""The queue of packets for a sink's thread."""

from __future__ import annotations

import enum
import threading
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.media.live.program import Program
from vsr.media.write.encoded import Encoded

# A sink that is this far behind is too slow, and continues at the next keyframe.
_MOST_BEHIND_S = 2.0
_MOST_BYTES = 64 << 20

NOT_CONNECTED = "not connected"
STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Item:
    """A packet, and the program it belongs to."""

    packet: Encoded
    program: Program

    @property
    def frames(self) -> int:
        """1 for a packet of video, 0 for one of sound."""
        return int(self.packet.kind == "video")


@dataclass(slots=True)
class SinkCounts:
    """Frames of a sink, of all its threads. frames: known to be on the disk or received; last_at: when the last one was.
    drops: by reason."""

    frames: int = 0
    last_at: float | None = None
    drops: Counter[str] = field(default_factory=Counter)


class SinkState(enum.Enum):
    """How a sink's queue treats an offered packet."""

    UNTIL_KEYFRAME = "drops packets until the next keyframe"
    WRITING = "takes every packet"
    WAITING = "drops every packet, until the next attempt to connect"
    ENDING = "takes no more; the thread writes what is queued"
    LEFT = "takes no more; the thread hangs, or is not waited for, and nothing it does counts"
    OVER = "takes no more; the thread has ended"


_S = SinkState
_NEXT: dict[SinkState, frozenset[SinkState]] = {
    _S.UNTIL_KEYFRAME: frozenset({_S.WRITING, _S.WAITING, _S.ENDING, _S.LEFT, _S.OVER}),
    _S.WRITING: frozenset({_S.UNTIL_KEYFRAME, _S.WAITING, _S.ENDING, _S.LEFT, _S.OVER}),
    _S.WAITING: frozenset({_S.UNTIL_KEYFRAME, _S.ENDING, _S.LEFT, _S.OVER}),
    _S.ENDING: frozenset({_S.LEFT, _S.OVER}),
    _S.LEFT: frozenset(),
    _S.OVER: frozenset(),
}


class SinkQueue:
    """Packets on their way from the encoder to one thread that writes them. Offering never waits.

    counts: written and dropped frames are counted there. want_keyframe: called when the queue was emptied and needs a keyframe
    to continue.
    """

    def __init__(
        self, counts: SinkCounts, want_keyframe: Callable[[], None], clock: Clock = SYSTEM_CLOCK
    ) -> None:
        self._counts = counts
        self._want_keyframe = want_keyframe
        self._clock = clock
        self._changed = threading.Condition()
        self._state = SinkState.UNTIL_KEYFRAME
        self._items: deque[Item] = deque()
        self._bytes = 0
        # Frames taken by the thread and not yet confirmed (written and on the disk, or received).
        self._unconfirmed = 0

    @property
    def state(self) -> SinkState:
        return self._state

    @property
    def left(self) -> bool:
        """Whether nothing the thread does counts any more."""
        return self._state is SinkState.LEFT

    @property
    def finished(self) -> bool:
        """Whether the thread has nothing more to do."""
        with self._changed:
            return self._closed or (self._state is SinkState.ENDING and not self._items)

    # From other threads

    def offer(self, item: Item) -> None:
        """Queue a packet, or count it as dropped."""
        packet = item.packet
        with self._changed:
            if self._state is SinkState.UNTIL_KEYFRAME and item.frames and packet.keyframe:
                self._enter(SinkState.WRITING)
            if self._state is SinkState.UNTIL_KEYFRAME:
                self._drop(item.frames, "until the next keyframe")
            elif self._state is not SinkState.WRITING:
                self._drop(item.frames, STOPPED if self._state is SinkState.ENDING else NOT_CONNECTED)
            else:
                self._items.append(item)
                self._bytes += packet.size
                if (item.frames and self._behind_s(packet) > _MOST_BEHIND_S) or self._bytes > _MOST_BYTES:
                    self._empty("too slow")
                    self._enter(SinkState.UNTIL_KEYFRAME)
                    self._want_keyframe()
                self._changed.notify()

    def end(self) -> None:
        """No more packets come: write the queued ones."""
        with self._changed:
            self._enter(SinkState.ENDING)

    def leave(self, reason: str) -> None:
        """Count unconfirmed frames as dropped, and ignore the thread's later results."""
        with self._changed:
            if self._enter(SinkState.LEFT):
                self._lose_unconfirmed(reason)
                self._empty(reason)

    # From the thread that writes

    def take(self) -> Item | None:
        """The next packet, waiting for one; None at the end."""
        with self._changed:
            while not self._items and not self._closed and self._state is not SinkState.ENDING:
                self._clock.wait(self._changed)
            if self._closed or not self._items:
                return None
            item = self._items.popleft()
            self._bytes -= item.packet.size
            self._unconfirmed += item.frames
            return item

    def put_back(self, item: Item) -> None:
        """Put an item that was not written back to the front of the queue."""
        with self._changed:
            if not self._closed:
                self._items.appendleft(item)
                self._bytes += item.packet.size
                self._unconfirmed -= item.frames

    def confirm_but(self, num_unconfirmed: int) -> bool:
        """Count all taken frames as written, except this number. False if results are ignored."""
        with self._changed:
            if self._closed:
                return False
            if self._unconfirmed > num_unconfirmed:
                self._counts.frames += self._unconfirmed - num_unconfirmed
                self._counts.last_at = self._clock.now()
            self._unconfirmed = num_unconfirmed
            return True

    def lose(self) -> None:
        """Taken but unconfirmed frames are lost."""
        with self._changed:
            if not self._closed:
                self._lose_unconfirmed(NOT_CONNECTED)

    def wait(self) -> bool:
        """The connection is lost, with the queued packets. False if there will be no other connection."""
        with self._changed:
            if not self._closed:
                self._empty(NOT_CONNECTED)
            return self._enter(SinkState.WAITING)

    def go_on(self, wait_s: float) -> bool:
        """After that time, take packets again, from a keyframe on. False where it is to end instead."""
        with self._changed:
            end = self._clock.now() + wait_s
            while self._state is SinkState.WAITING and (left_s := end - self._clock.now()) > 0:
                self._clock.wait(self._changed, left_s)
            return self._enter(SinkState.UNTIL_KEYFRAME)

    def close(self) -> None:
        """The thread ends."""
        with self._changed:
            reason = STOPPED if self._state is SinkState.ENDING else NOT_CONNECTED
            if self._enter(SinkState.OVER):
                self._empty(reason)

    # Under the lock

    @property
    def _closed(self) -> bool:
        return self._state in (SinkState.LEFT, SinkState.OVER)

    def _enter(self, state: SinkState) -> bool:
        """Go to that state. False, and nothing happens, where the state it is in does not lead there."""
        if state not in _NEXT[self._state]:
            return False
        self._state = state
        self._changed.notify_all()
        return True

    def _behind_s(self, packet: Encoded) -> float:
        """Seconds of video that wait, up to that packet. Sound does not count, because it runs ahead."""
        first = next(item.packet for item in self._items if item.frames)
        return float(packet.pts * packet.time_base - first.pts * first.time_base)

    def _empty(self, reason: str) -> None:
        self._drop(sum(item.frames for item in self._items), reason)
        self._items.clear()
        self._bytes = 0

    def _lose_unconfirmed(self, reason: str) -> None:
        self._drop(self._unconfirmed, reason)
        self._unconfirmed = 0

    def _drop(self, frames: int, reason: str) -> None:
        if frames:
            self._counts.drops[reason] += frames
