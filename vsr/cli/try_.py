"""`vsr try`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsr.cli import text
from vsr.cli.printer import Printer, printing
from vsr.cli.terminal import status

if TYPE_CHECKING:
    from vsr.evaluation.trial import Trial


@click.command("try")
@click.argument("url", metavar="INPUT")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("try.html"),
    show_default=True,
    help="File of the page.",
)
@click.option(
    "--scale", type=click.Choice(["2", "4"]), default="2", show_default=True, help="Factor per side."
)
@click.option(
    "--full", is_flag=True, help="Enlarge whole frames instead of windows of 320x180; this takes longer."
)
@click.option("--overwrite", is_flag=True, help="Replace a page that exists.")
@printing
def command(url: str, output: Path, scale: str, full: bool, overwrite: bool, printer: Printer) -> None:
    """Try the networks that suit INPUT on three places of it, and write a page that shows them side by side.

    The page is there with pictures after some seconds. Clips of two seconds follow, of as many networks as a minute is enough
    for. For each network the page gives the command, and the estimated frames a second, hours and gigabytes for the whole of
    INPUT.
    """
    from vsr import api

    config = api.TryConfig(url, output, int(scale), full, overwrite)
    shows = sys.stderr.isatty() and not printer.quiet
    found = api.try_out(config, status if shows else None)
    if shows:
        status("")
    printer.show(found, lambda: lines(found))


def lines(found: Trial) -> list[str]:
    """A table of the networks, why one is taken, and where the page is."""
    rows = [["network", "fps", "hours", "GB", "clips"]]
    rows += [
        [
            each.model,
            f"{each.fps:.3g}",
            "" if each.hours is None else f"{each.hours:.2g}",
            "" if each.gigabytes is None else f"{each.gigabytes:.2g}",
            "yes" if each.model in found.clips else "",
        ]
        for each in found.tried
    ]
    return [
        *text.table(rows, numbers=(1, 2, 3)),
        *(f"auto takes {each.model}, {each.why}" for each in found.tried if each.why),
        f"wrote {found.output}",
    ]
