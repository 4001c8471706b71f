"""What a sink's queue does in each of its states, by a clock of its own and without a destination."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import Literal, cast

import pytest
from av.packet import Packet

from tests.support.clock import PretendedClock
from tests.support.sessions import until
from vsr.live.sink_queue import _NEXT, Item, SinkCounts, SinkQueue, SinkState
from vsr.media.live.program import Program
from vsr.media.write.encoded import Encoded, Template

PROGRAM = Program(1, cast("Template", None), None)


def packet(
    at_s: float = 0.0, *, keyframe: bool = False, kind: Literal["video", "audio"] = "video", size: int = 10
) -> Item:
    pts = round(at_s * 1000)
    data = Packet(bytes(size))
    data.is_keyframe = keyframe
    return Item(Encoded(kind, data, pts, pts, 40, Fraction(1, 1000)), PROGRAM)


class Wanted:
    """A queue, what it counts, how often it wanted a keyframe, and its clock."""

    def __init__(self) -> None:
        self.counts = SinkCounts()
        self.keyframes = 0
        self.clock = PretendedClock()
        self.queue = SinkQueue(self.counts, self._want, self.clock)

    def _want(self) -> None:
        self.keyframes += 1


@pytest.fixture
def made() -> Wanted:
    return Wanted()


def test_nothing_is_taken_before_a_keyframe(made: Wanted) -> None:
    for item in (packet(), packet(kind="audio", keyframe=True), packet()):
        made.queue.offer(item)
    assert made.counts.drops == {"until the next keyframe": 2}
    made.queue.offer(packet(1, keyframe=True))
    made.queue.offer(packet(1.04))
    made.queue.offer(packet(1.04, kind="audio", keyframe=True))
    assert made.queue.state is SinkState.WRITING
    taken = [made.queue.take() for _ in range(3)]
    assert [item.packet.pts for item in taken if item is not None] == [1000, 1040, 1040]


def test_a_sink_that_is_too_slow_goes_on_with_the_next_keyframe(made: Wanted) -> None:
    for number in range(52):
        made.queue.offer(packet(number / 25, keyframe=number == 0))
    assert made.counts.drops == {"too slow": 52}
    assert made.queue.state is SinkState.UNTIL_KEYFRAME
    assert made.keyframes == 1
    made.queue.offer(packet(2.1))
    assert made.counts.drops["until the next keyframe"] == 1


def test_a_sink_that_is_too_slow_holds_no_more_bytes_than_a_limit(made: Wanted) -> None:
    made.queue.offer(packet(keyframe=True))
    made.queue.offer(packet(0.04, kind="audio", size=65 << 20))
    assert made.counts.drops == {"too slow": 1}


def test_frames_count_when_they_are_confirmed(made: Wanted) -> None:
    for number in range(4):
        made.queue.offer(packet(number / 25, keyframe=number == 0))
    for unconfirmed in (1, 2, 0):
        assert made.queue.take()
        assert made.queue.confirm_but(unconfirmed)
    assert made.counts.frames == 3
    assert made.queue.take()
    made.queue.lose()
    assert made.counts.drops == {"not connected": 1}


def test_a_packet_that_is_put_back_is_the_next_one_again(made: Wanted) -> None:
    made.queue.offer(packet(keyframe=True))
    item = made.queue.take()
    assert item is not None
    made.queue.put_back(item)
    made.queue.lose()
    assert not made.counts.drops
    assert made.queue.take() is item


def test_after_an_error_it_waits_for_so_long_and_goes_on_with_a_keyframe(made: Wanted) -> None:
    made.queue.offer(packet(keyframe=True))
    assert made.queue.wait()
    made.queue.offer(packet(0.04, keyframe=True))
    assert made.counts.drops == {"not connected": 2}
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(made.queue.go_on(1.5)), name="waits")
    thread.start()
    made.clock.advance(1.4)
    until(lambda: made.clock.all_wait("waits"))
    assert not found
    made.clock.advance(0.1)
    thread.join(30)
    assert found == [True]
    assert made.queue.state is SinkState.UNTIL_KEYFRAME


def test_the_end_is_not_waited_for_between_two_attempts(made: Wanted) -> None:
    assert made.queue.wait()
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(made.queue.go_on(1e6)), name="waits")
    thread.start()
    made.queue.end()
    thread.join(30)
    assert found == [False]
    assert made.queue.finished


def test_at_the_end_what_is_queued_is_still_written(made: Wanted) -> None:
    made.queue.offer(packet(keyframe=True))
    made.queue.end()
    assert not made.queue.finished
    made.queue.offer(packet(1, keyframe=True))
    assert made.queue.take()
    assert made.queue.finished
    assert made.queue.take() is None
    assert made.counts.drops == {"stopped": 1}
    assert not made.queue.wait(), "an error at the end is no reason for another attempt"


def test_nothing_counts_once_it_is_left(made: Wanted) -> None:
    for number in range(3):
        made.queue.offer(packet(number / 25, keyframe=number == 0))
    assert made.queue.take()
    made.queue.leave("stalled")
    assert made.counts.drops == {"stalled": 3}
    assert not made.queue.confirm_but(0)
    made.queue.lose()
    made.queue.leave("stopped")
    made.queue.close()
    assert made.queue.take() is None
    assert (made.counts.frames, made.counts.drops) == (0, {"stalled": 3})
    assert made.queue.left


def test_a_thread_that_has_ended_takes_nothing(made: Wanted) -> None:
    made.queue.offer(packet(keyframe=True))
    made.queue.close()
    made.queue.offer(packet(1, keyframe=True))
    assert made.counts.drops == {"not connected": 2}
    assert made.queue.state is SinkState.OVER


def test_no_state_that_is_over_leads_on() -> None:
    assert set(_NEXT) == set(SinkState)
    assert not _NEXT[SinkState.LEFT] | _NEXT[SinkState.OVER]
    assert all(SinkState.LEFT in _NEXT[state] for state in SinkState if _NEXT[state])
