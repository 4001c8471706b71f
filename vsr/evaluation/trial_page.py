"""The page of `vsr try`: a table of what each network costs, and for each place its stills and clips side by side."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vsr.evaluation.page import Rgb, data_url

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 1rem; color: #222 }
table { border-collapse: collapse } td, th { padding: .2rem 1rem .2rem 0; text-align: left; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums } tr.taken { font-weight: bold }
code { user-select: all } .row { display: flex; gap: .5rem; overflow-x: auto }
figure { margin: 0 } img, video { display: block; image-rendering: pixelated }
"""

# All clips of a place show the same moment.
_SCRIPT = """
for (const row of document.querySelectorAll('.row.clips')) {
  const [first, ...others] = row.querySelectorAll('video');
  const follow = () => others.forEach(video => {
    if (Math.abs(video.currentTime - first.currentTime) > .05) video.currentTime = first.currentTime;
  });
  for (const event of ['timeupdate', 'seeked', 'play']) first.addEventListener(event, follow);
}
"""


@dataclass(slots=True)
class Tried:
    """A network on an input. why: why `auto` takes it, empty for others. fps: of whole frames here, with reading and encoding,
    estimated by the network's time for the tried pictures. hours, gigabytes: of the whole input, None if unknown."""

    model: str
    command: str
    why: str = ""
    fps: float = 0.0
    hours: float | None = None
    gigabytes: float | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A place. stills: uint8 [H, W, 3]; clips: MP4 files; both by model."""

    at_s: float
    stills: Mapping[str, Rgb]
    clips: Mapping[str, bytes]


def trial_page(name: str, tried: Sequence[Tried], places: Sequence[Shown], *, more: bool) -> str:
    """The whole page; everything is inside. more: the clips are still being made, and the page loads itself again."""
    again = '<meta http-equiv="refresh" content="5">' if more else ""
    title = f"Tries of {html.escape(name)}"
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8">{again}',
        f"<title>{title}</title><style>{_STYLE}</style></head><body><h1>{title}</h1>",
        _table(tried),
        "<p>Clips are being made; the page will show them.</p>" if more else "",
        *(_place(place) for place in places),
        f"<script>{_SCRIPT}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _table(tried: Sequence[Tried]) -> str:
    head = "<tr><th>network</th><th>frames a second</th><th>hours</th><th>gigabytes</th><th>command</th></tr>"
    return f"<table>{head}{''.join(_row(each) for each in tried)}</table>"


def _row(each: Tried) -> str:
    why = f"<br>what auto takes, {html.escape(each.why)}" if each.why else ""
    return (
        f"<tr{' class=taken' if each.why else ''}><td>{html.escape(each.model)}{why}</td>"
        f'<td class="n">{each.fps:.3g}</td><td class="n">{_figure(each.hours)}</td>'
        f'<td class="n">{_figure(each.gigabytes)}</td><td><code>{html.escape(each.command)}</code></td></tr>'
    )


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2g}"


def _place(place: Shown) -> str:
    stills = "".join(
        f'<figure><img src="{data_url(still)}" width="{still.shape[1]}" height="{still.shape[0]}" alt="">'
        f"<figcaption>{html.escape(model)}</figcaption></figure>"
        for model, still in place.stills.items()
    )
    clips = "".join(
        f'<figure><video src="data:video/mp4;base64,{base64.b64encode(clip).decode()}" autoplay loop muted controls></video>'
        f"<figcaption>{html.escape(model)}</figcaption></figure>"
        for model, clip in place.clips.items()
    )
    return (
        f'<h2>At {place.at_s:.1f} s</h2><div class="row">{stills}</div><div class="row clips">{clips}</div>'
    )
