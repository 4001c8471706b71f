"""Why FFmpeg opens or reads something no further, in one sentence."""

from __future__ import annotations

import av

from vsr.core.errors import SourceLostError, SourceOpenError, SourceTimeoutError, reason
from vsr.core.secrets import hide, redacted
from vsr.media.address import (
    is_url,
    os_hint,
    os_reason,
)

OPEN_TIMEOUT_S = 20.0


READ_TIMEOUT_S = 30.0


def is_lost(url: str, error: BaseException) -> bool:
    """Whether an error while reading means that the connection broke, rather than that a packet is damaged."""
    return is_url(url) and isinstance(error, OSError | av.HTTPError)


def open_error(url: str, error: BaseException) -> SourceOpenError | SourceTimeoutError:
    """The error of opening an input, as one of vsr's errors."""
    hide(error)
    where = redacted(url)
    if isinstance(error, av.ExitError):
        return SourceTimeoutError(
            f"{where}: nothing came within {OPEN_TIMEOUT_S:g} s", hint="check the address and the network"
        )
    if isinstance(error, av.ProtocolNotFoundError):
        return SourceOpenError(f"{where}: FFmpeg here speaks no such protocol", hint="check the address")
    if isinstance(error, av.InvalidDataError | av.EOFError) and where.lower().endswith(".mpd"):
        return SourceOpenError(
            f"{where}: not a DASH presentation, or an FFmpeg that reads none, as PyAV's does not",
            hint="take its HLS playlist (.m3u8), or `ffmpeg -i ADDRESS -c copy -f nut - | vsr upscale - OUTPUT`",
        )
    if isinstance(error, av.InvalidDataError | av.EOFError):
        return SourceOpenError(
            f"{where}: not media, or damaged beyond reading",
            hint="check that it plays elsewhere; an unfinished MP4 can't",
        )
    if isinstance(error, MemoryError):
        return SourceOpenError(f"{where}: not enough memory to open it")
    if isinstance(error, OSError):
        return SourceOpenError(f"{where}: {os_reason(error)}", hint=os_hint(error))
    return SourceOpenError(f"{where}: {reason(error)}", hint="check that it plays elsewhere")


def read_error(url: str, error: BaseException) -> SourceLostError | SourceTimeoutError:
    """The error of reading an input that had been opened."""
    hide(error)
    if isinstance(error, av.ExitError):
        return SourceTimeoutError(
            f"{redacted(url)}: nothing came for {READ_TIMEOUT_S:g} s",
            hint="check the network and begin again",
        )
    return SourceLostError(
        f"{redacted(url)}: the connection broke: {reason(error).lower()}",
        hint="check the network and begin again, or download it first",
    )
