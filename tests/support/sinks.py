"""A file through a source and a sink, as it is or twice as large, for tests of outputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.media.read.open import open_source
from vsr.media.types import Sink, SinkOptions, SourceOptions
from vsr.media.write.sink import open_sink


def doubled(frame: Frame) -> Frame:
    """Each sample four times."""
    planes = []
    for i, plane in enumerate(frame.planes):
        width, height = frame.format.plane_size(i, 2 * frame.width, 2 * frame.height)
        codes = np.ascontiguousarray(np.asarray(plane)).view("<u2" if frame.format.bits > 8 else np.uint8)
        large = np.ascontiguousarray(codes.repeat(2, 0).repeat(2, 1)[:height, :width])
        planes.append(large.view(np.uint8).reshape(height, -1))
    return replace(frame, planes=planes, width=2 * frame.width, height=2 * frame.height)


def through(
    given: Path | str,
    output: Path | str,
    *,
    scale: int = 1,
    reading: SourceOptions | None = None,
    info: Callable[[VideoInfo], VideoInfo] = lambda info: info,
    change: Callable[[Frame], Frame] = lambda frame: frame,
    **options: Any,
) -> Sink:
    """Write every frame of a file to an output; the finished sink."""
    with open_source(str(given), reading or SourceOptions()) as source:
        facts = replace(source.info, width=source.info.width * scale, height=source.info.height * scale)
        sink = open_sink(str(output), SinkOptions(**options), source.carried, info(facts))
        try:
            for frame in source:
                sink.write(change(doubled(frame) if scale == 2 else frame))
            sink.finish()
        except BaseException:
            sink.abandon()
            raise
        return sink


def times(path: Path | str) -> tuple[list[int], Fraction]:
    """pts of all decoded video frames, and their unit."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        return [frame.pts for frame in container.decode(stream) if frame.pts is not None], stream.time_base


def assert_same_times(given: Path | str, output: Path | str, shift: Fraction = Fraction(0)) -> None:
    """Each frame of the output stands where it stood, to the output's own tick."""
    (before, unit), (after, tick) = times(given), times(output)
    assert after == [round((pts * unit + shift) / tick) for pts in before]
    assert after == sorted(set(after))


def packets(path: Path | str, kind: str, number: int = 0) -> list[tuple[bytes, Fraction]]:
    """Bytes and pts in seconds of the packets of a stream."""
    with av.open(str(path)) as container:
        stream = getattr(container.streams, kind)[number]
        return [(bytes(p), (p.pts or 0) * p.time_base) for p in container.demux(stream) if p.size]


def streams(path: Path | str) -> list[Any]:
    """(type, codec, language, title, disposition) of each stream, as PyAV reads them."""
    found = []
    with av.open(str(path)) as container:
        for stream in container.streams:
            codec = stream.codec_context.codec.canonical_name if stream.codec_context else ""
            language = stream.metadata.get("language")
            title = stream.metadata.get("title") or stream.metadata.get("name")
            found.append((stream.type, codec, language, title, int(stream.disposition)))
    return found
