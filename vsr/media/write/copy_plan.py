"""Finds out, by asking the muxer, which of an input's other streams an output can hold, and words the warnings about the
others."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import av
from av.audio.stream import AudioStream
from av.stream import Discard, Disposition

from vsr.media.write.containers import CONTAINERS, MPEGTS_CODECS, Container
from vsr.media.write.convert import SPEAKERS, encoder_for
from vsr.media.write.copy import (
    add_copy,
    codec_name,
    decoder_of,
    describe,
    is_cover,
    kept_stream_metadata,
    muxer_reason,
)
from vsr.media.write.targets import OutputNull

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.stream import Stream

_FLV_FOURCC = frozenset({"aac", "mp3", "ac3", "eac3"})


@dataclass(slots=True)
class CopyPlan:
    """The streams of the input that the output will hold, and sentences about the others.

    covers: cover pictures to be attached, by stream index, where the container keeps them as attachments. converted: the
    encoders of streams that are converted to another codec, by stream index. notes: sentences about these.
    """

    streams: list[Stream] = field(default_factory=list)
    covers: dict[int, bytes] = field(default_factory=dict)
    converted: dict[int, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def plan_copy(
    source: Sequence[Stream],
    container: Container,
    add_video: Callable[[OutputContainer], Any],
    container_name: str,
    *,
    converts: bool = False,
) -> CopyPlan:
    """Find out which streams the container accepts, by writing its header into memory.

    add_video: puts the encoded stream into a container, as it will be in the real one; called several times. converts: convert
    sound and text that it does not accept.
    """
    plan = CopyPlan()
    if not container.streams:
        plan.warnings += [
            f"{describe(s)} is left out: {container_name} holds a single video stream" for s in source
        ]
        return plan
    for stream in source:
        if _is_chapter_track(stream):
            continue  # the chapters themselves are copied, and the muxer makes a track from them if it needs one
        if _is_made_timecode(stream, container):
            continue
        # Matroska keeps covers as attached files; a muxer given a video stream would make it a second video.
        if is_cover(stream) and container.attachments:
            picture = _cover_bytes(stream)
            if picture is None:
                plan.warnings.append(
                    f"{describe(stream)} is left out: {container_name} needs an input that can be read twice"
                )
                continue
            plan.covers[stream.index] = picture
            plan.streams.append(stream)
            continue
        why = _refusal(container, stream, add_video)
        encoder = encoder_for(stream, container) if why is not None else None
        if encoder is not None and _header_error(container, [stream], add_video, {stream.index: encoder}):
            encoder = None
        if why is None:
            plan.streams.append(stream)
        elif encoder is not None and converts:
            plan.streams.append(stream)
            plan.converted[stream.index] = encoder
            plan.notes.append(
                f"{describe(stream)} is converted by {encoder}: {container_name} cannot hold it unchanged"
            )
        else:
            told = f"{describe(stream)} is left out: {container_name} cannot hold it ({why})"
            plan.warnings.append(told + _remedy(container, stream, convertible=encoder is not None))
    for stream in plan.streams:
        plan.warnings += _lost_facts(stream, container)
    # Streams taken one by one may still not go together, or not with this video: drop from the end until they do.
    while plan.streams:
        error = _header_error(
            container, [s for s in plan.streams if s.index not in plan.covers], add_video, plan.converted
        )
        if error is None:
            break
        guilty = _guilty(container, plan, add_video)
        if guilty is None:
            break  # the video itself; reported when the output is opened
        plan.streams.remove(guilty)
        plan.warnings.append(
            f"{describe(guilty)} is left out: {container_name} cannot hold it beside the rest ({error})"
        )
    return plan


def _remedy(container: Container, stream: Stream, *, convertible: bool) -> str:
    """The remedy for a stream that is left out."""
    holds = container.format != "matroska" and _refusal(CONTAINERS["matroska"], stream, None) is None
    remedies = [
        *([".mkv does"] if holds else []),
        *(["--convert-streams converts it"] if convertible else []),
    ]
    return "; " + ", and ".join(remedies) if remedies else ""


def _lost_facts(stream: Stream, container: Container) -> list[str]:
    """Sentences about lost metadata and disposition of a copied stream."""
    lost = []
    if stream.type != "attachment":
        _, keys = kept_stream_metadata(stream.metadata, container)
        if keys:
            lost.append(
                f"{', '.join(keys)} of {describe(stream)} is left out: {container.format} has no place for it"
            )
    special = stream.disposition & ~(Disposition.default | Disposition.attached_pic)
    if special and not container.dispositions:
        names = ", ".join(flag.name or "" for flag in Disposition if flag & special)
        lost.append(f"{describe(stream)} is no longer marked {names}: {container.format} has no place for it")
    return lost


def _guilty(
    container: Container, plan: CopyPlan, add_video: Callable[[OutputContainer], Any]
) -> Stream | None:
    if _header_error(container, [], add_video) is not None:
        return None
    kept: list[Stream] = []
    for stream in plan.streams:
        if stream.index in plan.covers:
            continue
        if _header_error(container, [*kept, stream], add_video, plan.converted) is not None:
            return stream
        kept.append(stream)
    return None


def _refusal(
    container: Container, stream: Stream, add_video: Callable[[OutputContainer], Any] | None
) -> str | None:
    """Why a stream cannot go into that container, None where it can. add_video: as of `plan_copy`, or None."""
    if stream.type == "attachment" and not container.attachments:
        return "no attachments there"
    if is_cover(stream) and not container.covers:
        return "a cover would become a video there"
    if stream.type == "unknown":
        return "its kind is unknown"
    if container.format == "mpegts" and codec_name(stream) not in MPEGTS_CODECS:
        return "no stream type for that codec"
    if container.format == "flv" and _aborts_flv(stream):
        return "FFmpeg cannot write it there"
    if isinstance(stream, AudioStream) and decoder_of(stream) and not stream.codec_context.sample_rate:
        return "it begins too late to be known"
    if container.is_mov and container.format != "mov" and _has_nameless_speakers(stream):
        return "where its speakers are is not known"
    if container.format == "avi" and codec_name(stream) == "h264" and _is_packed(stream):
        return "it is packed as in MP4, which AVI does not know"
    nameless = codec_name(stream) in ("", "bin_data", "none") and decoder_of(stream) is None
    # In MP4, FFmpeg gives this name only to GoPro's measurements, and can write them to MP4 again.
    is_gpmd = codec_name(stream) == "bin_data" and "mp4" in stream.container.format.name
    holds = is_gpmd if container.is_mov else container.format not in ("avi", "flv")
    if nameless and stream.type == "data" and not holds:
        return "no known codec"  # some of these get a header, but cannot be read back
    # Try without the video first, so that a refused video is not taken for a refused stream; some containers need a video.
    alone = _header_error(container, [stream], None)
    return alone and (_header_error(container, [stream], add_video) if add_video else alone)


def _is_made_timecode(stream: Stream, container: Container) -> bool:
    """Whether a data stream is a timecode track, and the video's own metadata says the same and is kept: MP4's muxer makes
    the track again from that."""
    code = stream.metadata.get("timecode") if stream.type == "data" else None
    if code is None or "timecode" not in kept_stream_metadata({"timecode": code}, container)[0]:
        return False
    return any(v.metadata.get("timecode") == code for v in stream.container.streams.video)


def _has_nameless_speakers(stream: Stream) -> bool:
    """Whether it is PCM with so many channels that their meaning is unknown, which MP4's muxer refuses at the end."""
    if not isinstance(stream, AudioStream) or not codec_name(stream).startswith("pcm_"):
        return False
    context = stream.codec_context
    return context.channels not in SPEAKERS and context.layout.name == f"{context.channels} channels"


def _is_packed(stream: Stream) -> bool:
    """Whether lengths stand before the parts of an H.264 packet, as in MP4 and Matroska, rather than start codes."""
    return bytes(stream.codec_context.extradata or b"")[:1] == b"\x01"


def _aborts_flv(stream: Stream) -> bool:
    """Whether FFmpeg 8's FLV muxer would end the process because of an audio stream. It asserts a header for Opus and FLAC, and
    for others a four-character code if the speakers are not named mono or stereo, as for PCM in Matroska."""
    if not isinstance(stream, AudioStream) or decoder_of(stream) is None:
        return False
    codec, context = codec_name(stream), stream.codec_context
    if codec in ("opus", "flac"):
        return not context.extradata
    return codec not in _FLV_FOURCC and context.layout.name not in ("mono", "stereo")


def _header_error(
    container: Container,
    streams: Sequence[Stream],
    add_video: Callable[[OutputContainer], Any] | None,
    converted: Mapping[int, str] = MappingProxyType({}),
) -> str | None:
    file = OutputNull()
    output = None
    try:
        output = av.open(file, "w", format=container.format, container_options=dict(container.muxer_options))
        if add_video is not None:
            add_video(output)
        for stream in streams:
            add_copy(output, stream, container, converted.get(stream.index))
        output.start_encoding()
    except (av.FFmpegError, ValueError, RuntimeError, TypeError) as error:
        return muxer_reason(error)
    finally:
        file.drop()  # closed: no trailer is asked for
        if output is not None:
            with contextlib.suppress(Exception):
                output.close()
    return None


def _is_chapter_track(stream: Stream) -> bool:
    """Whether a data stream is what QuickTime keeps chapter titles in."""
    # FFmpeg makes its demuxer leave out the track from which it took the chapters.
    return stream.type == "data" and codec_name(stream) == "bin_data" and stream.discard is Discard.all


def _cover_bytes(stream: Stream) -> bytes | None:
    """The picture itself, read from the input once more: its packet is known only to who demuxes.

    None where that cannot be: a pipe gives its bytes once, and reading them here would take them from the video.
    """
    name = stream.container.name
    if not Path(name.removeprefix("file:")).is_file():
        return None
    try:
        with av.open(name) as again:
            twin = again.streams[stream.index]
            for packet in again.demux(twin):
                return bytes(packet) if packet.size else None
    except (av.FFmpegError, ValueError, OSError, IndexError):
        return None
    return None
