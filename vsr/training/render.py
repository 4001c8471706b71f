"""Text and line art drawn by the program: what photographs rarely hold, and networks blur without."""

from __future__ import annotations

import math
import random
import string

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from vsr.evaluation.metrics import y_from_rgb

Colour = tuple[int, int, int]

_LETTERS = string.ascii_letters + string.digits * 2 + ".,:;!?()[]+-=*/&%$#@'\""
_SUPERSAMPLING = 2


def rendered_luma(seed: int, side: int = 384) -> npt.NDArray[np.uint8]:
    """Luma uint8 [side, side] of a picture with text, lines and shapes on a flat or shaded ground; `seed` decides all.

    Drawn at twice the size and reduced, so that edges are antialiased as a camera or a renderer would have them.
    """
    rng = random.Random(seed)
    size = side * _SUPERSAMPLING
    picture = _ground(rng, size)
    draw = ImageDraw.Draw(picture)
    for _ in range(rng.randint(2, 10)):
        _shape(rng, draw, size)
    for _ in range(rng.randint(1, 4)):
        _text(rng, picture, size)
    reduced = picture.resize(
        (side, side), Image.Resampling.LANCZOS if rng.random() < 0.5 else Image.Resampling.BOX
    )
    return y_from_rgb(np.asarray(reduced))


def _colour(rng: random.Random) -> Colour:
    if rng.random() < 0.4:  # Black and white are what text mostly is.
        level = rng.choice((0, 0, 20, 235, 255, 255))
        return level, level, level
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def _ground(rng: random.Random, size: int) -> Image.Image:
    if rng.random() < 0.6:
        return Image.new("RGB", (size, size), _colour(rng))
    shade = Image.linear_gradient("L").rotate(rng.choice((0, 90, 180, 270))).resize((size, size))
    return Image.composite(
        Image.new("RGB", (size, size), _colour(rng)), Image.new("RGB", (size, size), _colour(rng)), shade
    )


def _shape(rng: random.Random, draw: ImageDraw.ImageDraw, size: int) -> None:
    def point() -> tuple[int, int]:
        return rng.randint(-size // 8, size + size // 8), rng.randint(-size // 8, size + size // 8)

    kind, colour, width = rng.randrange(6), _colour(rng), rng.choice((1, 2, 2, 3, 4, 6, 10))
    (x0, y0), (x1, y1) = point(), point()
    box = (min(x0, x1), min(y0, y1), max(x0, x1) + 1, max(y0, y1) + 1)
    if kind == 0:
        draw.rectangle(box, fill=colour if rng.random() < 0.5 else None, outline=_colour(rng), width=width)
    elif kind == 1:
        draw.ellipse(box, fill=colour if rng.random() < 0.5 else None, outline=_colour(rng), width=width)
    elif kind == 2:
        draw.polygon([point() for _ in range(rng.randint(3, 6))], fill=colour)
    elif kind == 3:  # A fan of lines: every angle, meeting in a point.
        reach, count = rng.randint(size // 8, size), rng.randint(4, 24)
        for index in range(count):
            angle = 2 * math.pi * index / count
            draw.line(
                (x0, y0, x0 + reach * math.cos(angle), y0 + reach * math.sin(angle)), fill=colour, width=width
            )
    elif kind == 4:  # A hatching of equal lines.
        gap, (dx, dy) = rng.randint(3, 24) + width, rng.choice(((1, 0), (0, 1), (1, 1), (1, -1)))
        for index in range(rng.randint(5, 40)):
            x, y = x0 + index * gap * dx, y0 + index * gap * dy
            draw.line((x, y, x - dy * size // 3, y + dx * size // 3), fill=colour, width=width)
    else:
        for _ in range(rng.randint(2, 12)):
            draw.line((*point(), *point()), fill=colour, width=width)


def _text(rng: random.Random, picture: Image.Image, size: int) -> None:
    height = rng.choice((14, 18, 20, 24, 28, 32, 40, 56, 80, 120))
    font, colour = ImageFont.load_default(height), _colour(rng)
    layer = Image.new("L", (size, size), 0)
    draw = ImageDraw.Draw(layer)
    top = rng.randrange(size)
    for line in range(rng.randint(1, 10)):
        words = ("".join(rng.choices(_LETTERS, k=rng.randint(1, 10))) for _ in range(rng.randint(1, 8)))
        draw.text(
            (rng.randint(-20, size // 2), top + line * height * 1.25), " ".join(words), fill=255, font=font
        )
    if rng.random() < 0.3:
        layer = layer.rotate(rng.uniform(-30, 30), Image.Resampling.BICUBIC)
    picture.paste(Image.new("RGB", (size, size), colour), mask=layer)
