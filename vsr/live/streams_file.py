"""Reads a file of streams, and checks it whole: each fault is reported with file, line and key."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vsr.core.errors import ConfigError, FaultsError, VsrError, reason
from vsr.core.tables import short
from vsr.files.ordinary import read_ordinary
from vsr.live.config import parse_token
from vsr.live.page.server import parse_listen
from vsr.live.streams_config import NamedStream, StreamsConfig, faults
from vsr.live.streams_keys import KEYS, Fields, config_of, fields_of

_OWN = ("name", "weight")
_FOR_ALL = ("preview", "token")
_PROBE = "vsr-probe"
# The path of a table in the file: () for its top, ("defaults",), ("stream", 2) for the third.
_Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """A fault. key: empty for one of a whole table."""

    place: _Place
    key: str
    error: VsrError


def read_streams(
    path: Path, running: Iterable[NamedStream] = (), report: Path | None = None
) -> StreamsConfig:
    """The streams in a file. running: those that run already, whose sinks are theirs. report: a file that vsr writes beside
    them, which is none of theirs.

    Raises FaultsError: ``streams.toml:12: door: `max-latency`: must be a number``.
    """
    try:
        text = read_ordinary(path).decode("utf-8-sig")
        content = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        at = re.search(r"at line (\d+)", str(error)) if isinstance(error, tomllib.TOMLDecodeError) else None
        where = f"{path}:{at[1]}" if at else f"{path}"
        raise ConfigError(f"{where}: {reason(error)}", hint="check the file") from error
    reader = _Reader(content)
    config = reader.config(list(running), report)
    if config is not None:
        return config
    lines = _Lines(text)
    numbered = sorted(
        ((lines.of(found.place, found.key), reader.said(found)) for found in reader.found),
        key=lambda fault: fault[0],
    )
    raise FaultsError(dict.fromkeys(f"{path}:{line}: {said}" for line, said in numbered))


class _Reader:
    """Turns the tables into a configuration, and collects the faults in `found`."""

    def __init__(self, content: Mapping[str, Any]) -> None:
        self.found: list[_Found] = []
        self._content = content
        self._tables: list[Mapping[str, Any]] = []
        self._defaults: Mapping[str, Any] = {}

    def config(self, running: list[NamedStream], report: Path | None) -> StreamsConfig | None:
        """None if there are faults."""
        self._read_top()
        streams = [self._stream(number, table) for number, table in enumerate(self._tables)]
        places = {stream.name: ("stream", number) for number, stream in enumerate(streams) if stream}
        read = [_with_secrets(stream) for stream in streams if stream is not None]
        for fault in faults(read, running, report, self._preview()):
            self._note(places[fault.stream], fault.key, fault.error)
        if self.found:
            return None
        return StreamsConfig(
            tuple(read),
            **{key: self._content[key] for key in _FOR_ALL if key in self._content},
        )

    def said(self, found: _Found) -> str:
        """The stream's name, the key, the fault and the remedy."""
        name = self._tables[int(found.place[1])].get("name") if found.place[:1] == ("stream",) else None
        of = [short(name, str)] if name else []
        of += [f"`{found.key}`"] if found.key else []
        return "; ".join(filter(None, (": ".join([*of, found.error.message]), found.error.hint)))

    def _preview(self) -> str | None:
        preview = self._content.get("preview")
        return preview if isinstance(preview, str) else None

    def _note(self, place: _Place, key: str, error: VsrError) -> None:
        if place[:1] == ("stream",) and key not in self._tables[int(place[1])] and key in self._defaults:
            place = ("defaults",)
        self.found.append(_Found(place, key, error))

    def _refuse(self, place: _Place, key: str, message: str, hint: str | None = None) -> None:
        self._note(place, key, ConfigError(message, hint=hint))

    def _read_top(self) -> None:
        known = (*_FOR_ALL, "defaults", "stream")
        for key in self._content:
            if key not in known:
                self._refuse(
                    (), key, "is unknown here", f"beside the streams there may be {', '.join(known)}"
                )
        for key, check in (("preview", parse_listen), ("token", parse_token)):
            value = self._content.get(key)
            if value is not None:
                self._check((), key, value, check)
        if "token" in self._content and "preview" not in self._content:
            self._refuse((), "token", "guards nothing without a preview", 'preview = ":8080"')
        defaults = self._content.get("defaults", {})
        if isinstance(defaults, Mapping):
            self._defaults = defaults
            for key, value in defaults.items():
                if key in _OWN:
                    self._refuse(("defaults",), key, "belongs to one stream")
                else:
                    self._fields(("defaults",), key, value)
        else:
            self._refuse((), "defaults", "must be a table", "write [defaults], and the options below")
        tables = self._content.get("stream", [])
        if isinstance(tables, list) and tables and all(isinstance(table, Mapping) for table in tables):
            self._tables = tables
        else:
            self._refuse((), "stream", "there is no stream", "write [[stream]] with name, source and sinks")

    def _check(self, place: _Place, key: str, value: Any, check: Callable[[str], object]) -> None:
        try:
            if not isinstance(value, str) or not value:
                raise ConfigError(f"must be text, got {short(value)}")
            check(value)
        except ConfigError as error:
            self._note(place, key, error)

    def _fields(self, place: _Place, key: str, value: Any) -> Fields:
        """The fields that an entry sets; none if it is a fault."""
        if key not in KEYS:
            here = "is for all streams: write it above them" if key in _FOR_ALL else "is unknown"
            self._refuse(place, key, here, "options are written as on the command line, without the dashes")
            return {}
        try:
            return fields_of(key, value)
        except ConfigError as error:
            self._note(place, key, error)
            return {}

    def _stream(self, number: int, table: Mapping[str, Any]) -> NamedStream | None:
        """None if a fault leaves nothing to look at."""
        place = ("stream", number)
        own: dict[str, Any] = {"weight": 1.0}
        name = table.get("name")
        if not isinstance(name, str):
            self._refuse(place, "name", "is missing" if name is None else "must be text")
        elif any(name == other.get("name") for other in self._tables[:number]):
            self._refuse(place, "name", "is another stream's, too", "give each stream a name of its own")
        else:
            own["name"] = name
        if (weight := table.get("weight")) is not None:
            if type(weight) in (int, float):
                own["weight"] = float(weight)
            else:
                self._refuse(place, "weight", f"must be a number, got {short(weight)}")
        if "source" not in table:
            self._refuse(place, "source", "is missing")
        fields = {key: fields_of(key, value) for key, value in self._defaults.items() if self._is_good(key)}
        fields |= {key: self._fields(place, key, value) for key, value in table.items() if key not in _OWN}
        if not fields.get("sinks", {}).get("sinks") and self._content.get("preview") is None:
            self._refuse(place, "sinks", "is missing", "name a server, a file or null, or give a preview")
        return self._made(place, fields, own) if fields.get("source") and "name" in own else None

    def _is_good(self, key: str) -> bool:
        return not any(found.place == ("defaults",) and found.key == key for found in self.found)

    def _made(
        self, place: _Place, fields: Mapping[str, Fields], own: Mapping[str, Any]
    ) -> NamedStream | None:
        """The stream of these entries. An error is a fault of the first entry without which it does not occur."""

        def made(but: str) -> NamedStream:
            config = config_of({k: v for key, of in fields.items() if key != but for k, v in of.items()})
            kept: dict[str, Any] = {"name": "x"} | {k: v for k, v in own.items() if k != but}
            return NamedStream(config=config, **kept)

        def message(but: str) -> str | None:
            try:
                made(but)
            except ConfigError as error:
                return error.message
            return None

        try:
            return made("")
        except ConfigError as error:
            keys = [key for key in (*fields, *own) if key != "source"]
            guilty = next((key for key in keys if message(key) != error.message), "")
            self._note(place, guilty, error)
            if not guilty or guilty == "name":
                return None
            fields, own = ({k: v for k, v in of.items() if k != guilty} for of in (fields, own))
            return self._made(place, fields, own)


def _with_secrets(stream: NamedStream) -> NamedStream:
    """As far as there are any: missing ones are a fault that is found with the others."""
    try:
        return stream.read_again()
    except ConfigError:
        return stream


class _Lines:
    """Finds the lines of entries. tomllib gives no positions, but says in which table an entry at a line would be."""

    def __init__(self, text: str) -> None:
        self._lines = text.splitlines()

    def of(self, place: _Place, key: str) -> int:
        """The number of the line, from 1: of the entry, else of its table, else 1."""
        entry = re.compile(rf"""\s*\[*["']?{re.escape(key)}["']?\s*[=.\]]""")
        for number, line in enumerate(self._lines):
            if key and entry.match(line) and self._place(number) == place:
                return number + 1
        for number, line in enumerate(self._lines):
            if re.match(r"\s*\[", line) and self._place(number + 1) == place:
                return number + 1
        return 1

    def _place(self, number: int) -> _Place | None:
        """The table that an entry at that line would be in; None in the middle of a value."""
        try:
            content = tomllib.loads("\n".join([*self._lines[:number], f"{_PROBE} = 0"]))
        except (ValueError, RecursionError):
            return None
        return next((place for place, table in _tables(content) if _PROBE in table), None)


def _tables(content: Mapping[str, Any]) -> Iterator[tuple[_Place, Mapping[str, Any]]]:
    yield (), content
    if isinstance(content.get("defaults"), Mapping):
        yield ("defaults",), content["defaults"]
    if isinstance(content.get("stream"), list):
        yield from ((("stream", number), table) for number, table in enumerate(content["stream"]))
