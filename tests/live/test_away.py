"""What sinks get while the source is away."""

from __future__ import annotations

import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from tests.support import clips
from tests.support.clock import PretendedClock
from tests.support.sessions import config, running
from vsr.bench.synthetic import synthetic_frames
from vsr.core.color import Color, Range
from vsr.core.errors import ConfigError, SourceLostError
from vsr.core.frame import PixelFormat
from vsr.live.away import Away, WhenAway
from vsr.live.frame import StreamFrame
from vsr.live.states import StateLog
from vsr.media.live.capture import Captured
from vsr.media.live.pictures import slate
from vsr.media.live.timeline import TIME_BASE, Timeline


class Stream:
    """An Away whose source sent one frame."""

    def __init__(self, how: WhenAway) -> None:
        self.clock = PretendedClock()
        self.states = StateLog()
        self.timeline = Timeline(self.clock.now())
        self.away = Away(how, "rtsp://camera", self.states, self.timeline, self.clock)
        (self.frame,) = synthetic_frames(64, 48, 1)
        self.states.enter("streaming")
        assert self.comes()

    def comes(self, pts: int | None = None) -> bool:
        """A frame comes now, or with an earlier time."""
        now = self.clock.now()
        ticks = self.timeline.ticks("video", None, now) if pts is None else pts
        frame = replace(self.frame, pts=ticks, time_base=TIME_BASE)
        captured = Captured(frame, now, Fraction(1), Fraction(25), False)
        return self.away.sent(captured, StreamFrame(frame, "one", now))

    def after(self, seconds: float) -> list[StreamFrame]:
        """What is sent in that time, if it is asked for 20 times a second."""
        found = []
        for _ in range(round(seconds * 20)):
            self.clock.advance(0.05)
            if (due := self.away.due()) is not None:
                assert due[0].at == due[1].captured_at == self.clock.now()
                found.append(due[1])
        return found


def test_the_last_picture_is_held_with_times_that_rise() -> None:
    stream = Stream("hold")
    assert stream.after(0.9) == []
    held = stream.after(2.0)
    assert 10 <= len(held) == stream.away.frames <= 20
    assert all(one.frame.planes is stream.frame.planes for one in held)
    times = [one.frame.pts for one in held]
    assert times == sorted(set(times))
    assert stream.comes()
    assert stream.after(0.9) == []


def test_a_frame_that_was_overtaken_is_not_sent_after_the_picture_in_its_place() -> None:
    stream = Stream("hold")
    before = stream.timeline.ticks("video", None, stream.clock.now())
    assert stream.after(2.0)
    assert not stream.comes(before)
    assert stream.comes()


def test_the_slate_comes_when_the_source_counts_as_lost() -> None:
    stream = Stream("slate")
    assert all(one.frame.planes is stream.frame.planes for one in stream.after(2.0))
    stream.states.enter("reconnecting")
    shown = stream.after(1.0)
    assert len({id(one.frame.planes) for one in shown}) == 1, "one slate, made once"
    luma = np.asarray(shown[0].frame.planes[0])
    assert luma.shape == (48, 64)
    assert np.median(luma) == round(16 + 219 * 40 / 255)
    assert luma.max() > 100, "it has text"
    assert (shown[0].frame.width, shown[0].frame.height) == (64, 48)


def test_nothing_is_sent_where_nothing_is_asked_for() -> None:
    stream = Stream("silent")
    stream.states.enter("reconnecting")
    assert stream.after(5.0) == []
    with pytest.raises(ConfigError, match="when_away is 'loop'"):
        config("testsrc:64x48@25", "null", when_away="loop")


@pytest.mark.parametrize(
    ("format", "full", "gray"),
    [
        (PixelFormat("yuv", 8, (1, 1)), False, 50),
        (PixelFormat("yuv", 10, (1, 0)), False, 201),
        (PixelFormat("yuv", 8, (0, 0)), True, 40),
        (PixelFormat("rgb", 8, alpha=True), False, 40),
        (PixelFormat("gray", 16), True, 10280),
    ],
)
def test_a_slate_has_the_format_of_the_picture(format: PixelFormat, full: bool, gray: int) -> None:
    (frame,) = synthetic_frames(64, 48, 1)
    like = replace(frame, format=format, color=Color(range=Range.FULL if full else Range.LIMITED))
    made = slate(like, "a", "b")
    dtype = np.dtype("<u1" if format.bits == 8 else "<u2")
    planes = [np.asarray(plane).view(dtype) for plane in made.planes]
    assert len(planes) == format.num_planes
    for number, plane in enumerate(planes):
        assert plane.shape == format.plane_size(number, 64, 48)[::-1]
    assert np.median(planes[0]) == gray
    if format.kind == "yuv":
        assert (planes[1] == 1 << (format.bits - 1)).all()
    if format.alpha:
        assert (planes[-1] == format.max_code).all()


class Camera:
    """Connections that send some frames each, and are lost when the test says so."""

    def __init__(self) -> None:
        self.lost = threading.Event()
        self.comes_back = threading.Event()

    def connect(
        self,
        _address: object,
        timeline: Timeline,
        _timeout_s: float,
        put: Any,
        *_: object,
        connection: int,
        clock: Any,
    ) -> Any:
        capture = cast("Any", threading.Event())
        capture.error, capture.done, capture.frames = None, threading.Event(), 0
        capture.damaged_packets = capture.skipped = 0
        capture.heard_at = capture.seen_at = clock.now()
        stop = threading.Event()
        capture.leave, capture.join = stop.set, lambda _timeout_s: True
        (picture,) = synthetic_frames(64, 48, 1)

        def send() -> None:
            if connection > 1:
                self.comes_back.wait(60)
            while not stop.wait(0.04) and not (connection == 1 and self.lost.is_set()):
                at = capture.heard_at = capture.seen_at = clock.now()
                frame = replace(picture, pts=timeline.ticks("video", None, at), time_base=TIME_BASE)
                put(Captured(frame, at, Fraction(1), Fraction(25), False, connection))
                capture.frames += 1
            capture.error = SourceLostError("gone")
            capture.done.set()

        threading.Thread(target=send, daemon=True).start()
        return capture


def test_a_recording_goes_on_while_the_camera_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsr.live.away._MISSED_S", 0.2)
    camera, recorded = Camera(), tmp_path / "recorded.mkv"
    monkeypatch.setattr("vsr.live.session.Capture", camera.connect)
    with running("udp://127.0.0.1:1234", str(recorded), when_away="slate") as stream:
        stream.wait_for_frames(5)
        camera.lost.set()
        stream.wait(lambda report: report.frames_held >= 8)
        out = stream.session.report().frames_out
        assert stream.session.report().state in ("reconnecting", "stalled")
        camera.comes_back.set()
        stream.wait(lambda report: report.frames_out >= out + 5)
        report = stream.stop()
    times = clips.frame_times(recorded)
    assert len(times) == report.frames_out + report.frames_held
    assert times == sorted(set(times))
