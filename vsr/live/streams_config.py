"""The configuration of several streams in one process."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from vsr.core.errors import ConfigError, VsrError
from vsr.core.secrets import redacted
from vsr.core.variables import expanded
from vsr.live.assembly import PREVIEW, faults_of
from vsr.live.config import StreamConfig
from vsr.live.page.server import parse_listen
from vsr.media.address import is_url, with_secrets

MOST_WEIGHT = 1000.0
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_CAMERAS = ("/dev/video", "camera:")
_NO_FILES = (*_CAMERAS, "testsrc:", "screen:")
_LISTENS = re.compile(r"(?:^|[?&])(?:listen\b|mode=listener)")


@dataclass(frozen=True, slots=True)
class NamedStream:
    """One stream of several.

    name: letters, digits, `_`, `.` and `-`; the page and the figures have it. weight: its share of the machine beside the
    others, above 0. config: without a page of its own. secrets: what the variables of its addresses stood for when it was read,
    so that a reload sees other values. Raises ConfigError.
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
        named = [text for text in (self.config.source, *self.config.sinks) if "${" in text]
        return replace(self, secrets=tuple(map(with_secrets, named)))


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
        if self.token == "":
            raise ConfigError("the token is empty", hint="give one, or none for a page that anybody may see")
        if self.preview is not None:
            parse_listen(self.preview)
        if self.token is not None:
            expanded(self.token)


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a stream. key: what it is about, by the name of the option on the command line."""

    stream: str
    key: str
    error: VsrError


def faults(streams: Iterable[NamedStream], running: Iterable[NamedStream] = ()) -> Iterator[Fault]:
    """The reasons why some of these streams cannot run, or not together.

    running: streams that run already; only their places are looked at.
    """
    streams, running = list(streams), list(running)
    for stream in streams:
        if stream not in running:
            for key, error in faults_of(stream.config):
                yield Fault(stream.name, key, error)
    users: dict[object, str] = {}
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
            yield "sinks", sink, _server(text)
        elif text not in ("null", "null:", PREVIEW):
            path = Path(text)
            yield "sinks", sink, (path if path.suffix else path / "index.m3u8").resolve()
    source = _known(config.source)
    if is_url(source):
        scheme, parts = source.partition("://")[0].lower(), urlsplit(source)
        host = parts.netloc.rpartition("@")[2].rpartition(":")[0]
        waits = scheme in ("udp", "rtp") or not host or bool(_LISTENS.search(parts.query))
        if waits and not _is_multicast(host):
            yield "source", config.source, ("port", parts.netloc.rpartition(":")[2])
    elif source.startswith(_CAMERAS):
        name = source.removeprefix("camera:") or "0"
        yield "source", config.source, ("camera", f"/dev/video{name}" if name.isdecimal() else name)
    elif source.lower().endswith(".sdp"):
        yield "source", config.source, ("sdp", Path(source).resolve())


def _read_file(source: str) -> Path | None:
    """The file that a stream plays; other streams may play it, too."""
    text = _known(source)
    return (
        None if is_url(text) or text.startswith(_NO_FILES) else Path(text.removeprefix("file://")).resolve()
    )


def _server(url: str) -> object:
    """What is the same for two addresses of one place at one server."""
    parts = urlsplit(url)
    return (
        parts.scheme.lower(),
        parts.netloc.rpartition("@")[2].lower(),
        parts.path.rstrip("/"),
        (parts.query if parts.scheme.lower() == "srt" else ""),
    )


def _is_multicast(host: str) -> bool:
    first = host.partition(".")[0]
    return first.isdecimal() and 224 <= int(first) <= 239


def _known(text: str) -> str:
    """An address with its secrets, as far as there are any: missing ones are another fault."""
    try:
        return with_secrets(text)
    except ConfigError:
        return text
