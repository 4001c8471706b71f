"""Makes a low-resolution picture from its ground truth."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from vsr.evaluation.datasets import LumaPair, luma_pair
from vsr.evaluation.resize import resize_bicubic
from vsr.media.pictures.pillow import open_image

Luma = npt.NDArray[np.uint8]


def bicubic(name: str, luma: Luma, scale: int, hr_scale: float = 1.0) -> LumaPair:
    """A pair by antialiased bicubic reduction, both sides uint8; of RGB [H, W, 3] each channel by itself.

    `hr_scale` below 1 reduces the ground truth itself first: a photograph at 0.7 of its size shows sharper edges.
    """
    if luma.ndim == 3:
        planes = [bicubic(name, luma[..., number], scale, hr_scale) for number in range(luma.shape[2])]
        return LumaPair(
            name, np.stack([plane.lr for plane in planes], 2), np.stack([plane.hr for plane in planes], 2)
        )
    if hr_scale != 1.0:
        luma = resize_bicubic(luma, hr_scale)
    return luma_pair(name, luma, scale)


def combed(name: str, first: Luma, second: Luma, scale: int) -> LumaPair:
    """A pair of a picture whose lines are by turns of two, as interlaced video has it where something moves.

    The ground truth is the mean of both: no detail is between the lines, and a network should not draw any.
    """
    pairs = [bicubic(name, field, scale) for field in (first, second)]
    lr = pairs[0].lr.copy()
    lr[1::2] = pairs[1].lr[1::2]
    mean = (pairs[0].hr.astype(np.uint16) + pairs[1].hr + 1) // 2
    return LumaPair(name, lr, mean.astype(np.uint8))


def jpeg(luma: Luma, quality: int) -> Luma:
    """What JPEG of a quality from 1 to 100 makes of luma."""
    file = io.BytesIO()
    Image.fromarray(luma).save(file, "JPEG", quality=quality)
    with open_image(file) as image:
        return np.asarray(image)
