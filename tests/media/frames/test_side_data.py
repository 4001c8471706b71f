"""What PyAV has no attribute for is found out all the same: where chroma sits."""

from __future__ import annotations

import pytest

from tests.support import clips
from vsr.core.color import ChromaLocation
from vsr.media.read.open import open_source

SMALL = "testsrc2=size=64x48:rate=25:duration=0.2"


@pytest.mark.parametrize("ending", ["mp4", "mkv", "ts", "264"])
@pytest.mark.parametrize("location", ["LEFT", "CENTER", "TOPLEFT", "TOP"])
def test_chroma_location(ending: str, location: str) -> None:
    expected = ChromaLocation[location]
    told = f"chromaloc={expected - 1}"
    with open_source(str(clips.h264(f"{location}.{ending}", "-x264-params", told, source=SMALL))) as source:
        assert source.info.color.chroma_location is expected


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("pal.dv", ("-s", "720x576", "-pix_fmt", "yuv420p", "-c:v", "dvvideo"), ChromaLocation.TOPLEFT),
        ("one.mpg", ("-c:v", "mpeg1video"), ChromaLocation.CENTER),
        ("h263.3gp", ("-s", "176x144", "-c:v", "h263"), ChromaLocation.CENTER),
        ("untold.avi", ("-c:v", "rawvideo", "-pix_fmt", "yuv420p"), ChromaLocation.LEFT),
        ("untold.mkv", ("-c:v", "utvideo", "-pix_fmt", "yuv420p"), ChromaLocation.LEFT),
        ("nowhere.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv444p"), ChromaLocation.UNSPECIFIED),
    ],
)
def test_chroma_location_of_codecs(name: str, options: tuple[str, ...], expected: ChromaLocation) -> None:
    with open_source(str(clips.make(name, *options, source=SMALL))) as source:
        assert source.info.color.chroma_location is expected
