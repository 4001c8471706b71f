"""`vsr bench`"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vsr.cli import options, text
from vsr.cli.show import check_report_path, write_json
from vsr.cli.terminal import note, say, say_json
from vsr.files.checks import check_writable

if TYPE_CHECKING:
    from vsr.bench.result import BenchResult


@click.command("bench")
@options.model
@options.own_scale
@options.backend
@click.option(
    "--size", type=options.SIZE, default="960x540", show_default=True, help="Of the frames that go in."
)
@click.option("--input", help="A clip to take the frames from, instead of synthetic ones.")
@click.option("--frames", type=click.IntRange(1), default=240, show_default=True, help="How many.")
@options.batch
@options.running
@click.option(
    "--preset", "presets", multiple=True, default=("veryfast", "superfast"), help="Of x264; may be repeated."
)
@click.option("--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON there.")
@click.option("--json", "as_json", is_flag=True, help="Print the JSON.")
def command(*, input: str | None, report: Path | None, as_json: bool, **values: Any) -> None:
    """Measure frames per second: each stage alone, then all together into nothing and into x264."""
    from vsr import api
    from vsr.media.outputs import check_outputs

    check_report_path(report)
    if report is not None:
        check_writable(report, overwrite=True)
    check_outputs([input] if input else [], [], report)
    config = api.BenchConfig(
        options.network(values), values["size"], values["frames"], input, values["presets"]
    )
    result = api.benchmark(config, note)
    if report is not None:
        write_json(report, result.as_dict())
    if as_json:
        say_json(json.dumps(result.as_dict(), indent=2, default=str))
    else:
        say(*lines(result))


def lines(result: BenchResult) -> list[str]:
    """The figures as two tables."""
    sizes = " to ".join(f"{width}x{height}" for width, height in (result.size_in, result.size_out))
    shown = [f"{result.model} on {result.backend}, {result.precision}, {sizes}"]
    for title, parts in (("alone", result.alone), ("together, into", result.together)):
        rows = [[title, "fps", "processor s"]]
        rows += [[name, text.rate(part.fps), f"{part.cpu_s:.1f}"] for name, part in parts.items()]
        shown += ["", *text.table(rows, numbers=(1, 2))]
    return shown
