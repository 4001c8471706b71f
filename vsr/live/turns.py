"""Shares a device between the networks of several streams, by their weights."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from vsr.core.clock import SYSTEM_CLOCK, Clock

# A turn is kept for at most this time for a stream whose next frame waits already, while it hands on the last one.
_KEPT_S = 0.01
# Whoever waits looks this often whether that time is over.
_LOOK_S = 0.1


class Turns:
    """A device that computes `at_once` frames at a time. For any thread.

    A free turn goes to the stream that had the least time of the device for its weight: start-time fair queueing (Goyal, Vin
    and Cheng, 1996). Time that a stream did not want is not made up for later.
    """

    def __init__(self, at_once: int = 1, clock: Clock = SYSTEM_CLOCK) -> None:
        self.at_once = at_once
        self._clock = clock
        self._lock = threading.Lock()
        self._shares: list[Share] = []
        self._waiting: list[tuple[Share, threading.Event]] = []
        self._busy = 0
        # The virtual time: what the stream had that got the last turn.
        self._now = 0.0

    def join(self, weight: float = 1.0) -> Share:
        """Another stream."""
        share = Share(self, weight)
        with self._lock:
            self._shares.append(share)
        return share

    def leave(self, share: Share) -> None:
        """That stream has ended."""
        with self._lock:
            self._shares.remove(share)
            self._give()

    def take(self, share: Share) -> None:
        """Wait for a turn."""
        given = threading.Event()
        with self._lock:
            share.coming_until = 0.0
            share.had = max(share.had, self._now)
            self._waiting.append((share, given))
            self._give()
        while not self._clock.wait(given, _LOOK_S):
            with self._lock:
                self._give()

    def give_back(self, share: Share, seconds: float, *, comes_again: bool) -> None:
        """End a turn that took so long. comes_again: it wants the next turn at once."""
        with self._lock:
            self._busy -= 1
            share.had += seconds / share.weight
            share.coming_until = self._clock.now() + _KEPT_S if comes_again else 0.0
            self._give()

    def withdraw(self, share: Share) -> None:
        """It does not come again after all."""
        if share.coming_until:
            with self._lock:
                share.coming_until = 0.0
                self._give()

    def part_for(self, share: Share) -> float:
        """The seconds of a second for which that stream may use the device: what the others leave, at least its fair share;
        at most 1, because it computes one frame at a time. Streams whose source is away leave all of theirs."""
        with self._lock:
            there = [one for one in self._shares if one is share or not one.away]
            total = sum(one.weight for one in there)
            fair = {one: self.at_once * one.weight / total for one in there}
            others = sum(fair[one] if one.needs is None else one.needs for one in there if one is not share)
            return min(1.0, max(fair.get(share, 0.0), self.at_once - others))

    def _give(self) -> None:
        """Give the free turns away. Under the lock."""
        while self._busy < self.at_once and self._waiting:
            share, given = first = min(self._waiting, key=lambda waiting: waiting[0].had)
            now = self._clock.now()
            kept = sum(one.coming_until > now and one.had < share.had for one in self._shares)
            if self.at_once - self._busy <= kept:
                return
            self._waiting.remove(first)
            self._busy += 1
            self._now = share.had
            given.set()


class Share:
    """A stream's share of a device, made by `Turns.join`.

    weight: its part beside those of the others. needs: seconds of the device that it needs in a second, None before that is
    known. away: its source delivers nothing, so others may have its part. had: seconds of the device, divided by the weight.
    coming_until: it has given its turn back to take another at once.
    """

    def __init__(self, turns: Turns, weight: float) -> None:
        self.weight = weight
        self.needs: float | None = None
        self.away = False
        self.had = 0.0
        self.coming_until = 0.0
        self._turns = turns

    @contextmanager
    def turn(self, comes_again: Callable[[], bool] = lambda: False) -> Generator[None]:
        """Wait for the device, and have it until the block ends. comes_again: asked then, whether the next frame waits."""
        turns = self._turns
        turns.take(self)
        began = turns._clock.now()
        try:
            yield
        finally:
            turns.give_back(self, turns._clock.now() - began, comes_again=comes_again())

    @property
    def part(self) -> float:
        """See `Turns.part_for`."""
        return self._turns.part_for(self)

    def withdraw(self) -> None:
        """The next frame does not wait after all."""
        self._turns.withdraw(self)

    def leave(self) -> None:
        """The stream has ended."""
        self._turns.leave(self)
