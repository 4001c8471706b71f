"""Frames go when nobody uses them: hundreds that wait for Python's collector would fill the memory."""

from __future__ import annotations

import gc
from collections import Counter
from pathlib import Path

import pytest
from av.video.frame import VideoFrame

import vsr
from tests.support import clips
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions
from vsr.media.write.encoders import available_encoders


def frames_left() -> int:
    return Counter(type(each) for each in gc.get_objects())[VideoFrame]


@pytest.mark.parametrize("written", [False, True])
def test_no_frame_waits_for_the_collector(written: bool, tmp_path: Path) -> None:
    available_encoders()
    gc.collect()
    gc.disable()
    try:
        before = frames_left()
        if written:
            report = vsr.upscale_file(str(clips.h264()), str(tmp_path / "out.mp4"), model="bicubic")
            assert report.frames_out > 4
        else:
            with open_source(str(clips.h264()), SourceOptions()) as source:
                assert sum(1 for _ in source) > 4
            del source
        assert frames_left() - before <= 2
    finally:
        gc.enable()
