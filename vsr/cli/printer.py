"""The result of a command on standard output: lines for people, or with --json one document for programs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import click

from vsr.cli.terminal import note, say, say_json

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Printer:
    """Prints as --quiet and --json ask. Errors and warnings always go to standard error."""

    quiet: bool
    as_json: bool

    def show(self, value: Any, lines: Callable[[], Iterable[str]]) -> None:
        """Print a result: `value` with --json, else its lines, unless --quiet is given."""
        if self.as_json:
            say_json(value)
        elif not self.quiet:
            say(*lines())

    def progress(self, *lines: str) -> None:
        """Print lines on standard error, unless --quiet is given."""
        if not self.quiet:
            note(*lines)


def printing(command: F) -> F:
    """Give a command the options --quiet and --json; it gets them as the argument `printer`."""

    @click.option("-q", "--quiet", is_flag=True, help="Print errors and warnings only.")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
    @functools.wraps(command)
    def with_printer(*args: Any, quiet: bool, as_json: bool, **values: Any) -> Any:
        return command(*args, printer=Printer(quiet, as_json), **values)

    return cast("F", with_printer)
