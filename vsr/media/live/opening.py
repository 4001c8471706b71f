"""Opening a live source: over which transport it comes is tried, and its picture is waited for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import av
from av.container import InputContainer

from vsr.core.errors import SourceTimeoutError
from vsr.media.closing import close_input
from vsr.media.live.address import Address, microseconds

# Most bytes before the first picture.
_PROBED_BYTES = 32 << 20
# These containers list all of their streams before the first packet.
_DESCRIBED = frozenset({"rtsp", "sdp"})
_FINAL = (av.HTTPUnauthorizedError, av.HTTPForbiddenError, av.HTTPNotFoundError)


def opened(
    address: Address, timeout_s: float, url: Callable[[], str], heard: Callable[[], object]
) -> InputContainer:
    """The source, with a picture unless it is known to have none.

    url: returns the URL before each attempt. heard: called if the server has answered and is asked again. Raises
    SourceTimeoutError where only sound comes, and FFmpeg's errors.
    """
    container = _over_some_transport(address, timeout_s, url, heard)
    if container.streams.video or not container.streams or not _may_get_picture(address, container):
        return container
    # RTMP servers send sound at once, and pictures from the next keyframe on. PyAV knows only the streams found when it opened
    # the source. If FFmpeg waited for pictures at the first attempt, it would spend that time on every source.
    close_input(container)
    heard()
    patience = {"analyzeduration": microseconds(timeout_s), "probesize": str(_PROBED_BYTES)}
    silent = SourceTimeoutError(
        f"{address.redacted}: no picture came for {timeout_s:g} s, only sound", hint="check the sender"
    )
    try:
        container = _once(address, timeout_s, url(), patience)
    except TimeoutError:
        raise silent from None
    if not container.streams.video:
        close_input(container)
        raise silent
    return container


def _may_get_picture(address: Address, container: InputContainer) -> bool:
    return not (address.ends or address.device or container.duration or container.format.name in _DESCRIBED)


def _over_some_transport(
    address: Address, timeout_s: float, url: Callable[[], str], heard: Callable[[], object]
) -> InputContainer:
    try:
        return _once(address, timeout_s, url(), {})
    except (av.HTTPClientError, av.InvalidDataError) as error:
        if not address.otherwise or isinstance(error, _FINAL):
            raise
        refused = error
    # FFmpeg itself continues with UDP if TCP is refused with RFC 2326's code (461). Some servers refuse it with another code.
    heard()
    try:
        return _once(address, timeout_s, url(), address.otherwise)
    except (av.FFmpegError, OSError):
        raise refused from None


def _once(address: Address, timeout_s: float, url: str, options: Mapping[str, str]) -> InputContainer:
    # PyAV's interrupt, which FFmpeg checks in most waits, though not in all.
    timeout = None if address.paced or address.device else (timeout_s, timeout_s)
    began = time.monotonic()
    try:
        return av.open(
            url, "r", format=address.demuxer, options={**address.options, **options}, timeout=timeout
        )
    except (av.FFmpegError, OSError) as error:
        if time.monotonic() - began < timeout_s or isinstance(error, av.HTTPError):
            raise
        # If it is interrupted while it reads an answer, FFmpeg reports invalid data. The timeout runs on the machine's clock.
        raise TimeoutError from error
