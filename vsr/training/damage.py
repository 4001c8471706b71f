"""What happens to a picture between a scene and its file: a patch in colour and its ground truth, damaged anew at each draw.

In the manner of Real-ESRGAN (Wang et al., "Real-ESRGAN: training real-world blind super-resolution with pure synthetic data",
2021): blur, reduction, noise and compression, some of them twice; with real encoders, on pictures that move.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from vsr.media.compress import Codec, compressed
from vsr.media.pictures.pillow import open_image

Rgb = npt.NDArray[np.uint8]
Planes = npt.NDArray[np.float32]

MARGIN = 8
"""Pixels of the low resolution around a patch that are damaged with it, so that its edges are as those inside a picture."""
MOST_MOVED = 3
"""Pixels of the low resolution that a picture moves between two frames, at most."""
_FRAMES = 3
_REDUCTIONS = (
    Image.Resampling.BICUBIC,
    Image.Resampling.BILINEAR,
    Image.Resampling.BOX,
    Image.Resampling.LANCZOS,
)
# Of luma and chroma, BT.601; Cb and Cr in -0.5..0.5.
_TO_PLANES = np.array(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32
)
# Each codec's share of the clips, and its range of qualities, from good to hard: CRF, or the quantizer of MPEG-2 and MPEG-4.
_CODECS: tuple[tuple[float, Codec, tuple[int, int]], ...] = (
    (0.5, "libx264", (18, 38)),
    (0.15, "libx265", (18, 36)),
    (0.15, "mpeg2video", (2, 14)),
    (0.2, "mpeg4", (2, 14)),
)


class Damaged(NamedTuple):
    """A patch: `lr` float32 [3, h, w], and its ground truth `hr` [3, h x scale, w x scale]: luma in limited range / 255, as
    networks take it, and Cb and Cr in -0.5..0.5."""

    lr: Planes
    hr: Planes


@dataclass(frozen=True)
class Degradation:
    """How often and how hard pictures are damaged. All but the last three are shares of the patches, 0..1.

    `clean` are reduced by bicubic, and nothing else. Of the others, `jpeg` are stills in JPEG, of quality `least_quality` or
    more, and `video` are compressed by a codec, up to the share `hardest` of its range; the rest is as the camera took it.
    `simple` of the cameras reduce by bicubic, without blur, sharpening or an earlier copy. `noisy` of them add noise, of a
    deviation up to `noise` code values. `combed` of all that are damaged have lines of two times.
    """

    clean: float
    jpeg: float
    video: float
    simple: float
    noisy: float
    combed: float
    noise: float
    least_quality: int
    hardest: float


DEGRADATIONS: Mapping[str, Degradation] = {
    # Cameras, codecs and copies as they are found.
    "realistic": Degradation(0.0, 0.25, 0.45, 0.35, 0.65, 0.02, noise=20, least_quality=15, hardest=1.0),
    # Drawings: compressed, hardly ever noisy.
    "drawn": Degradation(0.3, 0.4, 0.45, 0.6, 0.15, 0.02, noise=8, least_quality=25, hardest=0.8),
    # For networks whose pictures are clean: enough for them to leave damage alone.
    "light": Degradation(0.6, 0.3, 0.1, 0.7, 0.65, 0.15, noise=12, least_quality=40, hardest=0.5),
}


def side_needed(patch: int, scale: int) -> int:
    """The side in high resolution of the crop that `damaged` makes a patch of."""
    return (patch + 2 * MARGIN + MOST_MOVED * (_FRAMES - 1)) * scale


def damaged(crop: Rgb, scale: int, rng: np.random.Generator, how: Degradation) -> Damaged:
    """Damage a crop uint8 [S, S, 3] of a size that `side_needed` gives; all that is done is drawn from `rng`."""
    drift = int(rng.integers(0, MOST_MOVED + 1))
    side = crop.shape[0] - MOST_MOVED * (_FRAMES - 1) * scale
    kind = rng.random()
    if rng.random() < how.clean:
        shot = crop[:side, :side]
        return _cut(planes_of(_reduced(shot, scale, _REDUCTIONS[0])), planes_of(shot), scale)
    moves = drift and kind < how.video
    shots = [crop[:side, at : at + side] for at in (np.arange(_FRAMES) * drift * scale if moves else (0,))]
    truth = planes_of(shots[-1])
    camera = _camera(scale, rng, how)
    small = [camera(shot) for shot in shots]
    if kind < how.video:
        codec, quality = _codec(rng, how.hardest)
        frames = small if moves else small * _FRAMES
        lr = _enlarged_chroma(compressed([_halved_chroma(frame) for frame in frames], codec, quality)[-1])
    elif kind < how.video + how.jpeg:
        lr = planes_of(_jpeg(small[-1], rng, how.least_quality))
    else:
        lr = planes_of(small[-1])
    if rng.random() < how.combed:
        lr, truth = _combed(lr, truth, 1 + int(rng.integers(MARGIN)), scale)
    return _cut(lr, truth, scale)


def _cut(lr: Planes, truth: Planes, scale: int) -> Damaged:
    cut, large = slice(MARGIN, -MARGIN), slice(MARGIN * scale, -MARGIN * scale)
    return Damaged(lr[:, cut, cut].copy(), truth[:, large, large].copy())


def planes_of(rgb: Rgb) -> Planes:
    """Luma, Cb and Cr float32 [3, H, W] of uint8 [H, W, 3], in the units of `Damaged`."""
    planes = np.moveaxis(rgb.astype(np.float32) @ _TO_PLANES.T, 2, 0) / 255.0
    planes[0] = (planes[0] * 219.0 + 16.0) / 255.0
    return planes


def _reduced(shot: Rgb, scale: int, way: Image.Resampling) -> Rgb:
    size = (shot.shape[1] // scale, shot.shape[0] // scale)
    return np.asarray(Image.fromarray(shot).resize(size, way))


def _camera(scale: int, rng: np.random.Generator, how: Degradation) -> Callable[[Rgb], Rgb]:
    """Blur, reduction, sharpening and noise of one camera, each with the strength that was drawn; noise differs by frame."""
    simple = rng.random() < how.simple
    blur = 0.0 if simple or rng.random() < 0.5 else float(rng.uniform(0.2, 1.0)) * scale / 2
    way = _REDUCTIONS[0] if simple else _REDUCTIONS[rng.integers(4)]
    sharpening = 0 if simple or rng.random() < 0.85 else int(rng.integers(40, 150))
    again = not simple and rng.random() < 0.25
    noise = _noise(rng, how)

    def take(shot: Rgb) -> Rgb:
        image = Image.fromarray(shot)
        if blur:
            image = image.filter(ImageFilter.GaussianBlur(blur))
        size = (shot.shape[1] // scale, shot.shape[0] // scale)
        if again:  # An earlier copy, at another size and in JPEG.
            apart = float(rng.uniform(0.8, 1.6))
            image = image.resize((round(size[0] * apart), round(size[1] * apart)), way)
            image = Image.fromarray(_jpeg(np.asarray(image), rng, max(50, how.least_quality)))
        image = image.resize(size, way)
        if sharpening:
            image = image.filter(ImageFilter.UnsharpMask(1.2, sharpening, 0))
        return noise(np.asarray(image))

    return take


def _noise(rng: np.random.Generator, how: Degradation) -> Callable[[Rgb], Rgb]:
    """White or smooth noise of R'G'B', or of luma or chroma for the most part, perhaps stronger where it is bright."""
    if rng.random() >= how.noisy:
        return lambda picture: picture
    deviation = how.noise * float(rng.random()) ** 1.3
    smooth = float(rng.uniform(0.4, 1.0)) if rng.random() < 0.4 else 0.0
    of_luma, of_each = ((1.0, 1.0), (1.0, 0.3), (0.3, 1.0))[rng.choice(3, p=(0.6, 0.25, 0.15))]
    by_light = rng.random() < 0.3

    def add(picture: Rgb) -> Rgb:
        grain = rng.standard_normal(picture.shape, np.float32)
        common = grain.mean(2, keepdims=True)
        grain = common * of_luma + (grain - common) * of_each
        if smooth:
            grain = _smoothed(grain, smooth)
        if by_light:
            grain *= np.sqrt(0.3 + 1.4 * picture.mean(2, keepdims=True) / 255.0)
        noisy: Rgb = np.clip(np.rint(picture + deviation * grain), 0, 255).astype(np.uint8)
        return noisy

    return add


def _smoothed(grain: npt.NDArray[np.float32], sigma: float) -> npt.NDArray[np.float32]:
    taps = np.exp(-(np.arange(-3, 4, dtype=np.float32) ** 2) / (2 * sigma**2))
    taps /= taps.sum()
    for axis in (0, 1):
        moved = np.stack([np.roll(grain, at - 3, axis) for at in range(len(taps))])
        grain = np.tensordot(taps, moved, 1).astype(np.float32)
    return grain


def _jpeg(picture: Rgb, rng: np.random.Generator, least: int) -> Rgb:
    file = io.BytesIO()
    sampling = 2 if rng.random() < 0.8 else 0
    Image.fromarray(picture).save(file, "JPEG", quality=int(rng.integers(least, 96)), subsampling=sampling)
    with open_image(file) as image:
        decoded: Rgb = np.asarray(image.convert("RGB"))
        return decoded


def _codec(rng: np.random.Generator, hardest: float) -> tuple[Codec, int]:
    number = rng.choice(len(_CODECS), p=[share for share, _, _ in _CODECS])
    _, codec, (good, hard) = _CODECS[number]
    return codec, int(rng.integers(good, round(good + hardest * (hard - good)) + 1))


def _halved_chroma(picture: Rgb) -> Sequence[Rgb]:
    """Y, U and V in 4:2:0 and limited range, uint8; chroma lies in the middle of four samples of luma."""
    y, *chroma = planes_of(picture)
    size = (picture.shape[1] // 2, picture.shape[0] // 2)
    halves = [np.asarray(Image.fromarray(plane).resize(size, Image.Resampling.BOX)) for plane in chroma]
    codes = [y * 255.0, *(128.0 + 224.0 * half for half in halves)]
    return [np.clip(np.rint(plane), 0, 255).astype(np.uint8) for plane in codes]


def _enlarged_chroma(planes: Sequence[Rgb]) -> Planes:
    y, *chroma = (plane.astype(np.float32) for plane in planes)
    size = (y.shape[1], y.shape[0])
    whole = [np.asarray(Image.fromarray(half).resize(size, Image.Resampling.BICUBIC)) for half in chroma]
    return np.stack([y / 255.0, *((plane - 128.0) / 224.0 for plane in whole)])


def _combed(lr: Planes, truth: Planes, apart: int, scale: int) -> tuple[Planes, Planes]:
    """Lines by turns of now and of another time, as interlaced video has them where something moves. The truth is the mean of
    both times: no detail is between the lines, and a network should not draw any."""
    result = lr.copy()
    result[:, 1::2] = np.roll(lr, apart, axis=2)[:, 1::2]
    return result, 0.5 * (truth + np.roll(truth, apart * scale, axis=2))
