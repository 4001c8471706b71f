"""A comparison as one HTML page: a slider between the two pictures, magnified crops, and curves over time."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsr.evaluation.moving import FRAMES, Moving

if TYPE_CHECKING:
    from vsr.evaluation.comparison import Comparison

Rgb = npt.NDArray[np.uint8]

_ZOOM = 4
_WIDTH = 1200  # Of the page, in pixels.
_COLOURS = ("#c0392b", "#2471a3")
_TITLES = {"psnr_y": "PSNR of Y, dB", "ssim_y": "SSIM of Y"}

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; color: #222 }
table { border-collapse: collapse } td, th { padding: .2rem 1rem .2rem 0; text-align: left }
td.n { text-align: right; font-variant-numeric: tabular-nums }
.pair { position: relative; overflow: hidden; line-height: 0; touch-action: none; cursor: ew-resize }
.pair img { width: 100% } .pair .over { position: absolute; inset: 0; clip-path: inset(0 50% 0 0) }
.pair .line { position: absolute; top: 0; bottom: 0; left: 50%; width: 2px; background: #fff; box-shadow: 0 0 3px #000 }
.pair span { position: absolute; top: .5rem; padding: .1rem .5rem; background: #000a; color: #fff; line-height: 1.5 }
.pair .l { left: .5rem } .pair .r { right: .5rem }
input[type=range] { width: 100% }
.crops { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0 }
figure { margin: 0 } figure img { image-rendering: pixelated; display: block; max-width: 100% }
svg { width: 100%; height: auto; background: #fafafa; border: 1px solid #ddd }
"""

_SCRIPT = """
for (const pair of document.querySelectorAll('.pair')) {
  const slider = pair.nextElementSibling;
  const over = pair.querySelector('.over'), line = pair.querySelector('.line');
  const show = () => {
    over.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
    line.style.left = slider.value + '%';
  };
  slider.addEventListener('input', show);
  const drag = event => {
    if (event.type === 'pointermove' && !event.buttons) return;
    const box = pair.getBoundingClientRect();
    slider.value = 100 * (event.clientX - box.left) / box.width;
    show();
  };
  pair.addEventListener('pointerdown', drag);
  pair.addEventListener('pointermove', drag);
  show();
}
"""


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame shown: its pictures (a, b and perhaps the reference), uint8 [H, W, 3], and crops of each of them."""

    number: int
    seconds: float
    pictures: tuple[Rgb, ...]
    crops: Sequence[tuple[Rgb, ...]]


def page(comparison: Comparison, labels: Sequence[str], shots: Sequence[Shot], moving: Moving) -> str:
    """The whole page; everything is inside."""
    title = f"{labels[0]} and {labels[1]}"
    parts = [
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
        *(f"<p>{html.escape(note)}</p>" for note in comparison.notes),
        _table(comparison),
        *(_shot(shot, labels) for shot in shots),
        *_moving(moving, labels),
        *(_curve(comparison, name) for name in _TITLES if len(comparison.seconds) > 1),
        f"<script>{_SCRIPT}</script></body></html>",
    ]
    return "\n".join(parts) + "\n"


def _table(comparison: Comparison) -> str:
    rows = "".join(
        f'<tr><td>{html.escape(pair)}</td><td class="n">{mean["psnr_y"]:.2f} dB</td>'
        f'<td class="n">{mean["ssim_y"]:.4f}</td></tr>'
        for pair, mean in comparison.means.items()
    )
    head = f"<tr><th>mean of {len(comparison.seconds)} frames</th><th>PSNR of Y</th><th>SSIM of Y</th></tr>"
    return f"<table>{head}{rows}</table>"


def _shot(shot: Shot, labels: Sequence[str]) -> str:
    left, right = (html.escape(label) for label in labels[:2])
    pair = (
        f'<div class="pair"><img src="{data_url(shot.pictures[1])}" alt="{right}">'
        f'<img class="over" src="{data_url(shot.pictures[0])}" alt="{left}"><div class="line"></div>'
        f'<span class="l">{left}</span><span class="r">{right}</span></div>'
        '<input type="range" min="0" max="100" step="0.1" value="50" aria-label="where the two meet">'
    )
    crops = "".join(
        '<div class="crops">'
        + "".join(
            f'<figure><img src="{data_url(crop, _ZOOM)}" alt=""><figcaption>{html.escape(label)}</figcaption></figure>'
            for crop, label in zip(crops, labels, strict=True)
        )
        + "</div>"
        for crops in shot.crops
    )
    return f"<h2>Frame {shot.number}, at {shot.seconds:.2f} s</h2>{pair}{crops}"


def _moving(moving: Moving, labels: Sequence[str]) -> Iterator[str]:
    """What moves, if anything does: a row for each input."""
    if (detail := moving.detail) is not None:
        yield f"<h2>Frames {detail.first} to {detail.first + FRAMES - 1} of a moving detail</h2>"
        yield from _rows(labels, [np.hstack(crops) for crops in zip(*detail.crops, strict=True)])
    if (found := moving.time_slice()) is not None:
        yield f"<h2>Column {found.column} over time</h2><p>Time runs to the right; what is steady makes straight lines.</p>"
        yield from _rows(labels, found.pictures)


def _rows(labels: Sequence[str], pictures: Sequence[Rgb]) -> Iterator[str]:
    for label, picture in zip(labels, pictures, strict=True):
        zoom = max(1, min(_ZOOM, _WIDTH // picture.shape[1]))
        yield f'<figure><img src="{data_url(picture, zoom)}" alt=""><figcaption>{html.escape(label)}</figcaption></figure>'


def data_url(picture: Rgb, zoom: int = 1) -> str:
    """A picture, magnified, as a URL; PNG, because compared pictures must not be compressed again."""
    image = Image.fromarray(np.ascontiguousarray(picture))
    if zoom > 1:
        image = image.resize((image.width * zoom, image.height * zoom), Image.Resampling.NEAREST)
    file = io.BytesIO()
    image.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _curve(comparison: Comparison, name: str) -> str:
    """An SVG of one figure over time, a line for each pair."""
    width, height, left, below = 1000, 260, 60, 30
    curves = {pair: rows[name] for pair, rows in comparison.figures.items()}
    values = [value for rows in curves.values() for value in rows]
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    first, last = comparison.seconds[0], comparison.seconds[-1]
    length = (last - first) or 1.0

    def point(second: float, value: float) -> str:
        x = left + (second - first) / length * (width - left - 10)
        return f"{x:.1f},{10 + (high - value) / span * (height - below - 10):.1f}"

    lines, legend = [], []
    for (pair, rows), colour in zip(curves.items(), _COLOURS, strict=False):
        points = " ".join(point(s, v) for s, v in zip(comparison.seconds, rows, strict=True))
        lines.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        legend.append(f'<span style="color:{colour}">{html.escape(pair)}</span>')
    text = 'font-size="13" fill="#555"'
    axes = (
        f'<text x="4" y="18" {text}>{high:.4g}</text><text x="4" y="{height - below}" {text}>{low:.4g}</text>'
        f'<text x="{left}" y="{height - 8}" {text}>{first:.1f} s</text>'
        f'<text x="{width - 60}" y="{height - 8}" {text}>{last:.1f} s</text>'
    )
    return (
        f"<h2>{_TITLES[name]}</h2><p>{' &nbsp; '.join(legend)}</p>"
        f'<svg viewBox="0 0 {width} {height}">{axes}{"".join(lines)}</svg>'
    )
