"""A stream in one's own loop."""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import vsr
from tests.support import clips
from tests.support.clock import PretendedClock
from tests.support.sessions import QUICK, config, settled, until
from vsr.live.open_stream import OpenStream

SOURCE = "testsrc:160x120@25"


def test_frames_come_upscaled_with_what_is_known_of_them() -> None:
    with vsr.open_stream(SOURCE, **QUICK) as stream:
        frames = [frame for frame, _ in zip(stream, range(10), strict=False)]
        assert stream.state == "streaming"
    assert stream.state == "stopped"
    for frame in frames:
        assert (frame.frame.width, frame.frame.height) == (320, 240)
        assert frame.model == "bicubic-x2"
        assert 0 < frame.age_s < 60
    times = [frame.time_s for frame in frames]
    assert [after - before for before, after in pairwise(times)] == pytest.approx([0.04] * 9)
    picture = frames[0].to_rgb()
    assert picture.shape == (240, 320, 3)
    assert picture.dtype == np.uint8
    assert picture.std() > 20
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("vsr-")]


def test_a_loop_that_is_slow_gets_the_newest_and_is_told_of_the_others() -> None:
    before, clock = frozenset(threading.enumerate()), PretendedClock(settled=lambda: False)
    with OpenStream(config(SOURCE, max_latency_s=5.0), clock) as stream:
        clock.settled = lambda: settled(stream._session, clock, before)
        frames = iter(stream)
        next(frames)
        until(lambda: stream.report().frames_out > 30)
        now = clock.now()
        # Two wait, at 25 a second; what was captured at a time comes within a tick after it.
        assert next(frames).captured_at > now - 0.2
        assert stream.not_taken > 5


def test_it_ends_with_its_source_and_records_meanwhile(tmp_path: Path) -> None:
    clip, recorded = clips.h264(), tmp_path / "recorded.mkv"
    with vsr.open_stream(str(clip), str(recorded), realtime=True, **QUICK) as stream:
        count = sum(1 for _ in stream)
    assert count + stream.not_taken == len(clips.frame_times(clip)) == len(clips.frame_times(recorded))
    assert stream.report().frames_out == len(clips.frame_times(recorded))


def test_what_cannot_work_is_raised() -> None:
    with pytest.raises(vsr.VsrError, match="no such file"):
        vsr.open_stream("nosuch.mp4", realtime=True)
    with (
        vsr.open_stream("rtsp://127.0.0.1:1/x", retries=0, **QUICK) as stream,
        pytest.raises(vsr.VsrError, match="connection refused"),
    ):
        list(stream)
    with pytest.raises(vsr.VsrError, match="scale 7 is out of range"):
        vsr.open_stream(SOURCE, scale=7)
