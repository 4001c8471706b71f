"""Streams, chapters and metadata of an input, put on an output untouched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from av.audio.stream import AudioStream
from av.stream import Disposition

from vsr.core.errors import reason
from vsr.media.write.containers import Container
from vsr.media.write.convert import SPEAKERS, add_converted
from vsr.media.write.encoded import add_like

if TYPE_CHECKING:
    from av.codec.context import CodecContext
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

# Metadata that a muxer writes by itself, or that holds for the input file only.
_CONTAINER_KEYS_LEFT = frozenset(
    # The last two lines are MXF's, about the file and the program that wrote it.
    "major_brand minor_version compatible_brands encoder software duration "
    "uid generation_uid product_uid material_package_umid operational_pattern_ul modification_date "
    "company_name product_name product_version product_version_num toolkit_version_num application_platform".split()
)
_STREAM_KEYS_LEFT = frozenset(
    "encoder duration rotate vendor_id alpha_mode variant_bitrate file_package_umid file_package_name "
    "major_brand minor_version compatible_brands".split()  # from HLS in fragments
)
_TIMECODE = re.compile(r"\d\d:\d\d:\d\d[:;.]\d\d")
_STATISTICS = ("bps", "number_of_frames", "number_of_bytes", "_statistics_", "source_id", "duration-")


def is_cover(stream: Stream) -> bool:
    """Whether it is a cover picture rather than a video."""
    return bool(stream.disposition & Disposition.attached_pic)


def describe(stream: Stream) -> str:
    """A stream in the user's words: `subtitle stream #3 (mov_text, eng)`."""
    codec = codec_name(stream) or "unknown codec"
    kind = "cover art" if is_cover(stream) else f"{stream.type} stream"
    language = stream.metadata.get("language")
    known = language if language and language != "und" else stream.metadata.get("filename")
    return f"{kind} #{stream.index} ({codec}{f', {known}' if known else ''})"


def decoder_of(stream: Stream) -> CodecContext | None:
    """The stream's decoder, None where FFmpeg has none, which PyAV's types don't say."""
    return stream.codec_context


def codec_name(stream: Stream) -> str:
    """FFmpeg's name of the stream's codec, empty where there is none."""
    context = decoder_of(stream)
    if context is not None:
        return context.codec.canonical_name
    name = getattr(stream, "name", None) if stream.type == "data" else None
    return str(name or "")


def muxer_reason(error: BaseException) -> str:
    """Why a container does not take a stream or a packet, in one line."""
    text = reason(error)
    if text == "Invalid argument":
        return "refused by the muxer"
    # "'webm' format does not support 'aac' codec" repeats the sentence around it.
    return "no place for that codec" if "format does not support" in text else text


def add_copy(
    output: OutputContainer, stream: Stream, container: Container, encoder: str | None = None
) -> Stream:
    """Add a stream like `stream` with its metadata and disposition. Raises what PyAV raises.

    encoder: it is for what that makes of the stream.
    """
    if encoder is not None:
        copy = add_converted(output, stream, encoder)
    elif stream.type == "attachment":
        copy = output.add_stream_from_template(stream)
    elif decoder_of(stream) is None and stream.type != "data":
        raise ValueError("FFmpeg has no decoder for it")
    else:
        copy = add_like(output, stream)
        if isinstance(copy, AudioStream) and container.is_mov:
            _name_speakers(copy)
    if encoder is None:
        copy.time_base = stream.time_base or Fraction(1, 90000)
    copy.disposition = stream.disposition
    metadata, _ = kept_stream_metadata(stream.metadata, container)
    if stream.type == "attachment":
        metadata = dict(stream.metadata)
    copy.metadata.clear()
    copy.metadata.update(metadata)
    return copy


def _name_speakers(copy: AudioStream) -> None:
    """Guess where the speakers are as FFmpeg does: MP4's muxer says so of PCM, and AVI does not."""
    context = copy.codec_context
    named = SPEAKERS.get(context.channels)
    if named and context.layout.name == f"{context.channels} channels":
        context.layout = named


def kept_stream_metadata(metadata: dict[str, str], container: Container) -> tuple[dict[str, str], list[str]]:
    """(metadata of the output's stream, keys that the container has no place for)."""
    wanted = {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _STREAM_KEYS_LEFT and not key.lower().startswith(_STATISTICS)
    }
    if "title" not in wanted and "name" in wanted:  # MP4's key when it is read; it is written from "title"
        wanted["title"] = wanted["name"]
    wanted.pop("name", None)
    if not container.is_mov:
        wanted = {key: value for key, value in wanted.items() if key.lower() != "handler_name"}
    return _allowed(wanted, container.stream_metadata)


def kept_container_metadata(
    metadata: dict[str, str], container: Container
) -> tuple[dict[str, str], list[str]]:
    """(metadata of the output, keys that the container has no place for)."""
    wanted = {
        _apple_key(key): value for key, value in metadata.items() if key.lower() not in _CONTAINER_KEYS_LEFT
    }
    return _allowed(wanted, container.metadata)


def _apple_key(key: str) -> str:
    """A key of QuickTime as Apple writes it: Matroska keeps all in capitals."""
    if not key.upper().startswith("COM.APPLE.QUICKTIME."):
        return key
    return key.lower().replace("iso6709", "ISO6709")


def _allowed(wanted: dict[str, str], allowed: frozenset[str] | None) -> tuple[dict[str, str], list[str]]:
    if allowed is None:
        return wanted, []
    known = {key.lower() for key in allowed}
    kept = {key: value for key, value in wanted.items() if key.lower() in known}
    # Muxers make a track from a timecode, and some refuse the file if it is malformed.
    kept = {
        key: value for key, value in kept.items() if key.lower() != "timecode" or _TIMECODE.fullmatch(value)
    }
    # Copies with a language tag and a handler's default name are no loss worth a warning.
    quiet = ("handler_name", "language", "encoder")
    return kept, [key for key in wanted if key not in kept and key.split("-")[0].lower() not in quiet]


def copy_container_facts(
    source: InputContainer,
    output: OutputContainer,
    container: Container,
    shift: Fraction,
    end: Fraction | None = None,
) -> list[str]:
    """Chapters and metadata of the input put on the output; returns sentences about what it cannot hold.

    end: the input's time at which the wanted part ends.
    """
    warnings = []
    kept, lost = kept_container_metadata(dict(source.metadata), container)
    output.metadata.update(kept)
    if lost:
        warnings.append(
            f"metadata {', '.join(sorted(lost))} is left out: {container.format} has no place for it"
        )
    chapters = source.chapters()
    if chapters and not container.chapters:
        warnings.append(f"{len(chapters)} chapters are left out: {container.format} holds none")
    elif chapters:
        moved = [_shifted(chapter, shift) for chapter in chapters_before(chapters, end)]
        output.set_chapters([chapter for chapter in moved if chapter["end"] > 0])
    return warnings


def chapters_before(chapters: Sequence[Any], end: Fraction | None) -> list[Any]:
    """The chapters that begin before `end` (seconds), cut at `end`: MP4 would last as long as they do. None keeps them all."""
    if end is None:
        return list(chapters)
    return [
        {**chapter, "end": min(chapter["end"], round(end / chapter["time_base"]))}
        for chapter in chapters
        if chapter["start"] * chapter["time_base"] < end
    ]


def _shifted(chapter: Any, shift: Fraction) -> Any:
    ticks = round(shift / chapter["time_base"])
    return {**chapter, "start": max(0, chapter["start"] + ticks), "end": chapter["end"] + ticks}


def attach_cover(output: OutputContainer, stream: Stream, picture: bytes) -> None:
    """Attach a cover picture under the name by which players know it."""
    kind = {"mjpeg": ("jpg", "image/jpeg"), "png": ("png", "image/png"), "bmp": ("bmp", "image/bmp")}
    ending, mimetype = kind.get(codec_name(stream), ("jpg", "image/jpeg"))
    name = stream.metadata.get("filename") or f"cover.{ending}"
    attached = output.add_attachment(name, stream.metadata.get("mimetype") or mimetype, picture)
    attached.metadata.update({k: v for k, v in stream.metadata.items() if k == "title"})
