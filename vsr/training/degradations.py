"""How a low-resolution picture is made from its ground truth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from vsr.evaluation.datasets import LumaPair, luma_pair
from vsr.evaluation.resize import resize_bicubic


def bicubic(name: str, luma: npt.NDArray[np.uint8], scale: int, hr_scale: float = 1.0) -> LumaPair:
    """A pair by antialiased bicubic reduction, both sides uint8.

    `hr_scale` below 1 reduces the ground truth itself first: a photograph at 0.7 of its size shows sharper edges.
    """
    if hr_scale != 1.0:
        luma = resize_bicubic(luma, hr_scale)
    return luma_pair(name, luma, scale)
