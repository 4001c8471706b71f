"""A sink's thread with outputs that hang or fail as a test wants, on a clock of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator

import pytest

from tests.live.test_sink_queue import PROGRAM, packet
from tests.support.clock import PretendedClock
from tests.support.sessions import until
from vsr.core.clock import Clock
from vsr.core.errors import OutputLostError
from vsr.live import sinks
from vsr.live.backoff import Backoff
from vsr.live.sinks import LiveSink
from vsr.media.live.destinations import Destination
from vsr.media.live.program import Program
from vsr.media.write.encoded import Encoded

TIMEOUT_S = 5.0


class Pretended:
    """An output that keeps what is written to it. `write` is called first, with the number of the frame."""

    made: list[Pretended]
    write_to: Callable[[int], None]

    def __init__(self, destination: Destination, clock: Clock) -> None:
        self.frames = self.bytes = 0
        self.seconds = 0.0
        self.connected = True
        self.made.append(self)

    @property
    def kept(self) -> int:
        return self.frames

    def open(self, program: Program, number: int = 1) -> None: ...

    def write(self, encoded: Encoded) -> None:
        self.write_to(len(self.made))
        self.frames += 1

    def close(self, *, last: bool) -> None: ...

    def discard(self) -> None: ...

    def abandon(self) -> None: ...


@pytest.fixture
def hangs() -> Generator[threading.Event]:
    """Set: nothing hangs any more."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def clock() -> PretendedClock:
    return PretendedClock()


@pytest.fixture
def sink(
    clock: PretendedClock, hangs: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> Generator[LiveSink]:
    monkeypatch.setattr(Pretended, "made", [], raising=False)
    monkeypatch.setattr(Pretended, "write_to", lambda _self, _number: None, raising=False)
    monkeypatch.setattr(sinks, "Output", Pretended)
    destination = Destination("rtsp://host/x", "rtsp://host/x", "rtsp")
    made = LiveSink(destination, TIMEOUT_S, None, lambda: None, lambda _change: None, clock)
    made.begin()
    yield made
    hangs.set()
    made.leave()
    until(lambda: not made.alive)


def offer(sink: LiveSink, *keyframes: bool) -> None:
    for number, keyframe in enumerate(keyframes):
        sink.offer(packet(number / 25, keyframe=keyframe).packet, PROGRAM)


def test_a_worker_that_hangs_is_left_after_the_timeout_and_another_goes_on(
    sink: LiveSink, clock: PretendedClock, hangs: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = threading.Event()

    def hang(_self: Pretended, number: int) -> None:
        if number == 1:
            entered.set()
            hangs.wait()

    monkeypatch.setattr(Pretended, "write_to", hang)
    offer(sink, True, False)
    assert entered.wait(60)
    clock.advance(TIMEOUT_S)
    sink.watch()
    assert sink.states.now == "connecting"
    clock.advance(0.1)
    sink.watch()
    assert [change.state for change in sink.states.changes()] == ["connecting", "stalled", "reconnecting"]
    assert sink.counts.drops == {"stalled": 2}
    offer(sink, False, True)
    until(lambda: sink.counts.frames == 1)
    assert sink.counts.drops == {"stalled": 2, "until the next keyframe": 1}
    hangs.set()
    until(lambda: not any(worker.alive for worker in sink._left))
    assert sink.counts.frames == 1, "what the worker that was left wrote in the end counts for nothing"


def test_standstills_in_a_row_count_as_attempts(
    sink: LiveSink, clock: PretendedClock, hangs: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[int] = []

    def hang(_self: Pretended, number: int) -> None:
        entered.append(number)
        hangs.wait()

    monkeypatch.setattr(Pretended, "write_to", hang)
    monkeypatch.setattr(sink, "backoff", Backoff(1))
    for count in (1, 2):
        assert sink.failed is None
        offer(sink, True)
        until(lambda count=count: len(entered) == count)
        clock.advance(TIMEOUT_S + 0.1)
        sink.watch()
    assert isinstance(sink.failed, OutputLostError)
    assert sink.failed.message == "rtsp://host/x: took nothing for 5.1 s"


def test_workers_that_hang_are_few(
    sink: LiveSink, clock: PretendedClock, hangs: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[int] = []

    def hang(_self: Pretended, number: int) -> None:
        entered.append(number)
        hangs.wait()

    monkeypatch.setattr(Pretended, "write_to", hang)
    for count in range(1, 6):
        offer(sink, True)
        until(lambda count=count: len(entered) == count)
        clock.advance(TIMEOUT_S + 0.1)
        sink.watch()
    assert len(sink._left) == 4
    assert sink.states.count("stalled") == 4


def test_a_sink_that_is_lost_waits_and_connects_again(
    sink: LiveSink, clock: PretendedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_self: Pretended, number: int) -> None:
        if number == 1:
            raise OutputLostError("rtsp://host/x: gone")

    monkeypatch.setattr(Pretended, "write_to", fail)
    offer(sink, True)
    until(lambda: sink.states.now == "reconnecting")
    until(lambda: clock.all_wait("vsr-sink"))
    offer(sink, True)
    assert sink.counts.drops == {"not connected": 2}
    clock.advance(0.25)
    until(lambda: sink.alive and clock.all_wait("vsr-sink"))
    offer(sink, True, False)
    until(lambda: sink.counts.frames == 2)
    assert sink.states.now == "streaming"
    assert sink.counts.drops == {"not connected": 2}
    assert sink.latency.overall().count == 2
