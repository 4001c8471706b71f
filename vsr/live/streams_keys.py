"""The options of a stream in a file: as on the command line, without the dashes before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vsr.core import quantities
from vsr.core.errors import ConfigError
from vsr.live.config import StreamConfig
from vsr.media.live.encoder import EncoderOptions
from vsr.upscale.options import NetworkOptions

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Key:
    """kind: of the value. fields: of StreamConfig, `network.x` and `encoder.x` of its parts, from the value."""

    kind: Literal["text", "number", "flag", "list"]
    fields: Callable[[Any], Fields]


def _text(name: str, read: Callable[[str], Any] = str) -> _Key:
    return _Key("text", lambda value: {name: read(value)})


def _number(name: str, kind: type, per: float | None = None) -> _Key:
    def fields(value: Any) -> Fields:
        if kind is int and type(value) is not int:
            raise ConfigError(f"must be a whole number, got {value!r}")
        return {name: kind(value) if per is None else value / per}

    return _Key("number", fields)


def _flag(name: str, *, means: bool = True) -> _Key:
    return _Key("flag", lambda value: {name: value is means})


def _pairs(name: str) -> _Key:
    return _Key("list", lambda value: {name: dict(map(quantities.key_value, value))})


def _amount(seconds: str, size: str) -> _Key:
    return _Key("text", lambda value: dict(zip((seconds, size), quantities.amount(value), strict=True)))


KEYS: Mapping[str, _Key] = {
    "source": _text("source"),
    "sinks": _Key("list", lambda value: {"sinks": tuple(value)}),
    "scale": _number("network.scale", int),
    "model": _text("network.model"),
    "backend": _text("network.backend"),
    "device": _text("network.device"),
    "tile": _number("network.tile", int),
    "threads": _number("network.threads", int),
    "precision": _text("network.precision"),
    "no-build": _flag("network.build", means=False),
    "temporal": _text("network.temporal"),
    "strength": _number("network.strength", float),
    "max-latency": _number("max_latency_s", float, per=1000),
    "timeout": _number("timeout_s", float),
    "retries": _number("retries", int),
    "realtime": _flag("realtime"),
    "wait": _flag("wait"),
    "source-option": _pairs("source_options"),
    "size": _text("size", quantities.size),
    "frame-rate": _text("frame_rate", quantities.rate),
    "no-audio": _flag("audio", means=False),
    "encoder": _text("encoder.encoder"),
    "crf": _number("encoder.crf", float),
    "bitrate": _text("encoder.bitrate", quantities.bitrate),
    "preset": _text("encoder.preset"),
    "encoder-option": _pairs("encoder.encoder_options"),
    "rotate": _amount("rotate_s", "rotate_bytes"),
    "keep": _amount("keep_s", "keep_bytes"),
    "overwrite": _flag("overwrite"),
    "require": _Key("list", lambda value: {"require": tuple(value)}),
    "when-away": _text("when_away"),
    "duration": _text("duration_s", quantities.seconds),
}


def fields_of(key: str, value: Any) -> Fields:
    """The fields that a value of the file sets. Raises ConfigError."""
    of = KEYS[key]
    if of.kind == "flag" and not isinstance(value, bool):
        raise ConfigError("is true or false", hint=f"{key} = true")
    if of.kind == "list" and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise ConfigError("must be a list of texts", hint=f'{key} = ["..."]')
    if of.kind == "number" and type(value) not in (int, float):
        raise ConfigError(f"must be a number, got {value!r}")
    if of.kind == "text":
        if type(value) not in (str, int, float):
            raise ConfigError(f"must be text, got {value!r}")
        value = str(value)
    if "\0" in "".join(value if of.kind == "list" else str(value)):
        raise ConfigError("contains a zero byte", hint="no name or address has one")
    return of.fields(value)


def config_of(fields: Fields) -> StreamConfig:
    """The stream that has these fields. Raises ConfigError."""
    parts: dict[str, dict[str, Any]] = {"": {}, "network": {}, "encoder": {}}
    for name, value in fields.items():
        part, _, field = name.rpartition(".")
        parts[part][field] = value
    return StreamConfig(
        **parts[""],
        network=NetworkOptions(**parts["network"]),
        encoder=EncoderOptions(**parts["encoder"]),
    )
