"""Damage among the last packets, where a decoder has frames left that it gives only when it is drained."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import av
import pytest

from tests.support import clips
from vsr.core.errors import DecodeError
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions

FRAMES = 10


def _last_is_damaged(ending: str) -> Path:
    """H.264 with B-frames, whose last packet does not decode."""
    options = ("-frames:v", str(FRAMES), "-g", "5", "-bf", "2", "-c:v", "libx264", "-pix_fmt", "yuv420p")
    whole = clips.make(f"last.{ending}", *options, source="testsrc2=size=64x48:rate=25")
    with av.open(str(whole)) as container:
        last = [bytes(packet) for packet in container.demux(video=0) if packet.size][-1]
    data = bytearray(whole.read_bytes())
    # The header of the slice, behind the length and the kind of its unit.
    begin = data.rindex(last) + 6
    data[begin : begin + 6] = bytes(byte ^ 0xA5 for byte in data[begin : begin + 6])
    return clips.made(f"damaged.{ending}", "last", lambda path: path.write_bytes(data))


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "264"])
def test_only_the_damaged_one_is_lost_and_it_is_counted(ending: str) -> None:
    path = _last_is_damaged(ending)
    with open_source(str(path)) as source:
        pts = [frame.pts for frame in source]
        counters = source.counters
    assert len(pts) == FRAMES - 1
    assert pts == sorted(set(pts))
    assert counters.damaged_packets == 1
    assert counters.first_error
    with open_source(str(path), SourceOptions(strict=True)) as source, pytest.raises(DecodeError):
        list(source)


def test_nothing_can_be_read_again_from_a_pipe(tmp_path: Path) -> None:
    pipe, path = tmp_path / "pipe", tmp_path / "a.nut"
    clips.run("-i", _last_is_damaged("mkv"), "-c", "copy", path)
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(path.read_bytes()))
    writer.start()
    with open_source(str(pipe)) as source:
        assert sum(1 for _ in source) == FRAMES - 1
        assert source.counters.damaged_packets == 1
    writer.join()
