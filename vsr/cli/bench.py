"""`vsr bench`"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from vsr.bench.config import MAX_IN_FLIGHT
from vsr.cli import bench_compare, bench_tune, options, text
from vsr.cli.printer import Printer, printing
from vsr.cli.show import check_report_path, write_json
from vsr.files.checks import check_writable
from vsr.files.whole import write_whole
from vsr.models import Precision
from vsr.upscale.options import MAX_BATCH, MAX_SCALE

if TYPE_CHECKING:
    from vsr.bench.result import BenchResult

_AGAIN = "may be repeated"


@click.group("bench", invoke_without_command=True)
@click.option("--suite", help="The cases to measure: default, encoders, models, or a TOML file.")
@click.option(
    "--model", "models", multiple=True, help=f"Name or path of a package; {_AGAIN}.  [default: auto]"
)
@click.option(
    "--scale",
    "scales",
    type=click.FloatRange(1, MAX_SCALE),
    multiple=True,
    help=f"Factor per side; {_AGAIN}.  [default: each model's own]",
)
@click.option(
    "--size",
    "sizes",
    type=options.SIZE,
    multiple=True,
    help=f"Size of the input frames; {_AGAIN}.  [default: 960x540]",
)
@click.option("--backend", "backends", multiple=True, help=f"See `vsr doctor`; {_AGAIN}.  [default: auto]")
@click.option(
    "--device",
    "devices",
    metavar=options.DEVICES,
    multiple=True,
    help=f"See `vsr doctor`; {_AGAIN}.  [default: auto]",
)
@click.option(
    "--precision",
    "precisions",
    type=click.Choice(get_args(Precision)),
    multiple=True,
    help=f"Precision of the network; {_AGAIN}.  [default: the fastest on this machine]",
)
@click.option(
    "--batch",
    "batches",
    type=click.IntRange(1, MAX_BATCH),
    multiple=True,
    help=f"Frames in a run of the network; {_AGAIN}.  [default: the backend's choice]",
)
@click.option(
    "--in-flight",
    "in_flights",
    type=click.IntRange(1, MAX_IN_FLIGHT),
    multiple=True,
    help=f"Runs of the network in progress at once; {_AGAIN}.  [default: the backend's choice]",
)
@click.option(
    "--encoder",
    "encoders",
    multiple=True,
    help=f"As FFmpeg names them, null for none; {_AGAIN}.  [default: null and libx264]",
)
@click.option("--preset", "presets", multiple=True, help=f"Preset of the encoders that have it; {_AGAIN}.")
@click.option("--input", help="A clip to read, instead of synthetic frames.")
@click.option("--frames", type=click.IntRange(1), help="Most frames of a clip.  [default: 300]")
@click.option(
    "--budget",
    "budget_s",
    type=options.MINUTES,
    help="Time for all cases; cases that do not fit are left out.  [default: the suite's; 20 seconds a case]",
)
@options.tile
@options.threads
@options.no_build
@click.option(
    "--report", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON to this file."
)
@click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the table to this file, as Markdown.",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a picture of the results to this PNG file; needs Matplotlib, which the extra torch installs.",
)
@printing
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    input: str | None,
    report: Path | None,
    markdown: Path | None,
    plot: Path | None,
    printer: Printer,
    **values: Any,
) -> None:
    """Measure frames per second: each stage alone, then all stages together, without and with an encoder.

    \b
    vsr bench
    vsr bench --suite encoders --budget 10
    vsr bench --model fast --size 640x360
    vsr bench --model fast --model balanced --encoder libx264 --preset superfast --report new.json
    vsr bench compare old.json new.json
    vsr bench tune --model fast

    Every combination of the given values is a case. Without options, the suite "default" is measured, in three minutes.
    """
    if context.invoked_subcommand is not None:
        return
    from vsr import api
    from vsr.bench import page

    written = {"--report": report, "--markdown": markdown, "--plot": plot}
    _check_written({option: path for option, path in written.items() if path is not None}, input)
    if plot is not None:
        page.check_plot()
    result = api.benchmark(api.BenchConfig(input=input, **values), printer.progress)
    if report is not None:
        write_json(report, result.as_dict())
    if markdown is not None:
        write_whole(markdown, page.markdown(result).encode())
    if plot is not None:
        write_whole(plot, page.picture(result))
    printer.show(result, lambda: lines(result))


command.add_command(bench_compare.command)
command.add_command(bench_tune.command)


def _check_written(paths: Mapping[str, Path], input: str | None) -> None:
    """Refuse, before any work, paths that cannot be written, the input's path, and one path given twice. Raises ConfigError."""
    from vsr.media.outputs import check_outputs

    outputs: list[str] = []
    for option, path in paths.items():
        check_report_path(path, option)
        check_writable(path, overwrite=True)
        check_outputs([input] if input else [], outputs, path)
        outputs.append(str(path))


def lines(result: BenchResult) -> list[str]:
    """The figures as a table, and notes about them."""
    from vsr.bench.page import HEAD, NUMBERS, notes, rows

    return [*text.table([HEAD, *rows(result)], numbers=NUMBERS), "", *notes(result)]
