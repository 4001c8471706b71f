"""A result as a table of text cells, as Markdown, and as a picture."""

from __future__ import annotations

import importlib.util
import io
from collections.abc import Sequence

from vsr.bench.result import STEPS, BenchResult, Cell
from vsr.bench.statistics import Spread
from vsr.core.errors import MissingDependencyError

HEAD = (
    "network",
    "into",
    "fps",
    "quartiles",
    "p95 ms",
    "CPU ms",
    "infer alone",
    "encode alone",
    "limit",
    "of rate",
)
"""Of `rows`. CPU ms: processor time of a frame. limit: the stage that was busy longest. of rate: see `Cell`."""
NUMBERS = range(2, 8)
"""Columns that hold numbers."""


def rows(result: BenchResult) -> list[list[str]]:
    """A row for each cell, as text."""
    return [_row(cell) for cell in result.cells]


def notes(result: BenchResult) -> list[str]:
    """Sentences about the figures: the machine, load by other processes, starts, missing cases."""
    machine, found = result.environment, []
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items() if version)
    words = [machine.cpu, f"{machine.cores} cores", " ".join(machine.flags), machine.gpu, machine.governor]
    found.append(f"{', '.join(filter(None, words))}; {versions}; {result.created}")
    if result.load is not None and result.load.busy:
        found.append(f"busy machine: {result.load}; figures of an idle one are higher")
    if any(not cell.together.fps.settled for cell in result.cells):
        found.append("time was over before every median was known within 2 %: look at the quartiles")
    for name, rate in result.rates.items():
        found.append(f"large convolutions by {name}: {rate.median:.0f} GFLOP/s")
    found += dict.fromkeys(filter(None, map(_steps, result.cells)))
    for cell in result.cells:
        if start := cell.start:
            memory = f", {cell.memory_mb:.0f} MB at most" if cell.memory_mb else ""
            found.append(
                f"from the command to the first frame, {cell.case.network} into {cell.case.sink}: "
                f"{start.total.median:.2f} s (imports {start.imports.median:.2f}, opening and model "
                f"{start.model.median:.2f}, compiling {start.compile.median:.2f}, first frame "
                f"{start.first_frame.median:.2f}; of {start.total.repeats}){memory}"
            )
    return found + [f"left out: {left.what}: {left.reason}" for left in result.left_out]


def markdown(result: BenchResult) -> str:
    """A table and its notes."""
    lines = [_line(HEAD), _line(["--:" if column in NUMBERS else "---" for column in range(len(HEAD))])]
    lines += [_line(row) for row in rows(result)]
    return "\n".join([*lines, "", *(f"- {_plain(note)}" for note in notes(result))]) + "\n"


def check_plot() -> None:
    """Raise MissingDependencyError where there is no Matplotlib."""
    if importlib.util.find_spec("matplotlib") is None:
        raise MissingDependencyError(
            "a plot needs Matplotlib, and that is not installed", hint="pip install matplotlib"
        )


def picture(result: BenchResult) -> bytes:
    """A PNG: frames a second of each cell, together and its stages alone, with quartiles. Raises MissingDependencyError."""
    check_plot()
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogFormatter

    figure = Figure(figsize=(9, 1.5 + 0.5 * len(result.cells)), layout="constrained")
    axes = figure.add_subplot()
    places = range(len(result.cells))
    bars: dict[str, list[Spread | None]] = {
        "infer alone": [_part(cell, "infer") for cell in result.cells],
        "encode alone": [_part(cell, "encode") for cell in result.cells],
        "all together": [cell.together.fps for cell in result.cells],
    }
    height = 0.8 / len(bars)
    for number, (label, spreads) in enumerate(bars.items()):
        there = [(place, spread) for place, spread in zip(places, spreads, strict=True) if spread is not None]
        if there:
            axes.barh(
                [place + (number - 1) * height for place, _ in there],
                [spread.median for _, spread in there],
                height,
                xerr=[
                    [spread.median - spread.low for _, spread in there],
                    [spread.high - spread.median for _, spread in there],
                ],
                label=label,
            )
    axes.set_yticks(
        places, [f"{cell.case.network}\ninto {cell.case.sink}" for cell in result.cells], fontsize=7
    )
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(LogFormatter())
    axes.xaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
    axes.set_xlabel("frames a second, median and quartiles")
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.legend(fontsize=8)
    busy = f"\n{result.load}" if result.load is not None and result.load.busy else ""
    axes.set_title(f"{result.environment.cpu}, {result.environment.cores} cores{busy}", fontsize=9)
    for text in [*axes.get_yticklabels(), axes.title]:
        text.set_parse_math(False)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120)
    return file.getvalue()


def _row(cell: Cell) -> list[str]:
    whole, infer, encode = cell.together, _part(cell, "infer"), _part(cell, "encode")
    return [
        cell.case.network,
        cell.case.sink,
        _rate(whole.fps.median),
        f"{_rate(whole.fps.low)} to {_rate(whole.fps.high)}",
        f"{whole.frame_ms.p95:.1f}",
        f"{whole.cpu_ms.median:.1f}",
        _rate(infer.median) if infer else "",
        _rate(encode.median) if encode else "",
        cell.bottleneck,
        f"{cell.of_rate:.0%}" if cell.of_rate is not None else "",
    ]


def _steps(cell: Cell) -> str:
    """The steps of the infer stage, in words; empty if they were not measured."""
    taken = [
        f"{step} {1000 / part.fps.median:.3g} ms"
        + (f" ({part.gpu_ms.median:.3g} of the GPU)" if part.gpu_ms is not None else "")
        for step in STEPS
        if (part := cell.alone.get(step)) is not None
    ]
    return f"one frame alone in {cell.case.network}: {', '.join(taken)}" if taken else ""


def _part(cell: Cell, stage: str) -> Spread | None:
    part = cell.alone.get(stage)
    return part.fps if part else None


def _rate(value: float) -> str:
    return f"{value:.0f}" if value >= 99.5 else f"{value:.3g}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(_plain, cells))} |"


def _plain(text: str) -> str:
    """Names of files and models are no markup."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
