"""Small pictures to run networks on, which come with vsr: drawn ones, and parts of its clip."""

from __future__ import annotations

from itertools import islice

import numpy as np

from vsr.backends.base import Arrays
from vsr.core.color import Color
from vsr.core.frame import Frame, PixelFormat
from vsr.media.frames.planes import av_from_frame, frame_from_av
from vsr.media.frames.resize import Converter
from vsr.media.read.open import open_source
from vsr.media.samples import CLIP
from vsr.models.spec import GraphLayout
from vsr.upscale.graph_inputs import small_inputs

_SIDE = 96
# Distance between the frames taken from the clip: they should differ much.
_APART = 12


def drawn(layout: GraphLayout, multiple: int) -> Arrays:
    """A drawn picture of 8 bits: a gradient, a noisy wave, blocks of black and white, from left to right. Planes differ."""
    random = np.random.default_rng(0)
    side = -(-_SIDE // multiple) * multiple
    planes = {}
    for number, name in enumerate(layout.plane_names):
        length = side // 2 if name in "uv" else side
        rows, columns = np.mgrid[0:length, 0:length] / length
        waves = (
            0.5 + 0.3 * np.sin(9 * rows + number) * np.cos(7 * columns) + random.normal(0, 0.02, rows.shape)
        )
        blocks = (rows * 12 // 1 + columns * 12 // 1 + number) % 2
        codes = np.select([columns < 1 / 3, columns < 2 / 3], [rows, waves], blocks)
        planes[name] = np.clip(np.rint(255 * codes), 0, 255).astype(np.uint8)[None, None]
    chroma = (1, 1) if layout.kind == "yuv" else (0, 0)
    return planes | small_inputs(PixelFormat(layout.kind, 8, chroma), Color())


def filmed(layout: GraphLayout, multiple: int) -> list[Arrays]:
    """Parts of frames of the clip, for a gray or an RGB layout of 8 bits."""
    with open_source(str(CLIP)) as source:
        frames = list(islice(source, 0, None, _APART))
        return [middle(frame, layout, multiple, _SIDE) for frame in frames]


def middle_of_file(file: str, layout: GraphLayout, multiple: int, side: int) -> Arrays:
    """The same of a picture, or of a video's first frame."""
    with open_source(file) as source:
        return middle(next(iter(source)), layout, multiple, side)


def middle(frame: Frame, layout: GraphLayout, multiple: int, side: int) -> Arrays:
    """The middle of a frame, `side` samples at most, at half the frame's size: no picture is sharper than that."""
    given, color = av_from_frame(frame), frame.color
    size = max(multiple, frame.width // 2), max(multiple, frame.height // 2)
    name = "gray" if layout.kind == "gray" else "gbrp"
    convert = Converter(given.format.name, (frame.width, frame.height), color, name, size, color)
    small = frame_from_av(convert(given))
    left, top = (max(0, length - side) // 2 for length in size)
    width, height = (min(length, side) // multiple * multiple for length in size)
    planes = {
        name: np.ascontiguousarray(np.asarray(plane)[top : top + height, left : left + width])[None, None]
        for name, plane in zip(layout.plane_names, small.planes, strict=True)
    }
    return planes | small_inputs(small.format, small.color)
