"""`vsr probe`"""

from __future__ import annotations

import click

from vsr.cli import options, text
from vsr.cli.printer import Printer, printing

_READ_ONCE = "unknown: standard input and pipes can be read only once; give a file to see it"


@click.command("probe")
@click.argument("url", metavar="INPUT")
@options.video_stream
@printing
def command(url: str, video_stream: int | None, printer: Printer) -> None:
    """Show the streams of INPUT, and the plan of `vsr upscale` for it."""
    from vsr import api
    from vsr.media.address import is_read_once

    found = api.probe(url, video_stream=video_stream).as_dict()
    # Both functions open the input, and a pipe can be read only once.
    if is_read_once(url):
        found["vsr_upscale"] = {"notes": [_READ_ONCE]}
    else:
        found["vsr_upscale"] = api.preview(url, video_stream=video_stream).as_dict()
    printer.show(found, lambda: text.tree(found))
