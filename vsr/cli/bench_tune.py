"""`vsr bench tune`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vsr.cli import options, text
from vsr.cli.terminal import note, say, say_json

if TYPE_CHECKING:
    from vsr.bench.tune import TuneResult


@click.command("tune")
@options.model
@options.own_scale
@options.backend
@click.option(
    "--size", type=options.SIZE, default="960x540", show_default=True, help="Of the frames that go in."
)
@click.option("--encoder", default="libx264", show_default=True, help="What they go into; null for nothing.")
@click.option("--preset", default="superfast", show_default=True, help="Of the encoder.")
@click.option(
    "--budget", "budget_s", type=options.MINUTES, default=2, show_default=True, help="For all of it."
)
@options.batch
@options.running
@click.option("--json", "as_json", is_flag=True, help="Print the JSON.")
def command(*, as_json: bool, **values: Any) -> None:
    """Find how a network runs fastest here, and keep that for `vsr upscale` and `vsr stream`.

    Requests in flight, threads, precision, batch, encoder threads and, on a processor, worker processes are measured one after
    another, each beside what is best so far. What is given here is not changed, and what is given to a command later counts
    more. `vsr doctor` shows what is kept. It holds for this hardware and these versions.
    """
    from vsr import api

    names = ("size", "encoder", "preset", "budget_s")
    config = api.TuneConfig(options.network(values), **{name: values[name] for name in names})
    result = api.tune(config, note)
    if as_json:
        say_json(result.as_dict())
    else:
        say(*lines(result))


def lines(result: TuneResult) -> list[str]:
    """What was measured, and what is kept."""
    tuned = result.tuned
    rows = [["", "fps"], ["as it was", text.rate(tuned.fps_before)]]
    rows += [[words, text.rate(fps)] for words, fps in result.tried.items()]
    shown = text.table(rows, numbers=(1,))
    shown += [f"left out, the time was over: {words}" for words in result.left_out]
    gain = f": {text.rate(tuned.fps)} fps, {text.rate(tuned.fps_before)} before" if tuned.fps else ""
    return [*shown, f"{result.model}: {tuned}{gain}", f"kept in {result.path}"]
