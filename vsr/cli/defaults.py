"""Options that a user always wants, from a file; see `vsr.files.user.config_file`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from vsr.core.errors import ConfigError, reason
from vsr.files.ordinary import read_ordinary


def defaults_for(path: Path, group: click.Group, name: str, ctx: click.Context) -> dict[str, Any]:
    """Click's `default_map` for one command of a group: its table of the file, by the names of parameters.

    Raises ConfigError that names the file and the entry for invalid TOML, or an unknown option.
    """
    content = _read(path)
    for table in content:
        if table not in group.list_commands(ctx):
            raise ConfigError(
                f"{path}: [{table}] is not a command", hint=f"one of {', '.join(group.list_commands(ctx))}"
            )
    if name not in content:
        return {}
    command = group.get_command(ctx, name)
    assert command is not None
    return {name: _options(command, content[name], path, name, ctx)}


def _read(path: Path) -> Mapping[str, Any]:
    try:
        content = tomllib.loads(read_ordinary(path).decode())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: {reason(error)}", hint="check the file") from error
    return content


def _options(
    command: click.Command, table: Any, path: Path, where: str, ctx: click.Context
) -> dict[str, Any]:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{path}: {where} is not a table", hint=f"write [{where}], and its options below")
    found: dict[str, Any] = {}
    for key, value in table.items():
        below = command.get_command(ctx, key) if isinstance(command, click.Group) else None
        if below is not None:
            found[key] = _options(below, value, path, f"{where}.{key}", ctx)
            continue
        parameter = _option(command, key)
        if parameter is None:
            raise ConfigError(
                f"{path}: [{where}] {key} is not an option of `vsr {where.replace('.', ' ')}`",
                hint="write it as on the command line, without the dashes before it",
            )
        if parameter.multiple and not isinstance(value, list):
            raise ConfigError(
                f"{path}: [{where}] {key} may be repeated, so it is a list", hint=f"{key} = [...]"
            )
        if parameter.is_flag and not isinstance(value, bool):
            raise ConfigError(f"{path}: [{where}] {key} is true or false", hint=f"{key} = true")
        values = value if parameter.multiple else [value]
        if not parameter.is_flag and not all(_is_text_or_number(one) for one in values):
            raise ConfigError(
                f"{path}: [{where}] {key} takes text or a number", hint="write it as on the command line"
            )
        assert parameter.name is not None
        # The value as it would be written on the command line.
        typed = value if parameter.is_flag else [str(one) for one in values]
        found[parameter.name] = typed if parameter.is_flag or parameter.multiple else typed[0]
    return found


def _is_text_or_number(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _option(command: click.Command, key: str) -> click.Option | None:
    options: Sequence[click.Option] = [each for each in command.params if isinstance(each, click.Option)]
    return next((each for each in options if f"--{key}" in each.opts), None)


def drop_excluded(values: dict[str, Any], *pairs: tuple[str, str]) -> None:
    """Change the values of the running command: if two options exclude each other, the one on the command line replaces the
    one in the file."""
    ctx = click.get_current_context()
    for pair in pairs:
        for name, other in (pair, pair[::-1]):
            given = ctx.get_parameter_source(name), ctx.get_parameter_source(other)
            if given == (ParameterSource.DEFAULT_MAP, ParameterSource.COMMANDLINE):
                parameter = next(each for each in ctx.command.params if each.name == name)
                values[name] = False if getattr(parameter, "is_flag", False) else None
