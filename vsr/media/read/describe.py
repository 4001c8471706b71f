"""Facts about a video that are known once its first frame is decoded."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from av.stream import Disposition
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from vsr.core.color import Color, Range
from vsr.core.frame import PixelFormat
from vsr.core.video import VideoInfo
from vsr.media.address import DEFAULT_SEQUENCE_RATE
from vsr.media.frames.color import color_from_av, color_from_codec, default_chroma_location
from vsr.media.frames.deinterlace import Parity
from vsr.media.frames.linear import LINEAR_CODECS
from vsr.media.frames.side_data import FrameDetails
from vsr.media.pictures.packets import FoundTags, holds_pictures
from vsr.media.rational import fraction
from vsr.media.read.opened import Opened

# Codecs whose pictures state whether they are interlaced.
_FRAMES_TELL = frozenset("h264 hevc vvc mpeg1video mpeg2video mpeg4 vc1 wmv3 cavs".split())
_NEVER_INTERLACED = frozenset("vp8 vp9 av1".split())
_PROGRESSIVE = 1
# The first field by AVFieldOrder, whose values also state which field is stored first.
_PARITIES = {2: Parity.TOP, 3: Parity.BOTTOM, 4: Parity.BOTTOM, 5: Parity.TOP}


def untagged_color(opened: Opened, fmt: PixelFormat) -> Color:
    """The colour of untagged frames: that of the stream, or of its codec. fmt: the frames' own format."""
    codec = opened.context.name
    location = opened.details.location or default_chroma_location(fmt, codec)
    if fmt.kind != "yuv" or fmt.log2_chroma != (1, 1):
        location = default_chroma_location(fmt, codec)
    color = color_from_codec(opened.context, location)
    is_picture = opened.is_picture or holds_pictures(opened.container.format.name)
    if is_picture and fmt.kind == "gray" and not color.range:
        color = replace(color, range=Range.FULL)  # PGM and similar formats have no tag for the range
    return color


def video_info(
    opened: Opened,
    first: VideoFrame,
    details: FrameDetails,
    fmt: PixelFormat,
    untagged: Color,
    tags: FoundTags | None,
    *,
    on_device: bool,
) -> VideoInfo:
    """The video as its frames come, in format `fmt`. first: on the host, with its `details`. tags: a picture file's own, whose
    orientation is taken over the stream's. on_device: frames stay on a GPU.
    """
    stream = opened.stream
    rotation, mirrored = details.rotation, details.mirrored
    if tags is not None:
        rotation, mirrored = tags.orientation
    sar = fraction(stream.sample_aspect_ratio)
    return VideoInfo(
        width=first.width,
        height=first.height,
        format=fmt,
        color=color_from_av(first, fmt, fallback=untagged),
        sar=sar if sar and sar > 0 else Fraction(1),
        rotation=rotation,
        mirrored=mirrored,
        time_base=fraction(first.time_base) or opened.time_base,
        frame_rate=opened.rate,
        codec=stream.codec_context.name if stream.codec_context else opened.context.name,
        num_frames_from_header=stream.frames or None,
        duration_s_from_header=None if opened.made_times else _duration_s(opened),
        is_picture=opened.is_picture,
        on_device=on_device,
    )


def retimed(info: VideoInfo, ticks: int, rate: Fraction) -> VideoInfo:
    """The video with `ticks` for each tick of its time base, and frames `rate` times as often."""
    frames = info.num_frames_from_header
    return replace(
        info,
        time_base=info.time_base / ticks,
        frame_rate=info.frame_rate and info.frame_rate * rate,
        num_frames_from_header=frames and int(frames * rate),
    )


def told_parity(context: VideoCodecContext) -> Parity | None:
    """The first field of each frame, if only the container states it; None if the codec does, or the video is progressive."""
    return None if context.name in _FRAMES_TELL else _PARITIES.get(context.field_order)


def is_progressive(context: VideoCodecContext) -> bool:
    """Whether it is known, before all frames are decoded, that none is interlaced."""
    return context.field_order == _PROGRESSIVE or context.codec.canonical_name in _NEVER_INTERLACED


def _duration_s(opened: Opened) -> float | None:
    stream, container = opened.stream, opened.container
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return container.duration / 1_000_000 if container.duration else None


def notes_on(opened: Opened, first: VideoFrame, details: FrameDetails) -> list[str]:
    """Sentences for the user: layers that are lost, times that are made."""
    notes = []
    if details.hdr10_plus:
        notes.append("HDR10+ dynamic metadata will be lost; the static HDR10 metadata stays")
    if details.dolby_vision or opened.details.dolby_vision:
        notes.append("the Dolby Vision layer will be lost; the base layer stays")
    if opened.stream.disposition & Disposition.multilayer:
        notes.append("its second layer (MV-HEVC: the other eye) will be lost; the base layer stays")
    if opened.made_times:
        rate = opened.rate or DEFAULT_SEQUENCE_RATE
        notes.append(f"a raw stream has no timestamps: they are made for {float(rate):g} frames a second")
    if "f16" in first.format.name or "f32" in first.format.name:
        notes.append("floating point samples are converted to 16 bits; values outside 0 to 1 are clipped")
    if opened.context.name in LINEAR_CODECS:
        notes.append("its linear light is encoded as sRGB")
    return notes
