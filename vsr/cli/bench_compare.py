"""`vsr bench compare`"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsr.cli import text
from vsr.cli.printer import Printer, printing

if TYPE_CHECKING:
    from vsr.bench.compare import BenchComparison

_WORDS = {"better": "faster", "worse": "slower", "same": "same", "unknown": "too few repeats"}


@click.command("compare")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@printing
@click.pass_context
def command(context: click.Context, /, *, results: tuple[Path, ...], printer: Printer) -> None:
    """Compare results of `vsr bench --report` with the first of them.

    A figure is called faster or slower if the difference exceeds the spread of both, and 3 %. The exit code is 1 if a figure is
    slower.
    """
    from vsr import api

    if len(results) < 2:
        raise click.UsageError("give at least two results", context)
    first, *others = [api.read_bench_result(path) for path in results]
    found = [
        (path, api.compare_bench_results(first, other))
        for path, other in zip(results[1:], others, strict=True)
    ]
    printer.show(
        [
            {"before": results[0], "after": path, "regressed": each.regressed, **asdict(each)}
            for path, each in found
        ],
        lambda: [line for path, each in found for line in (f"{path} beside {results[0]}", *lines(each))],
    )
    if any(each.regressed for _, each in found):
        context.exit(1)


def lines(found: BenchComparison) -> list[str]:
    """A line for each figure, and the figures that only one result has."""
    rows = [["", "before", "after", "", "ratio", ""]]
    rows += [
        [
            change.what,
            text.rate(change.before.median),
            text.rate(change.after.median),
            change.unit,
            f"{change.ratio:.2f}",
            _WORDS[change.verdict],
        ]
        for change in found.changes
    ]
    shown = text.table(rows, numbers=(1, 2, 4))
    shown += [f"only in the first: {what}" for what in found.only_before]
    shown += [f"only in the second: {what}" for what in found.only_after]
    return shown + [f"note: {sentence}" for sentence in found.differences]
