"""Makes a low-resolution picture from its ground truth."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from vsr.evaluation.datasets import LumaPair, luma_pair
from vsr.evaluation.resize import resize_bicubic
from vsr.media.compress import compressed
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


def realistic(
    name: str, luma: Luma, scale: int, hr_scale: float = 1.0, *, rng: np.random.Generator
) -> LumaPair:
    """A pair as a camera and a codec would have it, every strength drawn from `rng`: blur, reduction by one of three
    filters, sensor noise (stronger where it is bright), then JPEG or H.264 or HEVC, or neither.

    In the manner of BSRGAN (Zhang et al., "Designing a practical degradation model for deep blind image super-resolution",
    2021), with real encoders, whose output is not always the same to the bit.
    """
    pair = bicubic(name, luma, scale, hr_scale)
    height, width = pair.lr.shape
    image = Image.fromarray(pair.hr)
    if rng.random() < 0.7:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.2, 1.2)) * scale / 2))
    filters = (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.BOX)
    small = np.asarray(image.resize((width, height), filters[rng.integers(3)]), np.float64)
    if rng.random() < 0.6:
        deviation = rng.uniform(0.5, 4.0) * np.sqrt(0.3 + small / 255.0)
        small += rng.normal(size=small.shape) * deviation
    lr = np.clip(np.rint(small), 0, 255).astype(np.uint8)
    kind = rng.random()
    if kind < 0.2:
        lr = jpeg(lr, int(rng.integers(40, 95)))
    elif kind < 0.85:
        encoder: Literal["libx264", "libx265"] = "libx264" if kind < 0.55 else "libx265"
        lr = compressed(lr, encoder, int(rng.integers(18, 36)), drift=int(rng.integers(0, 3)))
    return LumaPair(name, lr, pair.hr)


def jpeg(luma: Luma, quality: int) -> Luma:
    """What JPEG of a quality from 1 to 100 makes of luma."""
    file = io.BytesIO()
    Image.fromarray(luma).save(file, "JPEG", quality=quality)
    with open_image(file) as image:
        return np.asarray(image)
