"""`vsr demo`"""

from __future__ import annotations

from pathlib import Path

import click

from vsr.cli import options
from vsr.cli.interrupt import interrupts
from vsr.cli.progress import progress_bar
from vsr.cli.show import report_lines
from vsr.cli.terminal import say


@click.command("demo")
@click.argument("output_dir", type=click.Path(path_type=Path, file_okay=False), default="vsr-demo")
@options.model
@click.option("-q", "--quiet", is_flag=True, help="Print the paths only.")
def command(output_dir: Path, model: str, quiet: bool) -> int:
    """Upscale the shipped clip into OUTPUT_DIR (vsr-demo), with a picture that compares bicubic enlarging and vsr."""
    from vsr import api

    control = api.JobControl()
    with interrupts(control), progress_bar(quiet=quiet) as progress:
        result = api.demo(output_dir, model=model, progress=progress, control=control)
    if not quiet:
        say(*report_lines(result.report))
    for name, path in (("video:  ", result.video), ("picture:", result.picture)):
        if path:
            say(f"{name} {path}")
    return 130 if result.report.stopped_early else 0
