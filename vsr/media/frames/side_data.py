"""What streams and frames carry beside pixels: rotation, HDR metadata, captions, layers that would be lost."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av.logging
from av.sidedata.sidedata import Type

from vsr.core.color import ChromaLocation
from vsr.media.ffmpeg_log import dump_lock
from vsr.media.frames.color import chroma_location
from vsr.media.types import ContentLight, MasteringDisplay

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.frame import VideoFrame

# Frames of these may carry an ICC profile, whose side data PyAV frees twice.
_ICC_CODECS = frozenset({"png", "apng", "mjpeg", "webp", "tiff", "libjxl", "jpegxl", "jpeg2000"})


@dataclass(frozen=True, slots=True)
class DolbyVision:
    """A Dolby Vision configuration. compatible: whether the base layer shows as SDR, HDR10 or HLG by itself."""

    profile: int
    compatible: bool


@dataclass(frozen=True, slots=True)
class StreamDetails:
    """What of a stream FFmpeg's own description tells. rotation: as in FrameDetails, for frames that can't be asked."""

    location: ChromaLocation = ChromaLocation.UNSPECIFIED
    dolby_vision: DolbyVision | None = None
    rotation: int = 0


@dataclass(frozen=True, slots=True)
class FrameDetails:
    """What the first frame carries. rotation: counter-clockwise degrees, after mirroring left to right."""

    rotation: int = 0
    mirrored: bool = False
    mastering_display: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    hdr10_plus: bool = False
    dolby_vision: DolbyVision | None = None
    captions: bool = False


def stream_details(container: InputContainer, index: int) -> StreamDetails:
    """Read the lines FFmpeg prints of stream `index`: the only place PyAV shows chroma location and Dolby Vision in."""
    with dump_lock:
        # Chroma location is told from the verbose level on. Nothing is printed: PyAV captures it.
        av.logging.set_libav_level(av.logging.VERBOSE)
        av.logging.set_level(av.logging.VERBOSE)
        try:
            text = container.dumps_format()  # type: ignore[attr-defined]
        finally:
            av.logging.set_level(None)
            av.logging.set_libav_level(av.logging.INFO)
    return details_from_dump(text, index)


def details_from_dump(text: str, index: int) -> StreamDetails:
    """Parse what av_dump_format wrote."""
    match = re.search(rf"^  Stream #0:{index}\b.*?(?=^  Stream #|^Output|\Z)", text, re.MULTILINE | re.DOTALL)
    if not match:
        return StreamDetails()
    block = match.group()
    location = ChromaLocation.UNSPECIFIED
    # "yuv420p10le(tv, bt2020nc/bt2020/smpte2084, progressive, topleft)"
    for inner in re.findall(r"\(([^()]*)\)", block.splitlines()[0]):
        for word in inner.split(","):
            location = location or chroma_location(word.strip())
    vision = None
    found = re.search(r"DOVI configuration record:.*?profile: (\d+).*?compatibility id: (\d+)", block)
    if found:
        vision = DolbyVision(int(found[1]), int(found[2]) != 0)
    turned = re.search(r"[Dd]isplay ?[Mm]atrix: rotation of (-?[\d.]+) degrees", block)
    rotation = round(float(turned[1]) / 90) * 90 % 360 if turned else 0
    return StreamDetails(location, vision, rotation)


def _blocks(frame: VideoFrame, codec: str) -> Iterator[tuple[Type, bytes]]:
    if codec in _ICC_CODECS:
        return
    try:
        blocks: Iterable[Any] = iter(frame.side_data)  # PyAV declares a Mapping; it iterates over the values
    except ValueError:  # a kind newer than PyAV, as EXIF in AVIF, hides all
        return
    for data in blocks:
        yield data.type, bytes(data)


def frame_details(frame: VideoFrame, codec: str) -> FrameDetails:
    """Read the side data of a decoded frame; `codec` is the decoder's name."""
    values: dict[str, object] = {}
    for kind, data in _blocks(frame, codec):
        if kind is Type.DISPLAYMATRIX:
            values["rotation"], values["mirrored"] = orientation_from_matrix(data)
        elif kind is Type.MASTERING_DISPLAY_METADATA:
            values["mastering_display"] = mastering_display_from_bytes(data)
        elif kind is Type.CONTENT_LIGHT_LEVEL:
            values["content_light"] = content_light_from_bytes(data)
        elif kind is Type.DYNAMIC_HDR_PLUS:
            values["hdr10_plus"] = True
        elif kind is Type.DOVI_METADATA:
            values["dolby_vision"] = dolby_vision_from_bytes(data)
        elif kind is Type.A53_CC:
            values["captions"] = True
    return FrameDetails(**values)  # type: ignore[arg-type]


def captions(frame: VideoFrame, codec: str) -> bytes | None:
    """The CEA-608/708 closed caption bytes of a frame (ATSC A/53 part 4 cc_data), or None."""
    return next((data for kind, data in _blocks(frame, codec) if kind is Type.A53_CC), None)


def orientation_from_matrix(data: bytes) -> tuple[int, bool]:
    """(rotation, mirrored) of a display matrix of nine little-endian int32, to the nearest quarter turn.

    rotation: counter-clockwise degrees, 0 to 270, applied after mirroring left to right.
    """
    if len(data) < 36:
        return 0, False
    a, b, _, c, d, *_rest = struct.unpack("<9i", data[:36])
    if a * d == b * c:
        return 0, False
    # x' = ax + cy, y' = bx + dy, y downwards: (c, d) is (sin, cos) of the turn, mirrored or not.
    degrees = math.degrees(math.atan2(c, d))
    return round(degrees / 90) * 90 % 360, a * d < b * c


def display_matrix(rotation: int, mirrored: bool) -> list[int]:
    """The nine integers of a display matrix (16.16 and 2.30 fixed point), as `VideoStream.set_display_matrix` takes them."""
    one = 1 << 16
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[rotation % 360]
    flip = -1 if mirrored else 1
    return [flip * cos * one, -flip * sin * one, 0, sin * one, cos * one, 0, 0, 0, 1 << 30]


def mastering_display_from_bytes(data: bytes) -> MasteringDisplay | None:
    """AVMasteringDisplayMetadata; None unless it holds both chromaticities and luminance."""
    if len(data) < 88:
        return None
    numbers = struct.unpack("<22i", data[:88])
    if not (numbers[20] and numbers[21]):
        return None
    pairs = list(zip(numbers[0:20:2], numbers[1:20:2], strict=True))
    if any(den == 0 for _, den in pairs):
        return None
    values = [Fraction(num, den) for num, den in pairs]
    return MasteringDisplay(
        primaries=((values[0], values[1]), (values[2], values[3]), (values[4], values[5])),
        white_point=(values[6], values[7]),
        min_luminance=values[8],
        max_luminance=values[9],
    )


def content_light_from_bytes(data: bytes) -> ContentLight | None:
    """AVContentLightMetadata; None when it says nothing."""
    if len(data) < 8:
        return None
    content, average = struct.unpack("<2I", data[:8])
    return ContentLight(content, average) if content or average else None


def dolby_vision_from_bytes(data: bytes) -> DolbyVision:
    """AVDOVIMetadata, told apart as FFmpeg guesses it: a full-range base layer without enhancement is profile 5."""
    if len(data) >= 8:
        (offset,) = struct.unpack("<Q", data[:8])
        header = data[offset : offset + 11]
        if len(header) == 11 and header[4] == 0 and header[10]:
            return DolbyVision(5, compatible=False)
    return DolbyVision(8, compatible=True)
