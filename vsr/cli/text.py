"""Numbers and tables as people read them."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from vsr.cli.terminal import escaped

KILO = 1000
UNITS = ("bytes", "kB", "MB", "GB")
_LEAST_WRAPPED = 20


def duration(seconds: float) -> str:
    """5.2 s, 1:05, 2:01:05."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def left(seconds: float) -> str:
    """An expected time: 5 s, 1:05, 2:01:05."""
    return f"{rounded} s" if (rounded := round(seconds)) < 60 else duration(rounded)


def about(seconds: float) -> str:
    """A rough time: 40 s, 12 min, 2.6 h, 3.1 days."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    hours = seconds / 3600
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


def times(count: int) -> str:
    """once, 3 times."""
    return "once" if count == 1 else f"{count:,} times"


def size(num_bytes: float) -> str:
    """812 bytes, 4.1 kB, 12.3 MB."""
    if num_bytes < KILO:
        return f"{num_bytes:.0f} bytes"
    unit = 0
    while num_bytes >= KILO and unit < len(UNITS) - 1:
        num_bytes /= KILO
        unit += 1
    return f"{num_bytes:.1f} {UNITS[unit]}"


def rate(value: float) -> str:
    """Three significant digits or so: 0.53, 29.9, 412."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def table(
    rows: Sequence[Sequence[str]],
    *,
    numbers: Collection[int] = (),
    indent: str = "",
    columns: int | None = None,
) -> list[str]:
    """Lines of a table whose first row is the header; the columns of `numbers` (counted from 0) are aligned to the right.

    columns: width of the terminal; None for the width of standard output, where that is a terminal, else for any width. In a
    narrow terminal the last column is wrapped if it is text; where that is not enough, each row becomes a block of lines.
    """
    from rich.cells import cell_len

    if not rows:
        return []
    if columns is None and sys.stdout.isatty():
        columns = shutil.get_terminal_size().columns
    cells = [[escaped(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    last = len(widths) - 1
    if columns is not None and (over := len(indent) + sum(widths) + 2 * last - columns) > 0:
        widths[last] -= over
        if last in numbers or widths[last] < _LEAST_WRAPPED:
            return _blocks(cells, indent)
    lines = []
    for *row, end in cells:
        parts = textwrap.wrap(end, widths[last]) if cell_len(end) > widths[last] else [end]
        for number, part in enumerate(parts):
            shown = [*(("" if number else cell) for cell in row), part]
            padded = [
                " " * (widths[at] - cell_len(cell)) + cell
                if at in numbers
                else cell + " " * (widths[at] - cell_len(cell))
                for at, cell in enumerate(shown)
            ]
            lines.append((indent + "  ".join(padded)).rstrip())
    return lines


def _blocks(rows: Sequence[Sequence[str]], indent: str) -> list[str]:
    """Lines for a narrow terminal: each row's first cell, and below it one line for each other cell that is not empty."""
    head, *others = rows
    lines = []
    for first, *cells in others:
        named = zip(head[1:], cells, strict=True)
        lines.append(indent + first)
        lines += [
            f"{indent}  {name}: {cell}" if name else f"{indent}  {cell}" for name, cell in named if cell
        ]
    return lines


def tree(value: Any, *, indent: str = "") -> list[str]:
    """A nested mapping as indented `key: value` lines; empty values and None are left out."""
    lines: list[str] = []
    for key, item in value.items():
        name = str(key).replace("_", " ")
        if item is None or (isinstance(item, (str, Mapping, list, tuple)) and not item):
            continue
        if isinstance(item, Mapping):
            lines += [f"{indent}{name}:", *tree(item, indent=indent + "  ")]
        elif isinstance(item, (list, tuple)) and any(isinstance(element, (Mapping, str)) for element in item):
            lines.append(f"{indent}{name}:")
            for element in item:
                if isinstance(element, Mapping):
                    parts = ", ".join(f"{k} {v}" for k, v in element.items() if v not in (None, "", [], {}))
                    lines.append(f"{indent}  - {parts}")
                else:
                    lines.append(f"{indent}  - {element}")
        elif isinstance(item, bool):
            lines.append(f"{indent}{name}: {'yes' if item else 'no'}")
        elif isinstance(item, float):
            lines.append(f"{indent}{name}: {item:g}")
        else:
            text = " x ".join(map(str, item)) if isinstance(item, (list, tuple)) else item
            lines.append(f"{indent}{name}: {text}")
    return lines
