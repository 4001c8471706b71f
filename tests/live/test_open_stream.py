"""A stream in one's own loop."""

from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import vsr
from tests.support import clips
from tests.support.sessions import QUICK

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
    with vsr.open_stream(SOURCE, model="bicubic", max_latency_s=5.0) as stream:
        frames = iter(stream)
        next(frames)
        time.sleep(1.0)
        next(frames)
        next(frames)
        assert stream.not_taken > 5
        assert next(frames).age_s < 0.9


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
