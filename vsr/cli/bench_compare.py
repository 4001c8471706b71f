"""`vsr bench compare`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsr.cli import text
from vsr.cli.terminal import say

if TYPE_CHECKING:
    from vsr.bench.compare import BenchComparison

_WORDS = {"better": "faster", "worse": "slower", "same": "same", "unknown": "too few repeats"}


@click.command("compare")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.pass_context
def command(context: click.Context, /, *, results: tuple[Path, ...]) -> None:
    """Show results of `vsr bench --report` beside the first of them.

    A figure is called faster or slower where the difference is more than the spread of both, and more than 3 %. The exit code
    is 1 where one is slower.
    """
    from vsr import api

    if len(results) < 2:
        raise click.UsageError("give two results at least", context)
    first, *others = [api.read_bench_result(path) for path in results]
    regressed = False
    for path, other in zip(results[1:], others, strict=True):
        found = api.compare_bench_results(first, other)
        regressed = regressed or found.regressed
        say(f"{path} beside {results[0]}", *lines(found))
    if regressed:
        context.exit(1)


def lines(found: BenchComparison) -> list[str]:
    """A line for each figure, and what only one of the two has."""
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
