"""The data beside the pixels of streams and frames: rotation, HDR metadata, captions, layers that would be lost."""

from __future__ import annotations

import contextlib
import io
import itertools
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
from av.bitstream import BitStreamFilterContext
from av.sidedata.sidedata import SideDataContainer, Type

from vsr.core.color import ChromaLocation
from vsr.media.ebml import found
from vsr.media.frames.crop import Crop
from vsr.media.types import ContentLight, Immersive, MasteringDisplay

if TYPE_CHECKING:
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

# Frames of these codecs may carry an ICC profile, whose side data PyAV frees twice.
_ICC_CODECS = frozenset({"png", "apng", "mjpeg", "webp", "tiff", "libjxl", "jpegxl", "jpeg2000"})

_SEGMENT, _TRACKS, _TRACK, _VIDEO, _COLOUR = 0x18538067, 0x1654AE6B, 0xAE, 0xE0, 0x55B0
_CHROMA_X, _CHROMA_Y = 0x55B7, 0x55B8
_CROP_LEFT, _CROP_TOP, _CROP_RIGHT, _CROP_BOTTOM = 0x54CC, 0x54BB, 0x54DD, 0x54AA
_STEREO_MODE, _PROJECTION, _PROJECTION_TYPE = 0x53B8, 0x7670, 0x7671
_BLOCK_ADDITIONS, _ADDITION_TYPE, _ADDITION_DATA = 0x41E4, 0x41E7, 0x41ED
# The distance of the first chroma sample from the first luma sample, across and down: 1 for none, 2 for half a pixel.
_SITINGS = {
    (1, 1): ChromaLocation.TOPLEFT,
    (2, 1): ChromaLocation.TOP,
    (1, 2): ChromaLocation.LEFT,
    (2, 2): ChromaLocation.CENTER,
}
# FFmpeg's names of stereo modes, by Matroska's numbers.
_STEREO_MODES = dict(
    enumerate(
        "mono left_right bottom_top top_bottom checkerboard_rl checkerboard_lr row_interleaved_rl row_interleaved_lr "
        "col_interleaved_rl col_interleaved_lr anaglyph_cyan_red right_left anaglyph_green_magenta block_lr block_rl".split()
    )
)
_PROJECTIONS = dict(enumerate("rectangular equirectangular cubemap mesh".split()))


@dataclass(frozen=True, slots=True)
class DolbyVision:
    """A Dolby Vision configuration. compatible: whether the base layer shows as SDR, HDR10 or HLG by itself."""

    profile: int
    compatible: bool


@dataclass(frozen=True, slots=True)
class StreamDetails:
    """Facts that PyAV has no attribute for: a stream's chroma location, its Dolby Vision configuration, the visible part of
    its pictures, and their layout for two eyes or around the viewer."""

    location: ChromaLocation = ChromaLocation.UNSPECIFIED
    dolby_vision: DolbyVision | None = None
    crop: Crop = field(default_factory=Crop)
    immersive: Immersive | None = None


@dataclass(frozen=True, slots=True)
class FrameDetails:
    """The side data of the first frame. rotation: counter-clockwise degrees, after mirroring left to right."""

    rotation: int = 0
    mirrored: bool = False
    mastering_display: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    hdr10_plus: bool = False
    dolby_vision: DolbyVision | None = None
    captions: bool = False


def stream_details(stream: VideoStream) -> StreamDetails:
    """Let FFmpeg write a Matroska header of the stream into memory, and read from it the facts that PyAV lacks."""
    header = io.BytesIO()
    try:
        # Not strict: otherwise the stream's four-character code from another container would be refused.
        with av.open(header, "w", format="matroska", container_options={"strict": "experimental"}) as output:
            copy = output.add_mux_stream("h264")
            # The filter copies all parameters of the stream, the codec included.
            BitStreamFilterContext("null", stream, copy)
            copy.time_base = stream.time_base or Fraction(1, 1000)
            output.start_encoding()
    except (av.FFmpegError, ValueError):
        return StreamDetails()
    return details_from_header(header.getvalue())


def details_from_header(header: bytes) -> StreamDetails:
    """The facts in a Matroska file of one track (RFC 9559, 5.1.4.1)."""
    track = next(found(header, _SEGMENT, _TRACKS, _TRACK), b"")
    video = next(found(track, _VIDEO), b"")

    def number(*path: int) -> int:
        return int.from_bytes(next(found(video, *path), b""), "big")

    x, y = number(_COLOUR, _CHROMA_X), number(_COLOUR, _CHROMA_Y)
    vision = None
    for mapping in found(track, _BLOCK_ADDITIONS):
        kind, data = (next(found(mapping, part), b"") for part in (_ADDITION_TYPE, _ADDITION_DATA))
        if kind in (b"dvcC", b"dvvC") and len(data) > 4:
            # Dolby Vision Streams Within the ISO Base Media File Format 2.3, 3.2.
            vision = DolbyVision(profile=data[2] >> 1, compatible=bool(data[4] >> 4))
    immersive = Immersive(
        stereo_mode=_STEREO_MODES.get(number(_STEREO_MODE), "mono"),
        projection=_PROJECTIONS.get(number(_PROJECTION, _PROJECTION_TYPE), "rectangular"),
        element=next(found(video, _PROJECTION), b""),
    )
    return StreamDetails(
        location=_SITINGS.get((x, y), ChromaLocation.UNSPECIFIED),
        dolby_vision=vision,
        crop=Crop(number(_CROP_LEFT), number(_CROP_TOP), number(_CROP_RIGHT), number(_CROP_BOTTOM)),
        immersive=immersive if str(immersive) else None,
    )


def _blocks(frame: VideoFrame, codec: str) -> Iterator[tuple[Type, bytes]]:
    if codec in _ICC_CODECS:
        return
    try:
        # Not `frame.side_data`: it and the frame refer to each other. Both would stay in memory until Python's collector comes,
        # which counts objects and not their size.
        blocks: Any = SideDataContainer(frame)  # type: ignore[call-arg]
    except ValueError:  # a kind unknown to PyAV, like EXIF in AVIF for PyAV 18, hides all
        return
    # By index, because iterating gives values up to PyAV 18, and kinds from 19 on.
    with contextlib.suppress(IndexError):
        for place in itertools.count():
            yield blocks[place].type, bytes(blocks[place])


def frame_details(frame: VideoFrame, codec: str) -> FrameDetails:
    """Read the side data of a decoded frame; `codec` is the decoder's name."""
    values: dict[str, object] = {}
    if codec in _ICC_CODECS:
        values["rotation"] = round(frame.rotation / 90) * 90 % 360
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
