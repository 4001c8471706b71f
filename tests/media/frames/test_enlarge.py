"""Chroma by swscale beside cubic convolution in float64."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vsr.media.frames.enlarge import enlarged_chroma, is_enlarged_closely
from vsr.models.graphs.cubic import phase_kernels

SITINGS = {"center": (False, False), "left": (True, False), "topleft": (True, True)}


def exact(codes: np.ndarray, scale: int, cosited: tuple[bool, bool]) -> np.ndarray:
    """Row by row, column by column, with edges that go on; not rounded, not limited."""
    result = codes.astype(np.float64)
    for axis, on_sample in ((1, cosited[0]), (0, cosited[1])):
        kernels = phase_kernels(scale, on_sample)
        length = result.shape[axis]
        wide = np.pad(result, [(2, 2) if axis == each else (0, 0) for each in (0, 1)], mode="edge")
        taps = [np.take(wide, np.arange(tap, tap + length), axis) for tap in range(kernels.shape[1])]
        phases = [sum(weight * tap for weight, tap in zip(row, taps, strict=True)) for row in kernels]
        shape = tuple(side * scale if axis == each else side for each, side in enumerate(result.shape))
        result = np.stack(phases, axis + 1).reshape(shape)
    return result


def enlarged(codes: list[np.ndarray], bits: int, scale: int, cosited: tuple[bool, bool]) -> list[np.ndarray]:
    kind = "u1" if bits == 8 else "<u2"
    planes = [plane.astype(kind).view(np.uint8) for plane in codes]
    return [plane.view(kind).astype(int) for plane in enlarged_chroma(planes, bits, scale, cosited)]


@pytest.mark.parametrize("siting", SITINGS)
@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("bits", [8, 9, 10])
def test_it_is_within_one_code_of_cubic_convolution(bits: int, scale: int, siting: str) -> None:
    """Noise, and nothing but black and white: what overshoots most, also at the edges and beyond white."""
    random, most = np.random.default_rng(bits), (1 << bits) - 1
    assert is_enlarged_closely(bits, scale)
    for height, width in ((1, 1), (3, 2), (37, 61)):
        noise = random.integers(0, most + 1, (height, width))
        hard = random.integers(0, 2, (height, width)) * most
        for codes, found in zip(
            (noise, hard), enlarged([noise, hard], bits, scale, SITINGS[siting]), strict=True
        ):
            wanted = np.clip(np.floor(exact(codes, scale, SITINGS[siting]) + 0.5), 0, most)
            assert found.shape == wanted.shape
            assert np.abs(found - wanted).max() <= 1
            assert (found != wanted).mean() <= 0.15, "most are the same"


def test_flat_planes_keep_their_level() -> None:
    levels = [np.full((5, 7), level) for level in (0, 255)]
    for level, found in zip((0, 255), enlarged(levels, 8, 2, (True, False)), strict=True):
        assert (found == level).all()


def test_what_would_be_further_off_is_refused() -> None:
    assert not is_enlarged_closely(8, 3)
    assert not is_enlarged_closely(16, 2)


def test_threads_do_not_meet() -> None:
    """Rows further apart than they are long, and one size for all."""
    pictures = [
        np.random.default_rng(seed).integers(0, 256, (2, 40, 99)).astype(np.uint8) for seed in range(40)
    ]

    def one(picture: np.ndarray) -> list[np.ndarray]:
        return enlarged_chroma([plane[:, 10:80] for plane in picture], 8, 2, (True, False))

    alone = [one(picture) for picture in pictures]
    with ThreadPoolExecutor(4) as threads:
        for found, wanted in zip(threads.map(one, pictures), alone, strict=True):
            np.testing.assert_array_equal(found, wanted)
