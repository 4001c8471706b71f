"""Chooses the streams of a container that are decoded, copied and left out, and the decoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import cast

import av
from av.codec.context import CodecContext
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from vsr.core.errors import SourceOpenError
from vsr.media.frames.linear import IN_DECODER
from vsr.media.frames.side_data import DolbyVision
from vsr.media.rational import fraction
from vsr.media.read.opening import IN_SEGMENTS

_ENCRYPTED_TAGS = frozenset({"encv", "drmi", "enca"})


@dataclass(slots=True)
class CopiedStreams:
    """Every stream but the main one. tiles: whether pictures depend on each other, as in a HEIC grid."""

    streams: list[Stream] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    tiles: bool = False


def choose_copied(container: InputContainer, main: VideoStream, *, nothing: bool = False) -> CopiedStreams:
    """The streams whose packets are copied; the others are discarded at the demuxer. `nothing` discards all (pictures)."""
    chosen = CopiedStreams()
    manifest = container.format.name in IN_SEGMENTS
    # The other videos of an AVIF sequence are its first picture and its alpha.
    nothing = nothing or container.metadata.get("major_brand", "").strip() == "avis"
    others = 0
    for stream in container.streams:
        if stream.index == main.index:
            continue
        cover = bool(stream.disposition & Disposition.attached_pic)
        chosen.tiles = chosen.tiles or bool(stream.disposition & Disposition.dependent)
        variant = manifest and stream.type == "video" and not cover
        if nothing or variant or stream.type == "unknown":
            if stream.type == "unknown":
                chosen.notes.append(f"stream {stream.index} is of a kind FFmpeg doesn't know and is left out")
            stream.discard = Discard.all
        else:
            chosen.streams.append(stream)
            others += stream.type == "video" and not cover
    if others:
        chosen.notes.append(
            f"{others} other video stream{'s are' if others > 1 else ' is'} copied, not upscaled"
        )
    return chosen


def refuse_encrypted(stream: VideoStream, name: str) -> None:
    """Raise SourceOpenError if the stream is tagged encrypted: it would decode to noise."""
    tag = (stream.codec_context.codec_tag or "") if stream.codec_context else ""
    if tag.strip("\0") in _ENCRYPTED_TAGS:
        raise encrypted(name)


def encrypted(name: str) -> SourceOpenError:
    """The error for a video whose stream or packets are encrypted."""
    return SourceOpenError(f"{name}: the video is encrypted", hint="vsr has no keys; give a decrypted copy")


def refuse_dolby_vision(vision: DolbyVision | None, name: str) -> None:
    """Raise SourceOpenError for Dolby Vision whose base layer doesn't show by itself (profile 5)."""
    if vision is not None and not vision.compatible:
        raise SourceOpenError(
            f"{name}: Dolby Vision profile {vision.profile} has no base layer that other players could show",
            hint="convert it to HDR10 or SDR with a Dolby Vision tool first",
        )


def choose_stream(container: InputContainer, number: int | None, name: str) -> VideoStream:
    """The video stream to upscale: the one FFmpeg takes for the main one, or number `number` (from 0) of the video streams."""
    videos = container.streams.video
    pictures = [s for s in videos if not s.disposition & Disposition.attached_pic]
    if number is not None:
        if not 0 <= number < len(videos):
            raise SourceOpenError(
                f"{name}: has no video stream {number}",
                hint=f"it has {len(videos)}, counted from 0; see vsr probe",
            )
        stream = videos[number]
    elif not pictures:
        what = sorted({s.type for s in container.streams if s not in videos})
        held = f"only {' and '.join(what)}" if what else "nothing"
        cover = " with cover art" if videos else ""
        raise SourceOpenError(
            f"{name}: no video stream, {held}{cover}", hint="give a file with video, or a picture"
        )
    else:
        best = container.streams.best("video")
        stream = best if best is not None and best in pictures else pictures[0]
    if stream.codec_context is None:
        raise SourceOpenError(
            f"{name}: FFmpeg here has no decoder for its video", hint="convert it to a common codec first"
        )
    return stream


def decoder_context(stream: VideoStream) -> VideoCodecContext:
    """The stream's decoder; for VP8 and VP9 with alpha libvpx, as FFmpeg's own drops the alpha plane."""
    own = stream.codec_context
    if own.name in IN_DECODER:
        own.options = IN_DECODER[own.name]
    name = {"vp8": "libvpx", "vp9": "libvpx-vp9"}.get(own.name)
    if name is None or stream.metadata.get("alpha_mode", stream.metadata.get("ALPHA_MODE")) != "1":
        return own
    try:
        context = CodecContext.create(name, "r")
    except (av.FFmpegError, ValueError):
        return own
    return cast(VideoCodecContext, context)


def frame_rate(stream: VideoStream) -> Fraction | None:
    """Frames a second by the header or FFmpeg's guess; None if this is not a sensible rate."""
    found = (fraction(stream.guessed_rate), fraction(stream.average_rate))
    rates = [rate for rate in found if rate is not None and 0 < rate <= 1000]
    if len(rates) == 2 and abs(rates[0] / rates[1] - 1) > Fraction(2, 100):
        return min(rates)  # a variable rate, or a rate of fields
    return rates[0] if rates else None
