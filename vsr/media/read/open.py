"""An address to the source that reads it."""

from __future__ import annotations

from vsr.media.read.images import is_image_file, open_image
from vsr.media.read.source import FileSource
from vsr.media.types import Source, SourceOptions


def open_source(url: str, options: SourceOptions | None = None) -> Source:
    """Open anything FFmpeg or Pillow reads: a file, an URL, `-` (standard input), a sequence (`frames/%06d.png`), a picture.

    Iterating gives `Frame`s whose planes are views on FFmpeg's memory. pts and time_base are the source's own, also with
    `start_s`: the sink decides where time begins. Frames of another size or format than the first, in the middle of a
    stream, are brought back to the first's, counted and noted. Raises SourceOpenError, SourceTimeoutError or ConfigError;
    iterating raises DecodeError (with `strict`), SourceLostError or SourceTimeoutError (URLs).
    """
    options = options or SourceOptions()
    if is_image_file(url):
        return open_image(url, options)
    return FileSource(url, options)
