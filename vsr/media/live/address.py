"""Translates the address of a live source for FFmpeg."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import av

from vsr.core.errors import ConfigError
from vsr.core.secrets import redacted
from vsr.core.variables import expanded
from vsr.media.address import check_file, file_name, is_url, with_secrets
from vsr.media.live.bridge_command import check_ffmpeg

_TEST = re.compile(r"testsrc:(?:(\d+)x(\d+))?(?:@(\d+(?:/\d+)?))?")
_NETWORK = frozenset("rtsp rtsps rtmp rtmps rtmpe rtmpt rtmpts http https udp rtp srt tcp".split())
BRIDGED = frozenset({"srt"})
"""Protocols PyAV's FFmpeg is built without; the system's ffmpeg carries their bytes."""

# The longest analysis of a stream before its first frame, in microseconds; FFmpeg would guess its frame rate for seconds.
_ANALYSE = {"analyzeduration": "500000", "fpsprobesize": "0"}
_TRANSPORT = "rtsp_transport"
_LONGEST_TEST_SIDE = 16384
# An address of these may be a port alone, to listen on.
_LISTENING = frozenset({"udp", "rtp", "srt", "tcp"})


@dataclass(frozen=True, slots=True)
class Address:
    """A live source, ready to be opened.

    redacted: without credentials. options: of FFmpeg's demuxer and protocol; otherwise: those to try next where a server
    refuses them. paced: it is given faster than it plays, and each frame waits for its time. ends: its end is the end, not a
    loss. device: a camera or screen. bridged: its bytes come through a `Bridge`.
    given: names of the options that the user gave.
    """

    url: str
    redacted: str
    demuxer: str | None = None
    options: dict[str, str] = field(default_factory=dict)
    otherwise: dict[str, str] = field(default_factory=dict)
    paced: bool = False
    ends: bool = False
    device: bool = False
    bridged: bool = False
    given: tuple[str, ...] = ()


def parse_address(
    text: str,
    *,
    realtime: bool = False,
    timeout_s: float = 5.0,
    size: tuple[int, int] | None = None,
    frame_rate: Fraction | None = None,
    options: Mapping[str, str] = MappingProxyType({}),
    waits: bool = False,
) -> Address:
    """The source that `text` names: a URL, `x.sdp`, `/dev/video0`, `camera:0`, `screen::0.0`, `testsrc:640x360@30`, or a file
    with `realtime`.

    size, frame_rate: requested from cameras and screens. options: for FFmpeg; they override vsr's choices. waits: a camera need
    not exist yet. Raises ConfigError, SourceOpenError for a missing file, MissingDependencyError.
    """
    text = with_secrets(text)
    address = _parsed(text, realtime, timeout_s, size, frame_rate, waits)
    chosen = _TRANSPORT in options
    return replace(
        address,
        options=address.options | {name: expanded(value) for name, value in options.items()},
        otherwise={} if chosen else address.otherwise,
        given=tuple(options),
    )


def _parsed(
    text: str,
    realtime: bool,
    timeout_s: float,
    size: tuple[int, int] | None,
    frame_rate: Fraction | None,
    waits: bool,
) -> Address:
    if text.startswith("testsrc:"):
        return _test(text)
    if text.startswith("screen:"):
        options = {"draw_mouse": "1", "framerate": str(frame_rate or 30)}
        if size:
            options["video_size"] = f"{size[0]}x{size[1]}"
        display = text.removeprefix("screen:") or os.environ.get("DISPLAY", "")
        if not display:
            raise ConfigError(
                f"{text}: there is no display", hint="name one, as in screen::0.0, or set DISPLAY"
            )
        _check_demuxer("x11grab", text)
        return Address(display, f"screen {display}", "x11grab", options, device=True)
    if text.startswith("camera:") or re.fullmatch(r"/dev/video\d+", text):
        return _camera(text, size, frame_rate, waits)
    if is_url(text):
        return _network(text, timeout_s)
    path = Path(file_name(text))
    check_file(path)
    if path.suffix.lower() == ".sdp":
        return Address(f"file:{path}", text, "sdp", _ANALYSE | {"protocol_whitelist": "file,udp,rtp"})
    if not realtime:
        raise ConfigError(
            f"{text}: a file is not a live source",
            hint="--realtime plays it in real time; `vsr upscale` upscales it into a file",
        )
    return Address(f"file:{path}", text, paced=True, ends=True)


def _test(text: str) -> Address:
    match = _TEST.fullmatch(text)
    width, height = (int(match[1] or 640), int(match[2] or 360)) if match else (0, 0)
    rate = Fraction(match[3] or 30) if match and not (match[3] or "").endswith("/0") else Fraction(0)
    if not (2 <= width <= _LONGEST_TEST_SIDE and 2 <= height <= _LONGEST_TEST_SIDE and 0 < rate <= 1000):
        raise ConfigError(f"{text}: not a test source", hint="write it like testsrc:640x360@30")
    return Address(
        f"testsrc2=size={width}x{height}:rate={rate},format=yuv420p", text, "lavfi", paced=True, ends=True
    )


def _camera(text: str, size: tuple[int, int] | None, frame_rate: Fraction | None, waits: bool) -> Address:
    name = text.removeprefix("camera:")
    path = Path(f"/dev/video{name}" if name.isdecimal() else name or "/dev/video0")
    if not waits and not path.exists():
        there = sorted(str(found) for found in Path("/dev").glob("video*"))
        raise ConfigError(
            f"{text}: there is no camera {path}",
            hint=f"there is {', '.join(there)}" if there else "none is connected",
        )
    _check_demuxer("v4l2", text)
    options = {"framerate": str(frame_rate)} if frame_rate else {}
    if size:
        options["video_size"] = f"{size[0]}x{size[1]}"
    return Address(str(path), text, "v4l2", options, device=True)


def _network(text: str, timeout_s: float) -> Address:
    scheme = text.partition("://")[0].lower()
    if scheme not in _NETWORK:
        raise ConfigError(
            f"{redacted(text)}: no live source speaks {scheme}", hint="rtsp, rtmp, http, udp, rtp or srt do"
        )
    check_host(text)
    options = dict(_ANALYSE)
    if scheme == "rtsps":
        options |= {_TRANSPORT: "tcp", **socket_timeout(timeout_s)}
    elif scheme == "rtsp":
        # Over TCP nothing is lost. If it is refused, UDP comes next.
        options |= {_TRANSPORT: "tcp+udp", "rtsp_flags": "prefer_tcp", **socket_timeout(timeout_s)}
        return Address(text, redacted(text), None, options, otherwise={_TRANSPORT: "udp"})
    elif scheme in BRIDGED:
        check_ffmpeg(text)
        return Address(text, redacted(text), "mpegts", options, bridged=True)
    elif scheme in ("http", "https", "tcp"):
        options["rw_timeout"] = microseconds(timeout_s)
    elif scheme in ("udp", "rtp"):
        options |= {"fifo_size": "65536", "overrun_nonfatal": "1", **socket_timeout(timeout_s)}
    return Address(text, redacted(text), None, options)


def microseconds(seconds: float) -> str:
    return str(round(seconds * 1_000_000))


def socket_timeout(timeout_s: float) -> dict[str, str]:
    """FFmpeg's option for how long a socket may be silent. It has 31 bits of microseconds; others watch for longer silences."""
    return {"timeout": microseconds(timeout_s)} if timeout_s * 1_000_000 < 2**31 else {}


def check_host(url: str) -> None:
    """Raise ConfigError for an address that names neither a host to connect to nor a port to listen on."""
    scheme, _, rest = redacted(url).partition("://")
    place = re.split(r"[/?#]", rest)[0].lstrip("@")
    if not (place.strip(":") if scheme.lower() in _LISTENING else place.partition(":")[0]):
        raise ConfigError(f"{redacted(url)}: names no host", hint=f"write it like {scheme}://host/path")


def _check_demuxer(name: str, text: str) -> None:
    try:
        av.ContainerFormat(name, "r")
    except ValueError:
        raise ConfigError(f"{text}: this FFmpeg build has no {name}", hint="only Linux has it") from None
