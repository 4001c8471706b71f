"""Describes an input: streams, time, colour, and the things that would be changed or lost."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.stream import Disposition, Stream

from vsr.core.look import Look
from vsr.core.video import VideoInfo
from vsr.media.frames.color import MATRICES, PRIMARIES, TRANSFERS
from vsr.media.read.look import look
from vsr.media.read.open import open_source
from vsr.media.types import ContentLight, MasteringDisplay, SourceOptions

# Number of frames decoded to see whether they are flagged interlaced or carry captions.
_FRAMES_LOOKED_AT = 12


@dataclass(frozen=True, slots=True)
class StreamSummary:
    """One stream of a container. treatment: "upscaled", "copied" or "left out". start_s: time of its first packet, if known."""

    index: int
    type: str
    codec: str
    treatment: str
    language: str | None = None
    title: str | None = None
    disposition: tuple[str, ...] = ()
    detail: str = ""
    start_s: float | None = None


@dataclass(frozen=True, slots=True)
class ChapterSummary:
    """A chapter, in seconds."""

    start_s: float
    end_s: float
    title: str


@dataclass(frozen=True, slots=True)
class Probe:
    """The description of an input by `probe`. container: FFmpeg's format name, or the picture format's. video: see
    VideoInfo."""

    name: str
    container: str
    video: VideoInfo
    display_size: tuple[int, int]
    streams: tuple[StreamSummary, ...] = ()
    chapters: tuple[ChapterSummary, ...] = ()
    metadata: dict[str, str] = field(default_factory=dict)
    mastering_display: MasteringDisplay | None = None
    content_light: ContentLight | None = None
    interlaced: bool = False
    closed_captions: bool = False
    icc_profile: bool = False
    exif: bool = False
    look: Look = field(default_factory=Look)
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values: fractions as "30000/1001", enumerations by name, the pixel format by its short name."""
        result: dict[str, Any] = _plain(self)
        result["video"]["format"] = self.video.format.name
        result["look"] |= {"drawn": self.look.drawn, "combed": self.look.combed, "soft": self.look.soft}
        color = result["video"]["color"]
        for key, name in (("matrix", MATRICES), ("primaries", PRIMARIES), ("transfer", TRANSFERS)):
            color[key] = name.get(color[key], color[key])
        return result


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, Fraction):
        return str(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def probe(url: str, *, video_stream: int | None = None) -> Probe:
    """Open an input, decode a dozen frames, look at some and describe it. Raises the errors of `open_source`, and of iterating
    over its frames."""
    options = SourceOptions(video_stream=video_stream)
    with open_source(url, options) as source:
        interlaced = captioned = False
        looked = look(url, options, source)
        for number, frame in enumerate(source):
            captioned = captioned or "a53_cc" in frame.side
            if number + 1 >= _FRAMES_LOOKED_AT:
                break
        interlaced = any(note.startswith("interlaced") for note in source.notes)
        carried = source.carried
        container, tags = carried.container, carried.picture_tags
        streams: tuple[StreamSummary, ...] = ()
        chapters: tuple[ChapterSummary, ...] = ()
        if container is not None and carried.stream is not None:
            copied = {s.index for s in carried.copied}
            streams = tuple(_stream(s, carried.stream.index, copied) for s in container.streams)
            chapters = _chapters(container)
        return Probe(
            name=carried.name,
            container=container.format.name if container is not None else source.info.codec,
            video=source.info,
            display_size=source.info.display_size,
            streams=streams,
            chapters=chapters,
            metadata=dict(container.metadata) if container is not None else {},
            mastering_display=carried.mastering_display,
            content_light=carried.content_light,
            interlaced=interlaced,
            closed_captions=captioned,
            icc_profile=bool(tags and tags.icc_profile),
            exif=bool(tags and tags.exif),
            look=looked,
            notes=(*source.notes, *carried.warnings),
        )


def _stream(stream: Stream, main: int, copied: set[int]) -> StreamSummary:
    context = stream.codec_context
    treatment = "upscaled" if stream.index == main else "copied" if stream.index in copied else "left out"
    detail = ""
    if stream.type == "audio" and context is not None:
        detail = f"{getattr(context, 'sample_rate', 0)} Hz, {getattr(getattr(context, 'layout', None), 'name', '')}"
    elif stream.type == "video" and context is not None:
        detail = f"{getattr(context, 'width', 0)}x{getattr(context, 'height', 0)}"
    elif stream.type == "attachment":
        detail = stream.metadata.get("filename", "")
    flags = tuple(flag.name for flag in Disposition if flag & stream.disposition and flag.name)
    return StreamSummary(
        index=stream.index,
        type=stream.type,
        codec=(context.codec.canonical_name if context is not None else getattr(stream, "name", None))
        or "unknown",
        treatment=treatment,
        language=stream.metadata.get("language"),
        title=stream.metadata.get("title"),
        disposition=flags,
        detail=detail,
        start_s=float(stream.start_time * stream.time_base)
        if stream.start_time is not None and stream.time_base
        else None,
    )


def _chapters(container: InputContainer) -> tuple[ChapterSummary, ...]:
    found = []
    for chapter in container.chapters():
        base = chapter["time_base"] or Fraction(1)
        title = chapter["metadata"].get("title", "")
        found.append(ChapterSummary(float(chapter["start"] * base), float(chapter["end"] * base), title))
    return tuple(found)
