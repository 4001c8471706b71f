"""How a session ends, and how it counts its connections."""

from __future__ import annotations

import threading
from typing import Any, cast

import pytest

from tests.live.test_source_keeper import Connection
from tests.support.clock import PretendedClock
from tests.support.sessions import adds_up, config, run_simulated, simulated
from vsr.core.errors import SourceLostError
from vsr.core.frame import Frame
from vsr.live.frame import StreamFrame
from vsr.live.session import Session
from vsr.media.live.capture import Capture, Captured

SOURCE = "testsrc:160x120@25"


def test_a_duration_counts_from_the_first_frame_that_went_out() -> None:
    report = run_simulated(SOURCE, "null", duration_s=1.5)
    assert 37 <= report.frames_out <= 39
    assert adds_up(report)
    assert not report.drops


def test_no_frame_goes_to_the_encoder_that_has_become_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    session = simulated(config(SOURCE, "null", max_latency_s=0.3, duration_s=4.0))
    clock = cast("PretendedClock", session._clock)
    encode, ages = session._parts.publisher.video, list[float]()

    def slow(captured: Captured, upscaled: StreamFrame) -> None:
        ages.append(clock.now() - captured.at)
        clock.advance(0.125)
        encode(captured, upscaled)

    monkeypatch.setattr(session._parts.publisher, "video", slow)
    report = session.run()
    assert max(ages) <= 0.3
    assert report.drops["late"] > 10
    assert len(ages) == report.frames_out > 10
    assert adds_up(report)


def test_an_encoder_that_was_slow_once_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    session = simulated(config(SOURCE, "null", max_latency_s=0.3, duration_s=20.0))
    clock = cast("PretendedClock", session._clock)
    encode, calls = session._parts.publisher.video, list[Captured]()

    def slow(captured: Captured, upscaled: StreamFrame) -> None:
        calls.append(captured)
        clock.advance(10.0 if len(calls) == 5 else 0.0)
        encode(captured, upscaled)

    monkeypatch.setattr(session._parts.publisher, "video", slow)
    session.run()
    assert len(calls) > 20


def test_each_connection_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    session = simulated(config("udp://127.0.0.1:1234", "null"))
    clock = cast("PretendedClock", session._clock)
    numbers: list[int] = []

    def connect(*_: object, connection: int, **__: Any) -> Capture:
        numbers.append(connection)
        made = Connection(clock)
        made.plays()
        if len(numbers) == 3:
            session.stop()
        else:
            made.ends(SourceLostError("gone"))
        return cast("Capture", made)

    monkeypatch.setattr("vsr.live.session.Capture", connect)
    session.run()
    assert numbers == [1, 2, 3]


def test_a_frame_in_the_network_is_waited_for_also_when_all_is_cancelled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = Session(config(SOURCE, "null"))
    whole, held = session._parts.rungs.upscale, threading.Event()

    def hold(frame: Frame) -> tuple[Frame, str, float]:
        session.cancel()
        threading.Timer(1.0, held.set).start()
        held.wait()
        return whole(frame)

    monkeypatch.setattr(session._parts.rungs, "upscale", hold)
    session.run()
    assert held.is_set()
    assert "vsr-infer" not in {thread.name for thread in threading.enumerate()}
