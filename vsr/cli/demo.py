"""`vsr demo`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vsr.cli import options
from vsr.cli.interrupt import interrupts
from vsr.cli.printer import Printer, printing
from vsr.cli.progress import progress_bar
from vsr.cli.show import report_lines

if TYPE_CHECKING:
    from vsr.evaluation.demo import DemoResult


@click.command("demo")
@click.argument("output_dir", type=click.Path(path_type=Path, file_okay=False), default="vsr-demo")
@options.model
@printing
def command(output_dir: Path, model: str, printer: Printer) -> int:
    """Upscale the clip that comes with vsr into OUTPUT_DIR (vsr-demo), and compare it with bicubic enlarging in a picture."""
    from vsr import api

    control = api.JobControl()
    with interrupts(control), progress_bar(quiet=printer.quiet) as progress:
        result = api.demo(output_dir, model=model, progress=progress, control=control)
    printer.show(result, lambda: lines(result))
    return 130 if result.report.stopped_early else 0


def lines(result: DemoResult) -> list[str]:
    """The report, and where the video and the picture are."""
    paths = (("video:  ", result.video), ("picture:", result.picture))
    return [*report_lines(result.report), *(f"{name} {path}" for name, path in paths if path)]
