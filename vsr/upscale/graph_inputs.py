"""Makes the small inputs of a frame graph from a format and its colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vsr.core.color import Color, luma_coefficients
from vsr.core.frame import PixelFormat


def small_inputs(format: PixelFormat, color: Color, strength: float = 1.0) -> dict[str, NDArray[np.float32]]:
    """gain, bias, max_code, luma_weights, chroma_gain and strength as `vsr.models.spec` defines them.

    Networks see luma as BT.601 limited range / 255. RGB is always full range.
    """
    if format.kind == "rgb" or color.full_range:
        gain, bias, chroma_gain = 219 / 255 / format.max_code, 16 / 255, 1 / format.max_code
    else:
        unit = 1 << (format.bits - 8)
        gain, bias, chroma_gain = 1 / (255 * unit), 0.0, 1 / (224 * unit)
    kr, kg, kb = luma_coefficients(color.matrix)
    return {
        "gain": np.array(gain, np.float32),
        "bias": np.array(bias, np.float32),
        "max_code": np.array(format.max_code, np.float32),
        "luma_weights": np.array([kg, kb, kr], np.float32),
        "chroma_gain": np.array(chroma_gain, np.float32),
        "strength": np.array(strength, np.float32),
    }
