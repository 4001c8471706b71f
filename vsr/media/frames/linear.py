"""Encodes linear light as sRGB: networks and 8 bits are not made for values proportional to light."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import av
import numpy as np
import numpy.typing as npt

from vsr.core.frame import Frame

IN_DECODER = {"exr": {"apply_trc": "iec61966_2_1"}} if av.library_versions["libavcodec"] < (63,) else {}
"""Options of the decoders that encode it themselves, in floating point: FFmpeg 9 has none."""
LINEAR_CODECS = frozenset({"exr", "hdr"})
"""Codecs of pictures in linear light, by FFmpeg's names."""


def encoded_as_srgb(frame: Frame) -> Frame:
    """A frame of 16 bits RGB, full range, in linear light, as sRGB (IEC 61966-2-1)."""
    planes = [_curve()[np.ascontiguousarray(plane).view("<u2")].view(np.uint8) for plane in frame.planes]
    return replace(frame, planes=planes)


@cache
def _curve() -> npt.NDArray[np.uint16]:
    light = np.arange(65536) / 65535
    codes = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(65535 * codes), "<u2")
