"""Checked tables: TOML files, and the plain values in them, as dataclasses. Every fault is an error that names the entry.

A table may also come from JSON, as of a checkpoint or a manifest: it is checked alike.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from vsr.core.errors import ConfigError

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

Kind = TypeVar("Kind")
Number = TypeVar("Number", int, float)

_MOST_LEVELS = 32
_MOST_SHOWN = 60


def read_table(path: Path | Traversable) -> dict[str, Any]:
    """The content of a TOML file, in UTF-8 with or without a byte order mark. Raises OSError; ConfigError for invalid TOML."""
    data = path.read_bytes()
    try:
        return tomllib.loads(data.decode("utf-8-sig"))
    except RecursionError as error:
        raise ConfigError(f"{path} is not TOML: its values are nested too deeply") from error
    except ValueError as error:
        # An error of tomllib, or Python's error for bytes that are not UTF-8 or for a number with too many digits.
        raise ConfigError(f"{path} is not TOML: {error}") from error


def filled(
    kind: type[Kind],
    table: Mapping[str, Any],
    where: str = "",
    *,
    parsers: Mapping[str, Callable[[Any], Any]] | None = None,
    **given: Any,
) -> Kind:
    """A dataclass from a table: each entry has the type of its field. Raises ConfigError, whose message begins with `where`.

    parsers: of fields whose type is not one of bool, int, float, str, Literal, tuple, Mapping, a dataclass, and one of these or
    None. given: fields that no entry may set.
    """
    parsers = parsers or {}
    hints = get_type_hints(kind)
    fields = [field for field in dataclasses.fields(kind) if field.name not in given]  # type: ignore[arg-type]
    known = [field.name for field in fields]
    with prefixed(where):
        only_known(table, known)
        values = {
            name: parsers[name](value) if name in parsers else checked(name, value, hints[name])
            for name, value in table.items()
        }
        for field in fields:
            if (
                field.name not in values
                and field.default is dataclasses.MISSING
                and field.default_factory is dataclasses.MISSING
            ):
                raise ConfigError(f"{field.name} is missing")
        return kind(**values, **given)


def only_known(table: Mapping[str, Any], known: Iterable[str]) -> None:
    """Raise ConfigError for an entry that is not `known`."""
    known = list(known)
    for name in table:
        if name not in known:
            raise ConfigError(f"{short(name, str)} is unknown", hint=f"there may be: {', '.join(known)}")


def checked(name: str, value: Any, hint: Any) -> Any:
    """The value of an entry, as a field of the type `hint` takes it: a list becomes a tuple, and a table the dataclass that
    `hint` names. Raises ConfigError."""
    if choices := _choices(hint):
        return one_of(name, value, choices)
    if optional := _optional(hint):
        return None if value is None else checked(name, value, optional)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return filled(hint, _table(name, value), f"{name}: ")
    if get_origin(hint) is tuple:
        return _tuple(name, value, get_args(hint))
    if get_origin(hint) is Mapping:
        table, of = _table(name, value), get_args(hint)[1]
        if of is not Any:
            return {key: checked(f"[{name}] {short(key, str)}", item, of) for key, item in table.items()}
    elif hint is float:
        if type(value) not in (int, float):
            raise _refused(name, "a number", value)
    elif hint in _WORDS and type(value) is not hint:
        raise _refused(name, _WORDS[hint], value)
    _check_plain(name, value, _MOST_LEVELS)
    return value


def _table(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(
            f"{name} must be a table, got {short(value)}", hint=f"write [{name}] above its entries"
        )
    return value


def _tuple(name: str, value: Any, of: tuple[Any, ...]) -> tuple[Any, ...]:
    """of: the types of the items, or one and an ellipsis for any number of that type."""
    if not isinstance(value, list | tuple):
        raise _refused(name, "a list", value)
    if of[-1] is not Ellipsis and len(value) != len(of):
        raise _refused(name, f"a list of {len(of)}", value)
    types = of if of[-1] is not Ellipsis else (of[0],) * len(value)
    return tuple(checked(f"{name}: each", item, type_) for item, type_ in zip(value, types, strict=True))


_WORDS = {bool: "true or false", int: "a whole number", str: "text"}


def _choices(hint: Any) -> tuple[Any, ...]:
    """The values of a Literal, or of a union of them; empty for other types."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    if get_origin(hint) is Union:
        return tuple(choice for part in get_args(hint) for choice in _choices(part))
    return ()


def _optional(hint: Any) -> Any:
    """X of the type X | None; None for other types."""
    if get_origin(hint) not in (Union, UnionType):
        return None
    others = [part for part in get_args(hint) if part is not NoneType]
    return others[0] if len(others) == 1 and len(get_args(hint)) == 2 else None


def _check_plain(name: str, value: Any, levels: int) -> None:
    """Raise ConfigError for a value that JSON or TOML cannot hold."""
    if not levels:
        raise ConfigError(f"{name} is nested too deeply")
    if type(value) is int and not -(2**63) <= value < 2**63:
        raise ConfigError(f"{name} must fit in 64 bits, got {short(value)}")
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_plain(f"[{name}] {short(key, str)}", item, levels - 1)
    elif isinstance(value, list):
        for item in value:
            _check_plain(name, item, levels - 1)


def one_of(name: str, value: Any, choices: Iterable[Kind]) -> Kind:
    """The value, if it is among the choices. Raises ConfigError."""
    choices = list(choices)
    for choice in choices:
        if type(value) is type(choice) and value == choice:
            return choice
    words = [str(choice) for choice in choices]
    raise _refused(name, " or ".join(filter(None, [", ".join(words[:-1]), words[-1]])), value)


def in_range(name: str, value: Number, least: Number, most: Number | None = None) -> None:
    """Raise ConfigError for a number outside, and for none at all."""
    if not (least <= value and (most is None or value <= most)):
        raise _refused(name, f"at least {least}" if most is None else f"from {least} to {most}", value)


@contextmanager
def prefixed(where: str) -> Generator[None]:
    """A ConfigError raised inside says first where the value is."""
    try:
        yield
    except ConfigError as error:
        raise ConfigError(where + error.message, hint=error.hint) from error


def short(value: object, text_of: Callable[[Any], str] = repr) -> str:
    """A value for a message: in one line, and cut where it is long."""
    try:
        text = " ".join(text_of(value).split())
    except (ValueError, RecursionError):  # Python writes no number of very many digits.
        return "a value too long to be shown"
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}..."


def _refused(name: str, wanted: str, value: object) -> ConfigError:
    return ConfigError(f"{name} must be {wanted}, got {short(value)}")
