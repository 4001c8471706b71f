"""The reason why a live source or sink could not be opened or broke off, as one of vsr's errors.

SourceOpenError is for faults that another attempt does not mend; SourceLostError and SourceTimeoutError for others.
"""

from __future__ import annotations

import errno
import socket
from urllib.parse import urlsplit

import av

from vsr.core.errors import (
    AccessDeniedError,
    EncodeError,
    MediaError,
    OutputLostError,
    SourceLostError,
    SourceOpenError,
    SourceTimeoutError,
    reason,
)
from vsr.core.secrets import hide, redacted
from vsr.media.address import is_url
from vsr.media.live.address import Address

_DENIED = (av.HTTPUnauthorizedError, av.HTTPForbiddenError)
_NO_VIDEO = (av.InvalidDataError, av.DecoderNotFoundError, av.DemuxerNotFoundError)


def refused_source(address: Address, error: BaseException, timeout_s: float) -> MediaError:
    """The error of opening a source."""
    hide(error)
    where = address.redacted
    if isinstance(error, MediaError):
        return error
    error_number = getattr(error, "errno", None)
    if isinstance(error, _DENIED):
        return AccessDeniedError(
            f"{where}: the server wants another user or password",
            hint="write them as in rtsp://user:password@host/path",
        )
    if isinstance(error, av.HTTPNotFoundError):
        return SourceOpenError(f"{where}: the server has no such stream", hint="check the path")
    if isinstance(error, av.HTTPClientError):
        return SourceOpenError(f"{where}: {reason(error)}", hint="check the address")
    if error_number == errno.EPROTONOSUPPORT:
        return SourceOpenError(
            f"{where}: the server accepts neither TCP nor UDP", hint="try --source-option rtsp_transport=http"
        )
    if error_number in (errno.EINVAL, errno.ERANGE) and address.given:
        return SourceOpenError(
            f"{where}: FFmpeg refuses to open it: {reason(error).lower()}",
            hint=f"check the source options {', '.join(address.given)}",
        )
    if error_number == errno.EPERM and address.url.lower().startswith("rtmp"):
        return SourceOpenError(f"{where}: the server gives no such stream", hint="check the path and the key")
    if isinstance(error, av.ProtocolNotFoundError):
        return SourceOpenError(f"{where}: FFmpeg here speaks no such protocol", hint="check the address")
    if address.device and isinstance(error, OSError):
        return _refused_device(where, error)
    if isinstance(error, _NO_VIDEO) and address.url.startswith("rtp://"):
        return SourceOpenError(
            f"{where}: RTP other than MPEG-TS does not describe its streams",
            hint="give the sender's .sdp file instead",
        )
    if isinstance(error, _NO_VIDEO):
        return SourceOpenError(f"{where}: not a video stream", hint="check that it plays elsewhere")
    if (host := _unknown_host(address.url)) is not None:
        return SourceOpenError(f"{where}: there is no host {host}", hint="check its name and the network")
    return lost_source(address, error, timeout_s)


def lost_source(address: Address, error: BaseException, timeout_s: float) -> MediaError:
    """The error of an open source that broke off."""
    hide(error)
    if isinstance(error, MediaError):
        return error
    if isinstance(error, av.ExitError | TimeoutError):
        return SourceTimeoutError(
            f"{address.redacted}: nothing came for {timeout_s:g} s", hint="check the address and the network"
        )
    if isinstance(error, av.EOFError):
        return SourceLostError(f"{address.redacted}: the other side ended it")
    return SourceLostError(
        f"{address.redacted}: {reason(error).lower()}", hint="check that the server is running"
    )


def _refused_device(where: str, error: OSError) -> SourceOpenError:
    if error.errno == errno.EBUSY:
        return SourceOpenError(f"{where}: is in use by another program", hint="close that program first")
    if error.errno in (errno.EACCES, errno.EPERM):
        return SourceOpenError(
            f"{where}: no permission to use it", hint="join the group video, or run as its owner"
        )
    if error.errno in (errno.ENOTTY, errno.ENODEV, errno.EINVAL):
        return SourceOpenError(f"{where}: does not give such a picture: {reason(error).lower()}",
                               hint="check the device, and --size and --frame-rate if they are given")  # fmt: skip
    return SourceOpenError(f"{where}: {reason(error).lower()}", hint="check that it exists")


def _unknown_host(url: str) -> str | None:
    """The host of an address that no name server knows."""
    try:
        host = urlsplit(url).hostname if is_url(url) else None
    except ValueError:  # no address, and FFmpeg's message is better
        return None
    if host is None:
        return None
    try:
        socket.getaddrinfo(host, None)
    except OSError:
        return host
    return None


def refused_output(url: str, error: BaseException) -> MediaError:
    """The error of opening or writing a sink: EncodeError if another attempt cannot help, otherwise OutputLostError."""
    hide(error)
    if isinstance(error, MediaError):
        return error
    where = redacted(url)
    if isinstance(error, _DENIED):
        return EncodeError(
            f"{where}: the server wants another user or password",
            hint="write them as in rtsp://user:password@host/path",
        )
    if isinstance(error, av.HTTPNotFoundError):
        return EncodeError(f"{where}: the server does not accept this stream", hint="check the path")
    if isinstance(error, av.ProtocolNotFoundError | av.MuxerNotFoundError):
        return EncodeError(f"{where}: FFmpeg here writes no such protocol", hint="check the address")
    if not is_url(url) and isinstance(error, FileNotFoundError | PermissionError | NotADirectoryError):
        return EncodeError(f"{where}: {reason(error).lower()}", hint="choose another folder")
    if (host := _unknown_host(url)) is not None:
        return EncodeError(f"{where}: there is no host {host}", hint="check its name and the network")
    return OutputLostError(f"{where}: {reason(error).lower()}", hint="check that the server is running")
