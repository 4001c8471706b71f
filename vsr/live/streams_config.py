"""The configuration of several streams in one process."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from vsr.core.errors import ConfigError, VsrError
from vsr.core.secrets import redacted, without_login
from vsr.core.variables import expanded
from vsr.live.assembly import PREVIEW, faults_of
from vsr.live.config import StreamConfig, parse_token
from vsr.live.page.server import parse_listen
from vsr.media.address import file_name, is_url, with_secrets
from vsr.media.live.whip import SCHEMES as WHIP

MOST_WEIGHT = 1000.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_CAMERAS = ("/dev/video", "camera:")
_NO_FILES = (*_CAMERAS, "testsrc:", "screen:")
_LISTENS = re.compile(r"(?:^|&)(?:(?:rtmp_)?listen(?!=0(?:&|$))\b|mode=listener|rtsp_flags=[^&]*\blisten\b)")
_PARTS = re.compile(
    r"(?P<host>\[[^\]]*\]|[^:/?#]*):?(?P<port>[^/?#]*)(?P<path>[^?#]*)(?:\?(?P<query>[^#]*))?.*", re.DOTALL
)
# Where an address names none.
_PORTS = {
    "rtsp": "554",
    "rtsps": "322",
    "rtmp": "1935",
    "rtmps": "443",
    "http": "80",
    "https": "443",
    "whip": "80",
    "whips": "443",
}


@dataclass(frozen=True, slots=True)
class NamedStream:
    """One stream of several.

    name: letters, digits, `_`, `.` and `-`; the page and the figures have it. weight: its share of the machine beside the
    others, above 0. config: without a page of its own. secrets: its addresses and options with the values that their variables
    had when it was read, so that a reload sees other values. Raises ConfigError.
    """

    name: str
    config: StreamConfig
    weight: float = 1.0
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"name {self.name!r} cannot be a stream's", hint="use letters, digits, _, . and -, 63 at most"
            )
        if not 0 < self.weight <= MOST_WEIGHT:
            raise ConfigError(
                f"weight {self.weight:g} is out of range", hint=f"above 0, up to {MOST_WEIGHT:g}"
            )
        for given in ("preview", "token", "report"):
            if getattr(self.config, given) is not None:
                raise ConfigError(f"{given} is for all streams together", hint="give it beside the streams")
        if PREVIEW in self.config.sinks:
            raise ConfigError(
                f"{PREVIEW} is no sink of one stream of several", hint='preview = ":8080" is for all'
            )

    def read_again(self) -> NamedStream:
        """The same, with the secrets as they are now. Raises ConfigError for one that is missing."""
        addresses = map(with_secrets, (self.config.source, *self.config.sinks))
        options = map(expanded, self.config.source_options.values())
        return replace(self, secrets=(*addresses, *options))

    def is_but_for_weight(self, other: NamedStream) -> bool:
        """Whether they are the same, but for the weight."""
        return replace(self, weight=other.weight) == other


@dataclass(frozen=True, slots=True)
class StreamsConfig:
    """Several streams.

    streams: at least one, each with a name of its own. preview: [host]:port of the page for all; token: its password.
    Raises ConfigError.
    """

    streams: tuple[NamedStream, ...]
    preview: str | None = None
    token: str | None = None

    def __post_init__(self) -> None:
        if not self.streams:
            raise ConfigError("there is no stream", hint="write a [[stream]] with name, source and sinks")
        counts = Counter(stream.name for stream in self.streams)
        name, count = counts.most_common(1)[0]
        if count > 1:
            raise ConfigError(f"{count} streams have the name {name}", hint="give each a name of its own")
        if self.token is not None and self.preview is None:
            raise ConfigError("a token without a preview guards nothing", hint="give preview, too")
        if self.preview is not None:
            parse_listen(self.preview)
        parse_token(self.token)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a stream. key: what it is about, by the name of the option on the command line."""

    stream: str
    key: str
    error: VsrError


def faults(
    streams: Iterable[NamedStream],
    running: Iterable[NamedStream] = (),
    report: Path | None = None,
    preview: str | None = None,
) -> Iterator[Fault]:
    """The reasons why some of these streams cannot run, or not together.

    running: streams that run already; only their places are looked at. report: a file that vsr writes beside them.
    preview: where the page listens.
    """
    streams, running = list(streams), list(running)
    for stream in streams:
        if not any(stream.is_but_for_weight(one) for one in running):
            for key, error in faults_of(stream.config):
                yield Fault(stream.name, key, error)
    users: dict[object, str] = {} if report is None else {report.resolve(): "the report"}
    with suppress(ConfigError):  # An address that is none is another fault.
        if preview is not None and (port := parse_listen(preview)[1]):
            users["port", "tcp", f"{port}"] = "the page"
    for stream in streams:
        for key, text, place in _places(stream.config):
            if place in users:
                raised = ConfigError(
                    f"{redacted(text)} is used by {users[place]}, too", hint="give each stream its own"
                )
                yield Fault(stream.name, key, raised)
            users.setdefault(place, stream.name)
    for stream in streams:
        path = _read_file(stream.config.source)
        if path is not None and path in users:
            raised = ConfigError(
                f"{stream.config.source} is written by {users[path]}", hint="choose another file"
            )
            yield Fault(stream.name, "source", raised)


def _places(config: StreamConfig) -> Iterator[tuple[str, str, object]]:
    """(key, address, place) of what only one stream can use: sinks, files, ports to listen on, cameras."""
    for sink in config.sinks:
        text = _known(sink)
        if is_url(text):
            server = _Server.of(text, {})
            yield "sinks", sink, server.port_here if server.is_here else server
        elif text not in ("null", "null:", PREVIEW):
            path = Path(text)
            yield "sinks", sink, (path if path.suffix else path / "index.m3u8").resolve()
    source = _known(config.source)
    if is_url(source):
        server = _Server.of(source, config.source_options)
        receives = server.scheme in ("udp", "rtp") and not server.is_multicast
        if receives or server.is_here:
            yield "source", config.source, server.port_here
    elif source.startswith(_CAMERAS):
        name = source.removeprefix("camera:") or "0"
        yield (
            "source",
            config.source,
            ("camera", Path(f"/dev/video{name}" if name.isdecimal() else name).resolve()),
        )
    elif source.lower().endswith(".sdp"):
        yield "source", config.source, ("sdp", Path(source).resolve())


def _read_file(source: str) -> Path | None:
    """The file that a stream plays; other streams may play it, too."""
    text = _known(source)
    return None if is_url(text) or text.startswith(_NO_FILES) else Path(file_name(text)).resolve()


@dataclass(frozen=True, slots=True)
class _Server:
    """A place at a server: equal for two addresses of it. query: of protocols that name the place by it. is_here: vsr itself
    listens there."""

    scheme: str
    host: str
    port: str
    path: str
    query: str
    is_here: bool

    @staticmethod
    def of(url: str, options: Mapping[str, str]) -> _Server:
        """options: of FFmpeg beside it."""
        scheme, _, rest = url.partition("://")
        parts = _PARTS.fullmatch(without_login(rest))
        assert parts is not None  # It matches any text.
        scheme, host, query = scheme.lower(), parts["host"].lower(), parts["query"] or ""
        given = "&".join([query, *(f"{name}={value}" for name, value in options.items())])
        here = bool(_LISTENS.search(given)) or not host
        return _Server(
            scheme,
            "localhost" if host in ("127.0.0.1", "[::1]") else host,
            parts["port"] or _PORTS.get(scheme, ""),
            parts["path"].rstrip("/"),
            query if scheme in ("srt", *WHIP) else "",
            here,
        )

    @property
    def port_here(self) -> object:
        return "port", "udp" if self.scheme in ("udp", "rtp", "srt") else "tcp", self.port

    @property
    def is_multicast(self) -> bool:
        first = self.host.partition(".")[0]
        return self.host.startswith("[ff") or (first.isdecimal() and 224 <= int(first) <= 239)


def _known(text: str) -> str:
    """An address with its secrets, as far as there are any: missing ones are another fault."""
    try:
        return with_secrets(text)
    except ConfigError:
        return text
