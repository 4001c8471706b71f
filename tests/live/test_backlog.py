"""What is done with packets that wait to be decoded."""

from __future__ import annotations

from typing import Literal

import pytest
from av.packet import Packet

from tests.support.clock import PretendedClock
from vsr.media.live import backlog as backlog_module
from vsr.media.live.backlog import Arrived, Backlog


class Line:
    """A backlog that packets come to every 100 ms, with sound beside each."""

    def __init__(self, keyframe_each: int = 10) -> None:
        self.keyframe_each = keyframe_each
        self.clock = PretendedClock(0.0)
        self.backlog = Backlog(self.clock)
        self.number = 0

    def come(self, count: int, *, at_once: bool = False) -> None:
        for _ in range(count):
            if not at_once:
                self.clock.advance(0.1)
            for kind in ("video", "audio"):
                self.put(kind)
            self.number += 1

    def put(self, kind: Literal["video", "audio"]) -> None:
        packet = Packet(bytes(100))
        packet.pts = self.number
        begins = kind == "audio" or self.number % self.keyframe_each == 0
        self.backlog.put(Arrived(packet, kind, self.clock.now(), begins))

    def waiting(self, kind: str) -> list[int | None]:
        """What waits of that kind, in order. It ends the backlog."""
        self.backlog.end()
        return [item.packet.pts for item in iter(self.backlog.take, None) if item.kind == kind]


def test_what_waits_for_less_than_two_seconds_comes_in_order() -> None:
    line = Line()
    line.come(20)
    assert line.waiting("video") == list(range(20))
    assert line.backlog.skipped == 0


def test_pictures_that_have_waited_too_long_are_skipped_up_to_a_new_keyframe() -> None:
    line = Line()
    line.come(25)
    # Number 20 is 0.4 s old.
    assert line.waiting("video") == [20, 21, 22, 23, 24]
    assert line.backlog.skipped == 20


def test_sound_is_not_skipped_with_them() -> None:
    line = Line()
    line.come(25)
    assert line.waiting("audio") == list(range(25))


def test_without_a_new_keyframe_it_waits_for_the_next() -> None:
    line = Line(keyframe_each=25)
    line.come(23)
    assert line.backlog.skipped == 23
    line.come(5)
    assert line.backlog.skipped == 25
    assert line.waiting("video") == [25, 26, 27]


def test_what_comes_late_but_at_once_has_waited_for_nobody() -> None:
    line = Line()
    line.clock.advance(30.0)
    line.come(300, at_once=True)
    line.clock.advance(1.9)
    assert line.waiting("video") == list(range(300))


def test_a_source_that_is_too_much_for_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog_module, "_MOST_BYTES", 2000)
    line = Line()
    line.come(15, at_once=True)
    assert line.backlog.skipped == 15
    line.come(10, at_once=True)
    assert line.waiting("video")[0] == 20


def test_once_left_nothing_is_taken_or_given() -> None:
    line = Line()
    line.come(3)
    line.backlog.leave()
    line.come(3)
    assert line.backlog.take() is None
