"""An address to the source that reads it."""

from __future__ import annotations

from pathlib import Path

from vsr.core.errors import DecodeError, SourceOpenError
from vsr.media.address import check_file
from vsr.media.read.images import PillowSource, is_picture_file, picture_facts
from vsr.media.read.opened import open_video
from vsr.media.read.source import FileSource
from vsr.media.types import Source, SourceOptions

# Formats that FFmpeg reads well: a file it refuses is damaged, and Pillow would fill in the rest.
_FFMPEG_KNOWS = frozenset({"JPEG", "MPO", "PNG", "GIF", "BMP"})


def open_source(url: str, options: SourceOptions | None = None) -> Source:
    """Open anything FFmpeg or Pillow reads: a file, an URL, `-` (standard input), a sequence (`frames/%06d.png`), a picture.

    Iterating gives `Frame`s whose planes are views on FFmpeg's memory. pts and time_base are the source's own, also with
    `start_s`: the sink decides where time begins. Frames of another size or format than the first, in the middle of a
    stream, are brought back to the first's, counted and noted. Raises SourceOpenError, SourceTimeoutError or ConfigError;
    iterating raises DecodeError (with `strict`), SourceLostError or SourceTimeoutError (URLs).
    """
    options = options or SourceOptions()
    if is_picture_file(url):
        return _open_picture(url, options)
    return FileSource(open_video(url, options), options)


def _open_picture(url: str, options: SourceOptions) -> Source:
    """Open a picture file, with FFmpeg where it does it justice; animations (GIF, APNG, WebP, AVIF) become video."""
    path = Path(url)
    check_file(path)
    facts = picture_facts(path)
    if options.video_stream not in (None, 0):
        raise SourceOpenError(
            f"{path}: a picture has no video stream {options.video_stream}", hint="leave out --video-stream"
        )
    warnings = facts.warnings
    if facts.damage:
        if options.strict:
            raise DecodeError(
                f"{path}: {facts.damage}", hint="leave out --strict to use the part that can be decoded"
            )
        warnings += (f"{facts.damage}: the part that can be decoded is used",)
    if facts.needs_pillow:
        return PillowSource(path, options)
    try:
        opened = open_video(url, options, is_picture=not facts.is_animation)
        if not opened.has_tiles:
            return FileSource(opened, options, tags=facts.tags, warnings=warnings)
    except SourceOpenError:
        if not facts.kind or facts.kind in _FFMPEG_KNOWS:
            raise
        return PillowSource(path, options)
    opened.close()
    if facts.kind:
        return PillowSource(path, options)
    raise SourceOpenError(
        f"{path}: a picture made of tiles, which can't be joined here", hint="convert it to PNG first"
    )
