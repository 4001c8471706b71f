"""Old AVI: pictures that share packets, and packets without a picture."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet

from tests.support import clips
from vsr.core.frame import Frame
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions

UNCODED = b"\x00\x00\x01\xb6\x52\xcf"
"""A picture of MPEG-4 at 25 a second of which nothing is coded."""
MARK = b"\x00\x00\x01\xb2DivX503b1393p"


def whole() -> Path:
    """25 pictures of MPEG-4: one of every two is a B-frame."""
    return clips.make("b-frames.m4v", "-c:v", "mpeg4", "-bf", "1", "-g", "12", "-q:v", "3")


def pictures(path: Path) -> list[bytes]:
    """Packets in coding order."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def is_b_frame(data: bytes) -> bool:
    return data[data.index(b"\x00\x00\x01\xb6") + 4] >> 6 == 2


def packed(data: list[bytes]) -> list[bytes]:
    """B-frames behind the picture before them, and an uncoded one in their place."""
    chunks: list[bytes] = []
    for number, picture in enumerate(data):
        if is_b_frame(picture):
            chunks[-1] += picture
            chunks.append(UNCODED)
        else:
            chunks.append(picture + (MARK if not number else b""))
    return chunks


def written(path: Path, chunks: Iterable[tuple[int, bytes]]) -> Path:
    """Chunks of MPEG-4 at their numbers; what is between them is empty."""
    with av.open(str(whole())) as given, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0], opaque=True)
        stream.time_base = Fraction(1, 25)
        for number, data in chunks:
            packet = Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 25)
            packet.pts = packet.dts = number
            packet.is_keyframe = data.startswith(b"\x00\x00\x01\xb0") or not number
            output.mux_one(packet)
    return path


def read(path: Path, **options: float) -> list[Frame]:
    with open_source(str(path), SourceOptions(**options)) as source:  # type: ignore[arg-type]
        assert not source.carried.warnings
        return list(source)


def seen(frames: list[Frame]) -> list[bytes]:
    return [np.asarray(frame.planes[0]).tobytes() for frame in frames]


def at(frames: list[Frame]) -> list[float]:
    return [round(float((frame.pts or 0) * frame.time_base), 3) for frame in frames]


@pytest.mark.parametrize("ending", ["avi", "mkv"])
@pytest.mark.parametrize("waits", [0, 2], ids=["at-once", "after-a-wait"])
def test_packed_b_frames_are_each_shown_at_their_time(ending: str, waits: int, tmp_path: Path) -> None:
    if waits and ending == "mkv":
        pytest.skip("only AVI has chunks without data")
    chunks = packed(pictures(whole()))
    numbered = [(number + (waits if number else 0), chunk) for number, chunk in enumerate(chunks)]
    path = written(tmp_path / f"packed.{ending}", numbered)
    frames = read(path)
    assert at(frames) == [round(number / 25, 3) for number in range(25)]
    assert seen(frames) == seen(read(whole()))
    assert seen(read(path, start_s=0.6)) == seen(frames)[15:]


def test_a_b_frame_in_the_last_packet_is_shown(tmp_path: Path) -> None:
    data = pictures(whole())
    chunks = packed(data[: next(i for i in range(10, 25) if is_b_frame(data[i])) + 1])[:-1]
    frames = read(written(tmp_path / "packed.avi", enumerate(chunks)))
    assert at(frames) == [round(number / 25, 3) for number in range(len(chunks) + 1)]


def test_a_picture_that_is_not_coded_takes_its_time(tmp_path: Path) -> None:
    """What comes after it is not early."""
    plain = clips.make("plain.m4v", "-c:v", "mpeg4", "-g", "12", "-q:v", "3")
    data = pictures(plain)
    path = written(tmp_path / "dropped.avi", enumerate([*data[:5], UNCODED, *data[5:24]]))
    frames = read(path)
    assert at(frames) == [round(number / 25, 3) for number in range(25) if number != 5]
