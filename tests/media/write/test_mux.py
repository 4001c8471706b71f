"""Packets go from any encoder into a container, with all that belongs to them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from tests.support import clips
from tests.support.sinks import times
from vsr.core.frame import Frame, PixelFormat
from vsr.core.video import VideoInfo
from vsr.files.whole import OutputFile
from vsr.media.frames.planes import av_from_frame
from vsr.media.read.open import open_source
from vsr.media.types import Carried, SinkOptions
from vsr.media.write.containers import Container, container_for
from vsr.media.write.copy_plan import CopyPlan
from vsr.media.write.encoded import Encoded
from vsr.media.write.encoders import plan_encoder
from vsr.media.write.file_encoder import FileEncoder
from vsr.media.write.mux import Muxer
from vsr.media.write.targets import OutputNull, Target


def frames() -> tuple[list[Frame], VideoInfo]:
    with open_source(str(clips.h264("cfr.mp4"))) as source:
        return list(source), source.info


def encoder(name: str, container: Container, info: VideoInfo, threads: int = 1) -> FileEncoder:
    plan = plan_encoder(name, info.format, info.color, info.width, info.height, SinkOptions())
    return FileEncoder(plan, container, info, Carried("test"), threads=threads)


def encoded(encoder: FileEncoder, frames: list[Frame]) -> list[Encoded]:
    packets = []
    for frame in frames:
        assert frame.pts is not None
        packets += encoder.encode(av_from_frame(frame, encoder.plan.pix_fmt), frame.pts, None)
    return packets + encoder.flush()


def muxed(target: Target, container: Container, encoder: FileEncoder, packets: list[Encoded]) -> None:
    muxer = Muxer(target, container, encoder.template, CopyPlan(), Carried("test"), [])
    for packet in packets:
        muxer.mux(packet)
    muxer.close()
    target.commit()


def test_packets_of_two_encoders_make_one_file(tmp_path: Path) -> None:
    given, info = frames()
    output = tmp_path / "out.mp4"
    container = container_for(str(output), None)
    first, second = encoder("libx264", container, info), encoder("libx264", container, info)
    packets = encoded(first, given[:10]) + encoded(second, given[10:])
    muxed(OutputFile(output), container, first, packets)
    pts, unit = times(output)
    assert [t * unit for t in pts] == [(frame.pts or 0) * frame.time_base for frame in given]


def test_what_a_packet_says_of_itself_is_kept(tmp_path: Path) -> None:
    """That a picture is one no other needs: MP4 has a table for it, which PyAV cannot make new packets say."""
    given, info = frames()
    output = tmp_path / "out.mp4"
    container = container_for(str(output), None)
    h265 = encoder("libx265", container, info)
    packets = encoded(h265, given)
    assert any(packet.packet.is_disposable for packet in packets)
    muxed(OutputFile(output), container, h265, packets)
    assert b"sdtp" in output.read_bytes()
    assert b"hvc1" in output.read_bytes()


def test_several_containers_share_a_packet(tmp_path: Path) -> None:
    given, info = frames()
    h264 = encoder("libx264", container_for("out.mp4", None), info)
    packets = encoded(h264, given)
    outputs = [tmp_path / "a.mkv", tmp_path / "b.mkv"]
    containers = [av.open(str(path), "w") for path in outputs]
    streams = [h264.template.add_to(container) for container in containers]
    for number, packet in enumerate(packets):
        for container, stream, shift in zip(containers, streams, (0, 12800), strict=True):
            shared = packet.shared(stream, shift)
            assert bytes(shared) == bytes(packet.packet)
            assert shared.is_keyframe == packet.keyframe == (number % 250 == 0)
            container.mux_one(shared)
    for container in containers:
        container.close()
    (early, unit), (late, _) = (times(path) for path in outputs)
    assert len(early) == len(given)
    assert [(b - a) * unit for a, b in zip(early, late, strict=True)] == [12800 * h264.time_base] * len(given)


def test_an_encoder_without_frames_has_no_packets() -> None:
    _, info = frames()
    container = container_for("out.mkv", None)
    h264 = encoder("libx264", container, info)
    assert h264.flush() == []
    muxed(OutputNull(), container, h264, [])
    assert h264.time_base == Fraction(1, 12800)


def test_raw_frames_are_not_held_back() -> None:
    """Threads on frames would be: whoever reads the pipe would see the first only with the next."""
    info = VideoInfo(1920, 1080, PixelFormat("yuv", 8, (1, 1)), time_base=Fraction(1, 25))
    raw = encoder("rawvideo", container_for("-", None), info, threads=8)
    for number in range(8):
        picture = av.VideoFrame(1920, 1080, "yuv420p")
        picture.time_base = info.time_base
        assert len(raw.encode(picture, number, None)) == 1
    raw.drop()
