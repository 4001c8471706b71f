"""`vsr probe`"""

from __future__ import annotations

import click

from vsr.cli import options, text
from vsr.cli.terminal import say, say_json

_READ_ONCE = "not told of standard input and pipes, which are read once; give a file to see it"


@click.command("probe")
@click.argument("url", metavar="INPUT")
@options.video_stream
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(url: str, video_stream: int | None, as_json: bool) -> None:
    """Show what vsr sees in INPUT and what `vsr upscale` would do with it."""
    from vsr import api
    from vsr.media.address import is_read_once

    found = api.probe(url, video_stream=video_stream).as_dict()
    # Both open the input anew, and a pipe has nothing left for the second.
    if is_read_once(url):
        found["vsr_upscale"] = {"notes": [_READ_ONCE]}
    else:
        found["vsr_upscale"] = api.preview(url, video_stream=video_stream).as_dict()
    if as_json:
        say_json(found)
    else:
        say(*text.tree(found))
