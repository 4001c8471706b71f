"""`vsr bench tune`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vsr.cli import options, text
from vsr.cli.printer import Printer, printing

if TYPE_CHECKING:
    from vsr.bench.tune import TuneResult


@click.command("tune")
@options.model
@options.own_scale
@options.backend
@click.option(
    "--size", type=options.SIZE, default="960x540", show_default=True, help="Size of the input frames."
)
@click.option(
    "--encoder", default="libx264", show_default=True, help="FFmpeg's name of the encoder; null for none."
)
@click.option("--preset", default="superfast", show_default=True, help="Preset of the encoder.")
@click.option(
    "--budget",
    "budget_s",
    type=options.MINUTES,
    default=2,
    show_default=True,
    help="Time for all measurements.",
)
@options.batch
@options.running
@printing
def command(*, printer: Printer, **values: Any) -> None:
    """Find the fastest settings of a network on this machine, and keep them for `vsr upscale` and `vsr stream`.

    The command measures requests in flight, threads, precision, batch, encoder threads and, on a processor, worker processes.
    It does so one after another, each beside the best settings so far. Options of this command are not varied. Options of a
    later command override the kept settings. `vsr doctor` shows the kept settings; they apply to this hardware and these
    versions only.
    """
    from vsr import api

    names = ("size", "encoder", "preset", "budget_s")
    config = api.TuneConfig(options.network(values), **{name: values[name] for name in names})
    result = api.tune(config, printer.progress)
    printer.show(result, lambda: lines(result))


def lines(result: TuneResult) -> list[str]:
    """The measurements, and the kept settings."""
    tuned = result.tuned
    rows = [["", "fps"], ["as it was", text.rate(tuned.fps_before)]]
    rows += [[words, text.rate(fps)] for words, fps in result.tried.items()]
    shown = text.table(rows, numbers=(1,))
    shown += [f"left out, the time was over: {words}" for words in result.left_out]
    gain = f": {text.rate(tuned.fps)} fps, {text.rate(tuned.fps_before)} before" if tuned.fps else ""
    return [*shown, f"{result.model}: {tuned}{gain}", f"kept in {result.path}"]
