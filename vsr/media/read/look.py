"""A look at an input before it is enlarged: some frames of different places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import av
from av.video.frame import VideoFrame

from vsr.core.errors import VsrError
from vsr.core.frame import Frame
from vsr.core.look import Look
from vsr.media.address import file_name, is_read_once, is_sequence, is_url
from vsr.media.frames.look import look_at
from vsr.media.frames.planes import frame_from_av
from vsr.media.frames.quantizer import ask_for_quantizer, quantizer_of_frame
from vsr.media.pictures.pillow import pillow_opened
from vsr.media.read.images import is_picture_file
from vsr.media.read.opened import Opened, open_video
from vsr.media.types import DeinterlaceMode, Source, SourceOptions

# The places in a video, as shares of its length.
_PLACES = (0.15, 0.5, 0.85)
# Low frequencies in a JPEG file's table of 8x8.
_LOW = (1, 8, 9, 2, 16)
# A decoder may need some packets for its first picture.
_MOST_PACKETS = 60


def look(url: str, options: SourceOptions, source: Source) -> Look:
    """A look at the input `url`, opened as `source`: at keyframes of a video in a file, at the first frame of anything else.

    Afterwards the source gives all of its frames as before. A frame of a video that cannot be decoded is not looked at.
    """
    if is_read_once(url) or is_url(url) or is_sequence(url) or is_picture_file(url):
        return _at_first(url, source)
    try:
        opened = open_video(url, replace(options, hwaccel=None))
    except VsrError:  # `source` is open: the file is replaced, or is a device.
        return _at_first(url, source)
    try:
        return _at_places(opened, options.deinterlace)
    finally:
        opened.close()


def _at_first(url: str, source: Source) -> Look:
    first = source.peek()
    seen = look_at([first] if first is not None else [])
    if is_picture_file(url) and (step := _step_of_jpeg(Path(file_name(url)))):
        seen = replace(seen, quantizer=max(step, seen.quantizer))
    return seen


def _step_of_jpeg(path: Path) -> float | None:
    """The step of luma's low frequencies; None for other files."""
    with pillow_opened(path) as image:
        tables = getattr(image, "quantization", None)
        return float(median(tables[min(tables)][place] for place in _LOW)) if tables else None


def _at_places(opened: Opened, deinterlace: DeinterlaceMode) -> Look:
    context = opened.context
    context.thread_type = "SLICE"
    ask_for_quantizer(context)
    steps: list[float] = []
    marked = False

    def frames() -> Iterator[Frame]:
        nonlocal marked
        for frame in _frames(opened):
            marked |= bool(frame.interlaced_frame)
            if (step := quantizer_of_frame(frame, context.name)) is not None:
                steps.append(step)
            yield frame_from_av(frame)

    seen = look_at(frames())
    if steps:
        seen = replace(seen, quantizer=round(median(steps), 1))
    mended = deinterlace in ("on", "telecine") or (marked and deinterlace != "off")
    return replace(seen, combing=0.0) if mended else seen


def _frames(opened: Opened) -> Iterator[VideoFrame]:
    """One frame at each place; the first ones only, where the container has no length or cannot seek."""
    length = (opened.container.duration or 0) / 1_000_000
    begin = float(opened.wanted.start or 0)
    origin = (opened.container.start_time or 0) / 1_000_000
    end = origin + length
    if opened.wanted.end is not None:
        end = min(end, float(opened.wanted.end))
    seen: set[int | None] = set()
    for place in _PLACES:
        try:
            at_s = max(begin, origin) + place * (end - max(begin, origin))
            if length:
                opened.container.seek(round(at_s / opened.time_base), stream=opened.stream)
                opened.context.flush_buffers()
            frame = _next(opened)
        except (av.FFmpegError, ValueError, OSError):
            continue
        if frame is not None and frame.pts not in seen:
            seen.add(frame.pts)
            yield frame


def _next(opened: Opened) -> VideoFrame | None:
    """The next frame that decodes."""
    for number, packet in enumerate(opened.container.demux(opened.stream)):
        if number >= _MOST_PACKETS:
            return None
        for frame in opened.context.decode(packet):
            return frame
    return None
