"""Excerpts of files: a part of a video is decoded from them as from the whole file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support import clips
from vsr.media.read.excerpt import excerpt, reads_noted, write_excerpts
from vsr.media.read.index import video_index
from vsr.media.read.open import open_source
from vsr.media.read.source import FileSource
from vsr.media.types import SourceOptions

OPTIONS = SourceOptions(threads=2)
H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-qp", "4", "-bf", "2", "-g", "10", "-pix_fmt", "yuv420p")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "1", "-bf", "2", "-g", "10", "-pix_fmt", "yuv420p")


@pytest.mark.parametrize(
    ("name", "encoding", "share"),
    [
        ("a.mp4", H264, 0.5),
        ("a.mkv", H264, 0.5),
        ("a.ts", H264, 0.9),  # entered 10 s early
        ("a.flv", H264, 1),  # has no index: read from its beginning
        ("a.mpg", MPEG2, 1),
        ("fields.mp4", (*H264, "-flags", "+ilme+ildct"), 0.5),
    ],
)
def test_parts_are_decoded_from_excerpts_as_from_the_file(
    name: str, encoding: tuple[str, ...], share: float, tmp_path: Path
) -> None:
    video, sound = "mandelbrot=size=320x240:rate=10", "sine=frequency=440"
    inputs = ("-f", "lavfi", "-i", video, "-f", "lavfi", "-i", sound, "-t", "20")
    whole = clips.made(name, (*inputs, *encoding), lambda path: clips.run(*inputs, *encoding, path))
    index = video_index(str(whole), OPTIONS)
    segments = [segment for segment in _segments(index) if segment.number in (0, 1, 9)]
    assert len(segments) == 3
    with reads_noted() as beginning, open_source(str(whole), OPTIONS):
        pass
    common = excerpt(whole, beginning)
    for segment in segments:
        with reads_noted() as noted, open_source(str(whole), OPTIONS) as source:
            assert isinstance(source, FileSource)
            source.read_part(segment.seek, segment.end)
        own = excerpt(whole, noted - beginning)
        path = tmp_path / name
        write_excerpts([common, own], path)
        assert _decoded(path, segment) == _decoded(whole, segment)
        assert path.stat().st_size == common.size
        assert common.bytes + own.bytes <= share * common.size


def _segments(index: Any) -> Any:
    from vsr.jobs.segments import plan_segments

    return plan_segments(index, round(2 / index.time_base)).segments


def _decoded(path: Path, segment: Any) -> list[Any]:
    with open_source(str(path), OPTIONS) as source:
        assert isinstance(source, FileSource)
        return [
            (
                frame.pts,
                frame.time_base,
                frame.starts,
                [np.asarray(plane).tobytes() for plane in frame.planes],
            )
            for frame in source.part(segment.seek, segment.begin, segment.end)
        ]


def test_nothing_is_noted_elsewhere(tmp_path: Path) -> None:
    inputs = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1")
    path = clips.made("b.mp4", inputs, lambda path: clips.run(*inputs, path))
    with reads_noted() as noted:
        pass
    open_source(str(path)).close()
    assert not noted
