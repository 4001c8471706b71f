"""Colour tags: from FFmpeg's objects, and onto them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vsr.core.color import ChromaLocation, Color, Range
from vsr.core.frame import PixelFormat

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

UNSPECIFIED = 2
"""What H.273 calls unspecified: matrix, primaries and transfer alike."""

RGB_MATRIX = 0
"""The identity matrix: samples are R, G and B themselves."""

# FFmpeg's names of the common code points of H.273; others stay numbers.
MATRICES = {0: "gbr", 1: "bt709", 2: "unspecified", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m",
            8: "ycgco", 9: "bt2020nc", 10: "bt2020c", 14: "ictcp"}  # fmt: skip
PRIMARIES = {1: "bt709", 2: "unspecified", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "film",
             9: "bt2020", 10: "smpte428", 11: "smpte431", 12: "smpte432", 22: "ebu3213"}  # fmt: skip
TRANSFERS = {1: "bt709", 2: "unspecified", 4: "bt470m", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 8: "linear",
             11: "iec61966-2-4", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084",
             17: "smpte428", 18: "arib-std-b67"}  # fmt: skip


def default_chroma_location(fmt: PixelFormat, codec: str) -> ChromaLocation:
    """The position of untagged chroma: centred in JPEG, H.263 and MPEG-1, else left; UNSPECIFIED for all but 4:2:0."""
    if fmt.kind != "yuv" or fmt.log2_chroma != (1, 1):
        return ChromaLocation.UNSPECIFIED
    centred = codec in ("mjpeg", "jpeg", "webp", "h263", "mpeg1video")
    return ChromaLocation.CENTER if centred else ChromaLocation.LEFT


def color_from_av(
    frame: VideoFrame,
    fmt: PixelFormat,
    *,
    location: ChromaLocation = ChromaLocation.UNSPECIFIED,
    fallback: Color | None = None,
) -> Color:
    """The colour a decoded frame is tagged with.

    fmt is the format the samples are in now. location comes from the stream: frames have no attribute for it. Tags the frame
    lacks are taken from `fallback`, the stream's. The `yuvj` formats are full range; RGB is full range with matrix 0, always.
    """
    base = fallback or Color()
    primaries = _tag(frame.color_primaries, base.primaries)
    transfer = _tag(frame.color_trc, base.transfer)
    if fmt.kind == "rgb":
        return Color(RGB_MATRIX, primaries, transfer, Range.FULL)
    matrix = _tag(frame.colorspace, base.matrix)
    if matrix == RGB_MATRIX:  # RGB pictures that were converted to gray or YUV
        matrix = UNSPECIFIED
    color_range = _range(frame.color_range)
    if frame.format.name.startswith("yuvj"):
        color_range = Range.FULL
    return Color(matrix, primaries, transfer, color_range or base.range, location or base.chroma_location)


def color_from_codec(
    context: VideoCodecContext, location: ChromaLocation = ChromaLocation.UNSPECIFIED
) -> Color:
    """The colour tags of a stream, by its header."""
    color_range = _range(context.color_range)
    if (context.pix_fmt or "").startswith("yuvj"):
        color_range = Range.FULL
    return Color(
        _tag(context.colorspace, UNSPECIFIED),
        _tag(context.color_primaries, UNSPECIFIED),
        _tag(context.color_trc, UNSPECIFIED),
        color_range,
        location,
    )


def color_after(color: Color, source: PixelFormat, target: PixelFormat, size: tuple[int, int]) -> Color:
    """The colour of samples once brought from one format to another with `planes.converted`.

    YUV and gray keep theirs; RGB turned to YUV becomes limited range, BT.709 from HD upwards (size: width, height) and
    BT.601 below; YUV turned to RGB has matrix 0 and full range.
    """
    if (source.kind == "rgb") == (target.kind == "rgb"):
        return color
    if target.kind == "rgb":
        return replace(color, matrix=RGB_MATRIX, range=Range.FULL, chroma_location=ChromaLocation.UNSPECIFIED)
    matrix = 1 if size[0] > 1024 or size[1] > 576 else 6
    location = default_chroma_location(target, "")
    return replace(color, matrix=matrix, range=Range.LIMITED, chroma_location=location)


def tag_frame(frame: VideoFrame, color: Color) -> None:
    """Write the tags onto a frame (chroma location has no attribute there)."""
    frame.colorspace = color.matrix
    frame.color_primaries = color.primaries
    frame.color_trc = color.transfer
    frame.color_range = int(color.range)


def apply_color(context: VideoCodecContext, color: Color, fmt: PixelFormat) -> None:
    """Tag an encoder that is not open yet. fmt: the format of its frames. Unspecified values stay unspecified.

    Chroma location goes through the encoder's options, and only for 4:2:0, where it has a meaning.
    """
    context.colorspace = color.matrix
    context.color_primaries = color.primaries
    context.color_trc = color.transfer
    context.color_range = int(color.range)
    if fmt.kind == "yuv" and fmt.log2_chroma == (1, 1) and color.chroma_location:
        context.options = {**context.options, "chroma_sample_location": color.chroma_location.name.lower()}


def _tag(value: int, fallback: int) -> int:
    return fallback if value == UNSPECIFIED else int(value)


def _range(value: int) -> Range:
    return Range(value) if value in (0, 1, 2) else Range.UNSPECIFIED
