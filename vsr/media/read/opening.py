"""Opens inputs with FFmpeg, and reports every failure in one sentence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel
from av.container import InputContainer

from vsr.core.errors import SourceOpenError
from vsr.core.secrets import redacted
from vsr.media.address import (
    DEFAULT_SEQUENCE_RATE,
    check_file,
    file_name,
    is_read_once,
    is_sequence,
    is_url,
    numbered_name,
    sequence_files,
    with_secrets,
)
from vsr.media.closing import close_input
from vsr.media.read.excerpt import noted_file
from vsr.media.read.refusals import OPEN_TIMEOUT_S, READ_TIMEOUT_S, open_error

RECONNECTING = {"reconnect": "1", "reconnect_delay_max": "16", "seg_max_retry": "3"}
"""For HTTP: what breaks off is gone on with, after pauses of up to 15 s, and a segment is asked for three times more."""

IN_SEGMENTS = frozenset({"hls", "dash"})
"""Demuxers of what lies in pieces of some seconds, fetched one by one."""

# FFmpeg takes any text for ANSI art, and some of these formats open devices and scripts instead of media.
_REFUSED_FORMATS = frozenset({"tty", "lavfi", "bin", "xbin", "adf", "idf"})
# Handles text that is not UTF-8. PyAV 19 keeps such bytes by itself.
_TEXT: dict[str, Any] = {"metadata_errors": "replace"} if av.__version__.startswith("18.") else {}
# Limits of the search for announced streams that do not come, in microseconds and bytes.
_PATIENT = {"analyzeduration": "120000000", "probesize": "134217728"}


def open_container(
    url: str, *, frame_rate: Fraction | None = None, hwaccel: HWAccel | None = None
) -> InputContainer:
    """Open a file, a URL, `-` or a sequence. Raises SourceOpenError or SourceTimeoutError, never anything of av's.

    frame_rate is for sequences, and for raw streams without a rate. hwaccel: the device that decodes.
    """
    options: dict[str, str] = {}
    demuxer: str | None = None
    timeout: tuple[float, float] | None = None
    path: Path | None = None
    if url == "-":
        address = "pipe:0"
    elif is_url(url):
        address, timeout = with_secrets(url), (OPEN_TIMEOUT_S, READ_TIMEOUT_S)
        if url.lower().startswith(("http://", "https://")):
            options |= RECONNECTING
    elif is_sequence(url):
        files = sequence_files(url)
        name = numbered_name(Path(url).name)
        number = name.pattern.fullmatch(files[0].name) if name else None
        options["start_number"] = str(int(number[1])) if number else "0"
        options["framerate"] = str(frame_rate or DEFAULT_SEQUENCE_RATE)
        # A "%" in a folder's name is no pattern.
        address = "file:" + str(files[0].parent).replace("%", "%%") + "/" + Path(url).name
        demuxer = "image2"
    else:
        path = Path(file_name(url))
        check_file(path)
        # The protocol is stated, or the "a" of "a:b.mp4" would be one. image2 must open one file, not a pattern.
        address = f"file:{path}"
        options["pattern_type"] = "none"
        if frame_rate is not None:
            options["framerate"] = str(frame_rate)

    def opened() -> InputContainer:
        container: InputContainer = av.open(
            (noted_file(path) if path is not None else None) or address,
            "r",
            format=demuxer,
            options=options,
            timeout=timeout,
            hwaccel=hwaccel,
            **_TEXT,
        )
        return container

    try:
        container = opened()
        if not is_read_once(url) and not timeout and _has_unknown_streams(container):
            close_input(container)
            options |= _PATIENT
            container = opened()
    except (av.FFmpegError, ValueError, OSError, MemoryError, RuntimeError) as error:
        raise open_error(url, error) from error
    if container.format.name in _REFUSED_FORMATS:
        close_input(container)
        raise SourceOpenError(
            f"{redacted(url)}: not a video or picture", hint="vsr reads the media formats that FFmpeg knows"
        )
    return container


def _has_unknown_streams(container: InputContainer) -> bool:
    """Whether no packet of a stream came while FFmpeg analysed the input, like sound that begins late in a recording."""
    # Without a decoder in FFmpeg the context is None, which PyAV's types do not say.
    if any(
        stream.codec_context and not stream.codec_context.sample_rate for stream in container.streams.audio
    ):
        return True
    return any(stream.codec_context and not stream.codec_context.width for stream in container.streams.video)
