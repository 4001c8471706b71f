"""Shows the progress of a job on stderr: a bar in a terminal, a line now and then elsewhere, or JSON for programs."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from vsr.cli import text
from vsr.cli.terminal import escaped, json_of, note

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress as Bars
    from rich.progress import TaskID

    from vsr.jobs.progress import Progress

LINE_INTERVAL_S = 10.0
JSON_INTERVAL_S = 1.0
_BAR_WIDTH = 16
_LEAST_NAME = 8
_NAME_BESIDE_SIZE = 16


def figures(progress: Progress) -> str:
    """Frames, fps, speed and time left, as far as they are known; or the name of a long step in progress."""
    if progress.doing:
        return progress.doing
    total = f"/{progress.frames_total:,}" if progress.frames_total is not None else ""
    parts = [f"{progress.frames_done:,}{total} frames", f"{text.rate(progress.fps)} fps"]
    if progress.speed is not None:
        parts.append(f"{text.rate(progress.speed)}x real time")
    if progress.eta_s is not None:
        parts.append(f"{text.left(progress.eta_s)} left")
    if progress.eta_all_s is not None:
        parts.append(f"{text.left(progress.eta_all_s)} left for all")
    if progress.bytes_expected is not None:
        parts.append(f"{text.size(progress.bytes)} of about {text.size(progress.bytes_expected)}")
    return ", ".join(parts)


def name_of(progress: Progress) -> str:
    """The input, numbered where there are several."""
    number = f"[{progress.item + 1}/{progress.items}] " if progress.items > 1 else ""
    return f"{number}{progress.input}"


def short_figures(progress: Progress, room: int) -> str:
    """The figures for a line of a terminal: share, frames a second, time left and, if it fits into `room` columns, the
    expected size of the output."""
    if progress.doing:
        return progress.doing
    share = f"{progress.share:4.0%}" if progress.share is not None else f"{progress.frames_done:,} frames"
    parts = [share, f"{text.rate(progress.fps)} fps"]
    if progress.eta_s is not None:
        parts.append(f"{text.left(progress.eta_s)} left")
    if progress.eta_all_s is not None:
        parts.append(f"{text.left(progress.eta_all_s)} for all")
    line = ", ".join(parts)
    size = f", about {text.size(progress.bytes_expected)}" if progress.bytes_expected is not None else ""
    return line + size if len(line + size) <= room else line


def cut(name: str, width: int) -> str:
    """Shorten a name to `width` columns: the end of a path says most. Some characters take two columns."""
    from rich.cells import cell_len

    if cell_len(name) <= width:
        return name
    while cell_len(name) >= width:
        name = name[1:]
    return f"…{name}"


@contextmanager
def progress_bar(
    *, quiet: bool, as_json: bool = False, stream: TextIO | None = None
) -> Generator[Callable[[Progress], None] | None]:
    """A function that shows progress: a bar in a terminal, else a line now and then; with `as_json` a line of JSON a second.
    None if `quiet`."""
    stream = stream if stream is not None else sys.stderr
    if as_json:
        yield _Json(stream)
    elif quiet:
        yield None
    elif stream.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bars

        with Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=_BAR_WIDTH),
            TextColumn("{task.fields[figures]}", markup=False),
            console=Console(file=stream),
            auto_refresh=False,
            transient=True,
        ) as bars:
            yield _Bar(bars)
    else:
        yield _Lines(stream)


class _Bar:
    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def __call__(self, progress: Progress) -> None:
        if self._task is None:
            self._task = self._bars.add_task("", total=None, figures="")
        # Two columns stand between the parts.
        room = self._bars.console.width - _BAR_WIDTH - 2
        figures = escaped(short_figures(progress, room - _NAME_BESIDE_SIZE))
        self._bars.update(
            self._task,
            description=cut(escaped(name_of(progress)), max(_LEAST_NAME, room - len(figures))),
            completed=progress.share or 0.0,
            figures=figures,
        )
        # update() takes None for "unchanged".
        self._bars.tasks[0].total = None if progress.share is None else 1.0
        self._bars.refresh()


class _Json:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next_at = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now >= self._next_at:
            self._next_at = now + JSON_INTERVAL_S
            note(json_of(asdict(progress)), stream=self._stream)


class _Lines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._next_at = time.monotonic() + LINE_INTERVAL_S
        self._doing = ""

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now >= self._next_at or progress.doing not in ("", self._doing):
            self._doing = progress.doing
            self._next_at = now + LINE_INTERVAL_S
            note(f"{name_of(progress)}: {figures(progress)}", stream=self._stream)
