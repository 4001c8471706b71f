"""Single pictures of a stream, for looking at."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from numpy.typing import NDArray

from vsr.core.frame import Frame
from vsr.media.frames.planes import av_from_frame

_SLATE_GRAY, _SLATE_TEXT = 40, 200
_QUALITY = 4  # from 2 to 31, less is better


def rgb_array(frame: Frame) -> NDArray[np.uint8]:
    """Shape (height, width, 3)."""
    return cast("NDArray[np.uint8]", av_from_frame(frame, "rgb24").to_ndarray())


def slate(like: Frame, *lines: str) -> Frame:
    """A dark gray picture with lines of text, in the size, format and colour of another."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (like.width, like.height), _SLATE_GRAY)
    draw, height = ImageDraw.Draw(image), max(8, like.height // 14)
    longest = max(map(len, lines))
    font = ImageFont.load_default(max(6, min(height, 2 * like.width // max(1, longest + 2))))
    top = like.height / 2 - 0.75 * height * (len(lines) - 1)
    for number, line in enumerate(lines):
        draw.text((like.width / 2, top + 1.5 * height * number), line, _SLATE_TEXT, font, anchor="mm")
    codes = np.asarray(image, np.float32) / 255
    most = like.format.max_code
    limited = like.format.kind != "rgb" and not like.color.full_range
    codes = (16 + 219 * codes) * (most + 1) / 256 if limited else codes * most
    gray = _bytes_of(codes, like)
    planes = []
    for number in range(like.format.num_planes):
        width, height = like.format.plane_size(number, like.width, like.height)
        if like.format.alpha and number == like.format.num_planes - 1:
            planes.append(_bytes_of(np.full((height, width), most, np.float32), like))
        elif like.format.kind == "yuv" and number:
            planes.append(_bytes_of(np.full((height, width), (most + 1) / 2, np.float32), like))
        else:
            planes.append(gray)
    return replace(like, planes=planes, on_device=None, side={})


def _bytes_of(codes: NDArray[Any], like: Frame) -> NDArray[np.uint8]:
    dtype = "<u1" if like.format.bytes_per_sample == 1 else "<u2"
    return np.ascontiguousarray(codes.round().astype(dtype)).view(np.uint8)


def jpeg(frame: Frame, most_width: int) -> bytes:
    """A frame as a JPEG file, made smaller where it is wider than that."""
    width = min(frame.width, most_width)
    height = max(2, round(frame.height * width / frame.width))
    context = av.CodecContext.create("mjpeg", "w")
    context.width, context.height, context.pix_fmt = width, height, "yuvj420p"
    context.time_base = Fraction(1, 25)
    context.color_range = 2
    context.flags |= 1 << 1  # AV_CODEC_FLAG_QSCALE
    context.global_quality = _QUALITY
    picture = av_from_frame(frame).reformat(width, height, "yuvj420p", dst_color_range=2)
    picture.pts = 0
    return b"".join(bytes(packet) for packet in [*context.encode(picture), *context.encode(None)])
