"""What is printed: each line is one line of plain text on any terminal, whatever names and titles from elsewhere hold.

Nothing else of vsr prints (`tests/test_house.py`), but for rich's progress bars, whose texts pass `escaped`.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import sys
from collections.abc import Iterable
from typing import TextIO

# Control characters but the tab, what ends a line, and what turns the direction of writing.
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
_CLEAR = "\r\033[K"

_has_status = False


def escaped(text: str) -> str:
    """Text on one line that moves no cursor, changes no colour and forges no other line: `\\x1b[31m`, `\\n`."""
    return _UNSAFE.sub(lambda match: repr(match[0])[1:-1], text)


def say(*lines: str) -> None:
    """Lines on standard output, escaped."""
    _print(lines, sys.stdout)


def say_json(text: str) -> None:
    """JSON of several lines on standard output; `json.dumps` has escaped its strings."""
    print(text)


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
    if not isinstance(
        error, UnicodeEncodeError
    ):  # Somebody reads back what was written there, as pytest does.
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
