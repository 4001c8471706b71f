"""Colour that nobody sees stays out of what is seen."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vsr.core.frame import Frame, PixelFormat
from vsr.upscale.alpha import extended_colour
from vsr.upscale.upscaler import Upscaler

WIDTH, HEIGHT = 46, 38
FORMATS = [
    PixelFormat("rgb", 8, alpha=True),
    PixelFormat("rgb", 16, alpha=True),
    PixelFormat("gray", 8, alpha=True),
    PixelFormat("yuv", 8, (1, 1), alpha=True),
    PixelFormat("yuv", 10, (1, 0), alpha=True),
    PixelFormat("yuv", 12, (0, 0), alpha=True),
]


def as_plane(codes: NDArray[np.uint16], fmt: PixelFormat) -> NDArray[np.uint8]:
    return codes.astype(np.uint8) if fmt.bits == 8 else codes.astype("<u2").view(np.uint8)


def frames(fmt: PixelFormat) -> tuple[Frame, Frame, list[NDArray[np.bool_]]]:
    """Two that differ only where alpha is 0, and where each of their planes shows."""
    rng = np.random.default_rng(3)
    alpha = np.full((HEIGHT, WIDTH), fmt.max_code, np.uint16)
    alpha[:, 16:30] = fmt.max_code // 2
    alpha[8:28, 16:] = 0
    alpha[8:28, 40:] = fmt.max_code // 40  # as codecs that lose something make of 0
    planes: list[list[NDArray[np.uint8]]] = [[], []]
    shows = []
    for number in range(fmt.num_planes - 1):
        width, height = fmt.plane_size(number, WIDTH, HEIGHT)
        visible = np.repeat(np.repeat(alpha > fmt.max_code // 16, 2, 0), 2, 1)[
            :: 2 * HEIGHT // height, :: 2 * WIDTH // width
        ]
        seen = rng.integers(fmt.max_code // 4, fmt.max_code // 2, (height, width), np.uint16)
        shows.append(visible)
        for kind in planes:
            hidden = rng.integers(0, fmt.max_code, seen.shape, np.uint16, endpoint=True)
            kind.append(as_plane(np.where(visible, seen, hidden), fmt))
    first, second = (Frame([*kind, as_plane(alpha, fmt)], WIDTH, HEIGHT, fmt) for kind in planes)
    return first, second, shows


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_hidden_colour_is_that_around_and_the_rest_stays(fmt: PixelFormat) -> None:
    first, second, shows = frames(fmt)
    for plane, other, given, visible in zip(
        extended_colour(first), extended_colour(second), first.planes[:-1], shows, strict=True
    ):
        codes = [np.asarray(p).view(np.uint8 if fmt.bits == 8 else "<u2") for p in (plane, other, given)]
        np.testing.assert_array_equal(codes[0], codes[1])
        np.testing.assert_array_equal(codes[0][visible], codes[2][visible])
        assert codes[0].min() >= fmt.max_code // 4
        assert codes[0].max() < fmt.max_code // 2


@pytest.mark.parametrize("alpha", [0, 255])
def test_a_frame_of_one_opacity_is_left_as_it_is(alpha: int) -> None:
    planes = [np.full((4, 6), value, np.uint8) for value in (1, 2, 3, alpha)]
    found = extended_colour(Frame(planes, 6, 4, FORMATS[0]))
    assert all(plane is given for plane, given in zip(found, planes[:3], strict=True))


def test_no_rim_is_drawn_around_what_shows() -> None:
    """An opaque disc on transparent black: half-transparent samples of its edge keep its colour."""
    y, x = np.mgrid[:48, :48]
    disc = np.zeros((48, 48, 4), np.uint8)
    disc[(x - 24) ** 2 + (y - 24) ** 2 < 200] = (200, 60, 40, 255)
    with Upscaler("fast", backend="openvino") as upscaler:
        large = upscaler.upscale(disc)
    seen = large[large[..., 3] > 0]
    assert ((seen[:, 3] > 64) & (seen[:, 3] < 192)).any()
    assert np.abs(seen[:, :3].astype(int) - (200, 60, 40)).max() <= 2
