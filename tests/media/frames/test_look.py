"""What a look sees: noise, compression, combing, drawings, enlarged pictures."""

from __future__ import annotations

import io
from functools import cache

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from vsr.core.frame import Frame, PixelFormat
from vsr.core.look import Look
from vsr.evaluation.resize import resize_bicubic
from vsr.media.frames.look import look_at
from vsr.media.samples import CLIP

Gray = NDArray[np.uint8]


@cache
def natural() -> Gray:
    """Luma of a frame of the clip that comes with vsr, reduced, so that it is sharp and no trace of its codec is left."""
    with av.open(str(CLIP)) as container:
        frame = next(container.decode(video=0))
    return resize_bicubic(frame.to_ndarray(format="gray"), 0.5)


def frame_of(picture: Gray) -> Frame:
    return Frame([picture], picture.shape[1], picture.shape[0], PixelFormat("gray"))


def seen(picture: Gray) -> Look:
    return look_at([frame_of(picture)])


def noisy(picture: Gray, sigma: float) -> Gray:
    noise = np.random.default_rng(1).normal(0, sigma, picture.shape)
    return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)


def as_jpeg(picture: Gray, quality: int) -> Gray:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def drawing() -> Gray:
    image = Image.new("L", (320, 240), 230)
    draw = ImageDraw.Draw(image)
    for place in range(0, 320, 24):
        draw.ellipse(
            (place, place // 2, place + 90, place // 2 + 60), fill=40 + place // 2, outline=10, width=3
        )
        draw.line((place, 0, 320 - place, 240), fill=20, width=2)
    return np.asarray(image)


def test_a_clean_picture_shows_nothing() -> None:
    look = seen(natural())
    assert (look.noise, look.quantizer) == (0, 0)
    assert look.blocking < 0.05
    assert (look.drawn, look.combed, look.soft) == (False, False, False)


@pytest.mark.parametrize("sigma", [4, 8, 16])
def test_white_noise_is_measured(sigma: int) -> None:
    assert seen(noisy(natural(), sigma)).noise == pytest.approx(sigma, rel=0.15)


@pytest.mark.parametrize(("quality", "step"), [(75, 6), (50, 12), (30, 20)])
def test_the_quantizer_of_jpeg_is_found_also_where_blocks_begin_elsewhere(quality: int, step: int) -> None:
    picture = as_jpeg(natural(), quality)
    for part in (picture, np.ascontiguousarray(picture[3:, 5:])):
        look = seen(part)
        assert look.quantizer == pytest.approx(step, abs=1)
        assert look.noise == 0


def test_rows_of_two_moments_are_combed_and_no_noise() -> None:
    picture = natural().copy()
    picture[1::2] = np.roll(picture, 5, axis=1)[1::2]
    look = seen(picture)
    assert look.combed
    assert look.noise == 0
    # Stripes that lie in the picture are no combing.
    assert not seen(np.ascontiguousarray(natural().T)).combed


@pytest.mark.parametrize("change", [lambda p: p, lambda p: as_jpeg(p, 75), lambda p: noisy(p, 2)])
def test_a_drawing_is_drawn(change: object) -> None:
    assert callable(change)
    assert seen(change(drawing())).drawn


def test_what_was_enlarged_before_is_soft() -> None:
    small = natural()[:, : natural().shape[1] // 2 * 2]
    assert seen(resize_bicubic(resize_bicubic(small, 0.5), 2)).soft


def test_depth_and_colour_do_not_change_it() -> None:
    picture = noisy(natural(), 8)
    height, width = picture.shape
    deep = (picture.astype("<u2") << 2).view(np.uint8)
    shapes = (
        Frame([deep], width, height, PixelFormat("gray", 10)),
        Frame([picture] * 3, width, height, PixelFormat("rgb")),
    )
    for frame in shapes:
        assert look_at([frame]).noise == seen(picture).noise


@pytest.mark.parametrize("size", [(1, 1), (15, 400), (16, 16), (17, 33)])
def test_small_and_flat_pictures_show_nothing(size: tuple[int, int]) -> None:
    for code in (0, 128, 255):
        assert seen(np.full(size, code, np.uint8)) == Look()
    assert look_at([]) == Look()
