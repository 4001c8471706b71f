"""Printing: each line is one line of plain text on any terminal, whatever characters file names and titles contain.

Only this module prints (`tests/test_house.py`), except rich's progress bars, whose texts pass through `escaped`.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict, is_dataclass
from typing import Any, TextIO

# Control characters except the tab, line ends, and characters that change the direction of writing.
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# Escapes in JSON: two surrogates for one character, a byte of a name that is not UTF-8, and all others.
_BACKSLASHED = re.compile(r"\\ud[89ab]..\\ud[c-f]..|\\udc([89a-f].)|\\.")
_CLEAR = "\r\033[K"

_has_status = False


def escaped(text: str) -> str:
    """Text on one line that moves no cursor, changes no colour and forges no other line: `\\x1b[31m`, `\\n`."""
    return _UNSAFE.sub(lambda match: repr(match[0])[1:-1], text)


def say(*lines: str) -> None:
    """Lines on standard output, escaped."""
    _print(lines, sys.stdout)


def json_of(value: Any, *, indent: int | None = None) -> str:
    """JSON in ASCII, which strict parsers take: a byte of a file name that is no UTF-8 is the four characters `\\xff` there.

    Dataclasses become objects, by their `as_dict` where they have one; paths and the like become strings.
    """
    text = json.dumps(value, indent=indent, default=_plain).replace("\x7f", "\\u007f")
    return _BACKSLASHED.sub(lambda match: rf"\\x{match[1]}" if match[1] else match[0], text)


def _plain(value: Any) -> Any:
    if hasattr(value, "as_dict"):
        return value.as_dict()
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else str(value)


def say_json(value: Any) -> None:
    """A value on standard output, as JSON of several lines."""
    print(json_of(value, indent=2))


def note(*lines: str, stream: TextIO | None = None) -> None:
    """Lines on standard error, escaped, at once."""
    if _has_status:
        status("")
    _print(lines, stream or sys.stderr)


def status(line: str) -> None:
    """A line, escaped, on a terminal at standard error, in place of the last one; "" clears it."""
    global _has_status  # noqa: PLW0603
    _has_status = bool(line)
    print(f"{_CLEAR}{escaped(line)}", end="", file=sys.stderr, flush=True)


def _print(lines: Iterable[str], stream: TextIO) -> None:
    for line in lines:
        print(escaped(line), file=stream)
    if stream is not sys.stdout:
        stream.flush()


def open_streams() -> None:
    """Make the standard streams fit to be written to, whatever the shell closed and whatever characters they know."""
    _open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        codecs.register_error("vsr", _unencodable)
        sys.stdout.reconfigure(errors="vsr")


def _unencodable(error: UnicodeError) -> tuple[bytes | str, int]:
    """File names go out as the bytes they are; characters that the terminal doesn't know as on standard error: `\\u65e5`."""
    if not isinstance(error, UnicodeEncodeError):  # The output is decoded again, as pytest does.
        return codecs.backslashreplace_errors(error)
    wrong = error.object[error.start : error.end]
    as_bytes = (
        char.encode("ascii", "surrogateescape" if "\udc80" <= char <= "\udcff" else "backslashreplace")
        for char in wrong
    )
    return b"".join(as_bytes), error.end


def _open_what_is_closed() -> None:
    """Standard streams that the shell closed read and write nothing: else the next file opened would be taken for one."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
