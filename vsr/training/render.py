"""Pictures drawn by this program. They hold patterns that are rare in photographs; without them, networks blur such patterns
or fail on them."""

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
_BAYER = np.array([[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]])


def rendered_luma(seed: int, side: int) -> npt.NDArray[np.uint8]:
    """Luma uint8 [side, side] of a rendered picture, as `rendered_rgb` makes it."""
    return y_from_rgb(rendered_rgb(seed, side))


def rendered_rgb(seed: int, side: int) -> npt.NDArray[np.uint8]:
    """A picture uint8 [side, side, 3] with text, lines and shapes on a flat or shaded ground; `seed` decides all.

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
    return np.asarray(reduced)


def moved_luma(seed: int, side: int, apart: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """The same picture twice, uint8 [side, side] each; in the second its content has moved by `apart` pixels to the left."""
    wide = rendered_luma(seed, side + apart)[:side]
    return wide[:, :side].copy(), wide[:, apart:].copy()


def pixel_pattern(seed: int, side: int) -> npt.NDArray[np.uint8]:
    """Luma uint8 [side, side] of fields where single pixels alternate: dither, hatching, sprites, noise; `seed` decides all.

    These are for the low resolution. A reduced photograph never alternates so hard, and the results of a network trained on
    photographs alone have no bounds there. The target is that of pixel art: each pixel becomes a block.
    """
    rng = np.random.default_rng(seed)
    picture = np.full((side, side), rng.integers(256), np.uint8)
    for number in range(rng.integers(1, 6)):
        top, left = (0, 0) if number == 0 else rng.integers(0, side - 8, 2)
        field = picture[top : top + rng.integers(8, side + 1), left : left + rng.integers(8, side + 1)]
        field[:] = _pattern(rng, *field.shape)
    return picture


def _pattern(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.uint8]:
    """One field of two levels, or of noise between them."""
    contrast = rng.integers(40, 256)
    low = rng.integers(0, 256 - contrast)
    kind = rng.integers(6)
    y, x = np.mgrid[:height, :width]
    cell, threshold = rng.integers(1, 4), rng.random()
    if (
        kind == 0
    ):  # Checkers and stripes, upright, level and oblique; but no lines that alternate one by one, as in
        # interlaced pictures and in a camera's pictures of fine grids.
        down, right = [(1, 1), (0, 1), (1, 0), (1, 2), (2, 1)][rng.integers(5)]
        period = int(rng.integers(2, 5))
        if cell == 1 and period == 2 and not down * right % 2:
            period = 3
        share = np.asarray((y // cell * down + x // cell * right) % period == 0, float)
    elif kind == 1:  # A shade in Bayer's ordered dither.
        shade = (y * rng.random() / height + x * rng.random() / width + threshold) % 1.0
        share = np.asarray(shade > (_BAYER[y % 4, x % 4] + 0.5) / 16, float)
    elif kind == 2:  # Noise of two levels, in pixels or in cells of some.
        share = np.asarray(rng.random((height, width))[y // cell, x // cell] < threshold, float)
    elif kind == 3:  # Noise of all levels.
        share = rng.random((height, width))
    elif kind == 4:  # Sprites: one of random pixels, symmetrical, again and again.
        size = rng.integers(4, 17)
        sprite = rng.random((size, size)) < threshold
        share = np.asarray((sprite | sprite[:, ::-1])[y % size, x % size], float)
    else:  # Few dots on a plain ground.
        share = np.asarray(rng.random((height, width)) < 0.05, float)
    if rng.random() < 0.5:
        share = 1.0 - share
    return np.asarray(np.rint(low + contrast * share), np.uint8)


def _colour(rng: random.Random) -> Colour:
    if rng.random() < 0.4:  # Text is mostly black and white.
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
