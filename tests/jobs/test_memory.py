"""Frames and encoders go when nobody uses them: those that wait for Python's collector would fill the memory."""

from __future__ import annotations

import gc
import shutil
from collections import Counter
from pathlib import Path

import pytest
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

import vsr
from tests.support import clips
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions
from vsr.media.write.encoders import available_encoders

CUT = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1.6", "-g", "10", "-pix_fmt", "yuv420p")


def left(kind: type) -> int:
    return Counter(type(each) for each in gc.get_objects())[kind]


@pytest.mark.parametrize("written", [False, True])
def test_no_frame_waits_for_the_collector(written: bool, tmp_path: Path) -> None:
    available_encoders()
    gc.collect()
    gc.disable()
    try:
        before = left(VideoFrame)
        if written:
            report = vsr.upscale_file(str(clips.h264()), str(tmp_path / "out.mp4"), model="bicubic")
            assert report.frames_out > 4
        else:
            with open_source(str(clips.h264()), SourceOptions()) as source:
                assert sum(1 for _ in source) > 4
            del source
        assert left(VideoFrame) - before <= 2
    finally:
        gc.enable()


@pytest.mark.parametrize("segment", [0, 0.4])
def test_no_encoder_waits_for_the_collector(segment: float, tmp_path: Path) -> None:
    """x264 holds 150 MB for 1080p, and there is one for each segment of each input."""
    clip = clips.made("cut.mp4", CUT, lambda path: clips.run(*CUT, path))
    for name in ("one.mp4", "other.mp4"):
        shutil.copy2(clip, tmp_path / name)
    inputs = (str(tmp_path / "one.mp4"), str(tmp_path / "other.mp4"))
    config = vsr.UpscaleConfig(
        inputs, str(tmp_path / "out") + "/", vsr.NetworkOptions("bicubic"), segment=segment
    )
    available_encoders()
    gc.collect()
    gc.disable()
    try:
        before = left(VideoCodecContext)
        reports = vsr.upscale_many(config)
        assert [report.frames_out for report in reports] == [40, 40]
        assert left(VideoCodecContext) == before
    finally:
        gc.enable()
