"""`vsr compare`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsr.cli import text
from vsr.cli.printer import Printer, printing
from vsr.cli.terminal import status

if TYPE_CHECKING:
    from vsr.evaluation.comparison import Comparison


@click.command("compare")
@click.argument("a")
@click.argument("b")
@click.argument("reference", required=False)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("compare.html"),
    show_default=True,
    help="File of the page.",
)
@click.option("--frames", type=click.IntRange(1), help="Most frames to compare.  [default: all]")
@click.option("--overwrite", is_flag=True, help="Replace a page that exists.")
@click.option(
    "--blind", is_flag=True, help="Make a page that asks which picture is better, and names both at its end."
)
@printing
def command(
    a: str,
    b: str,
    reference: str | None,
    output: Path,
    frames: int | None,
    overwrite: bool,
    blind: bool,
    printer: Printer,
) -> None:
    """Compare the videos or pictures A and B with each other, or both with a REFERENCE.

    \b
    vsr compare in_x2.mp4 other.mp4
    vsr compare fast.png balanced.png original.png -o page.html

    Writes a page with a slider between A and B, magnified crops of the largest differences, eight frames of a moving detail, a
    column of the picture over time, and curves. PSNR is at most 100 dB, the value for equal frames. Frames are paired by
    number; a note says where their times differ.
    With --blind the page shows A and B without names, frame by frame and crop by crop. Keys 1 and 2 choose; at the end
    there is a tally, as JSON.
    """
    from vsr import api

    config = api.CompareConfig(a, b, reference, output, frames, overwrite, blind)
    shows = sys.stderr.isatty() and not printer.quiet
    found = api.compare(config, status if shows else None)
    if shows:
        status("")
    printer.show(found, lambda: lines(found))


def lines(found: Comparison) -> list[str]:
    """The means, notes, and where the page is."""
    rows = [[f"mean of {len(found.seconds)} frames", "PSNR Y", "SSIM Y"]]
    rows += [[pair, f"{mean['psnr_y']:.2f}", f"{mean['ssim_y']:.4f}"] for pair, mean in found.means.items()]
    return [
        *text.table(rows, numbers=(1, 2)),
        *(f"note: {note}" for note in found.notes),
        f"wrote {found.output}",
    ]
