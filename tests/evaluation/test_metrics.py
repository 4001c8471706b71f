"""Metrics: by hand on small planes, and where a published figure is to be met."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from vsr.core.errors import ConfigError
from vsr.evaluation.datasets import evaluate_luma, load_sets
from vsr.evaluation.metrics import blur, mae, mse, psnr, ssim, y_from_rgb
from vsr.evaluation.resize import resize_bicubic

SETS = Path(__file__).parents[2].parent / "shared" / "data" / "eval" / "image"


def noisy(seed: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    plane = rng.integers(40, 200, (40, 50)).astype(np.float64)
    return plane, plane + rng.normal(0, spread, plane.shape)


def test_errors_by_hand() -> None:
    a = np.array([[0, 10], [20, 30]], np.uint8)
    b = np.array([[0, 13], [16, 30]], np.uint8)
    assert mse(a, b) == (9 + 16) / 4
    assert mae(a, b) == (3 + 4) / 4
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 / 6.25))
    # Equal planes, and nearly equal ones, leave a mean finite.
    assert psnr(a, a) == 100
    assert psnr(a, a + 1e-9) == 100


def test_a_picture_reduced_and_enlarged_is_blurred_by_so_much() -> None:
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 2, (16, 20)).repeat(6, 0).repeat(6, 1) * 160.0 + 40
    found = [blur(steps)]
    for factor in (2, 3):
        small = steps.reshape(96 // factor, factor, 120 // factor, factor).mean((1, 3))
        found.append(blur(resize_bicubic(small, factor)))
    assert 0 < found[0] < found[1] - 0.05 < found[2] - 0.1
    assert blur(steps.T) == found[0]
    assert blur(np.full((20, 20), 7, np.uint8)) == 1
    with pytest.raises(ConfigError):
        blur(steps[:8])


def test_the_border_is_left_out() -> None:
    a = np.zeros((8, 8), np.uint8)
    b = a.copy()
    b[0], b[:, -1] = 255, 255
    assert mse(a, b, border=1) == 0
    assert mse(a, b) > 0


def test_ssim_is_one_for_equal_planes_and_falls_with_noise() -> None:
    plane, _ = noisy(0, 0)
    assert ssim(plane, plane) == pytest.approx(1.0)
    values = [ssim(*noisy(0, spread)) for spread in (2, 10, 40)]
    assert values == sorted(values, reverse=True)


def test_ssim_of_constant_planes_is_the_luminance_term() -> None:
    a, b = np.full((16, 16), 100.0), np.full((16, 16), 120.0)
    c1 = (0.01 * 255) ** 2
    assert ssim(a, b) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1))


def test_luma_spans_the_limited_range() -> None:
    rgb = np.array([[[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]]], np.uint8)
    assert y_from_rgb(rgb).tolist() == [[16, 235, 81, 145, 41]]


@pytest.mark.parametrize(
    ("a", "b", "border"),
    [((4, 4), (4, 5), 0), ((4, 4), (4, 4), 2), ((4, 4), (4, 4), -1), ((4, 4, 3), (4, 4, 3), 0)],
)
def test_planes_that_cannot_be_compared(a: tuple[int, ...], b: tuple[int, ...], border: int) -> None:
    with pytest.raises(ConfigError):
        psnr(np.zeros(a), np.zeros(b), border=border)


def test_ssim_needs_room_for_its_window() -> None:
    with pytest.raises(ConfigError, match="11 samples"):
        ssim(np.zeros((12, 12)), np.zeros((12, 12)), border=1)


@pytest.mark.skipif(not SETS.is_dir(), reason="the evaluation sets are not beside the checkout")
@pytest.mark.parametrize(("scale", "set5", "set14"), [(2, 33.66, 30.24), (4, 28.42, 26.00)])
def test_bicubic_meets_the_published_figures(scale: int, set5: float, set14: float) -> None:
    sets = load_sets([SETS], scale)
    found = {
        name: evaluate_luma(lambda luma: resize_bicubic(luma, scale), pairs, scale).mean
        for name, pairs in sets.items()
    }
    assert found["Set5"]["psnr"] == pytest.approx(set5, abs=0.02)
    # Set14's grey picture is taken as luma in some papers and as grey in others.
    assert found["Set14"]["psnr"] == pytest.approx(set14, abs=0.1)
    if scale == 2:
        assert found["Set5"]["ssim"] == pytest.approx(0.9299, abs=0.001)
