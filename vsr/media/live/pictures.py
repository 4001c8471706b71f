"""Single pictures of a stream, for looking at."""

from __future__ import annotations

from fractions import Fraction
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

from vsr.core.frame import Frame
from vsr.media.frames.planes import av_from_frame

_QUALITY = 4  # from 2 to 31, less is better


def rgb_array(frame: Frame) -> NDArray[np.uint8]:
    """Shape (height, width, 3)."""
    return cast("NDArray[np.uint8]", av_from_frame(frame, "rgb24").to_ndarray())


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
