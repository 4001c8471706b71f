"""Bicubic resizing: exact where theory says so, and as MATLAB's imresize elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from vsr.core.errors import ConfigError
from vsr.evaluation.resize import bicubic_taps, resize_bicubic


@pytest.mark.parametrize("scale", [0.25, 1 / 3, 0.5, 0.7, 1.0, 2.0, 3.0])
def test_a_flat_plane_stays_flat(scale: float) -> None:
    result = resize_bicubic(np.full((30, 24), 77, np.uint8), scale)
    assert result.shape == (int(np.ceil(30 * scale - 1e-9)), int(np.ceil(24 * scale - 1e-9)))
    assert np.all(result == 77)


def test_weights_of_imresize() -> None:
    # Reducing by 2 puts samples half way: the kernel at 1/4, 3/4, 5/4 and 7/4, halved.
    _, weights = bicubic_taps(20, 10, 0.5)
    side = [0.43359375, 0.11328125, -0.03515625, -0.01171875]
    np.testing.assert_allclose(weights[5], [*side[::-1], *side], atol=1e-12)
    # Enlarging by 2: a quarter of a sample off on either side.
    _, weights = bicubic_taps(10, 20, 2.0)
    expected = np.array([-0.0234375, 0.2265625, 0.8671875, -0.0703125])
    np.testing.assert_allclose(np.sort(weights[8][weights[8] != 0]), np.sort(expected), atol=1e-12)


def test_a_ramp_keeps_its_slope_and_place() -> None:
    ramp = np.tile(np.arange(40, dtype=np.float64), (12, 1))
    half = resize_bicubic(ramp, 0.5)
    np.testing.assert_allclose(half[3, 4:-4], np.arange(20)[4:-4] * 2 + 0.5, atol=1e-9)
    double = resize_bicubic(ramp, 2.0)
    np.testing.assert_allclose(double[6, 8:-8], (np.arange(80)[8:-8] + 0.5) / 2 - 0.5, atol=1e-9)


def test_edges_are_mirrored() -> None:
    plane = np.random.default_rng(0).normal(size=(6, 6))
    mirrored = np.pad(plane, 6, mode="symmetric")
    np.testing.assert_allclose(
        resize_bicubic(mirrored, 2.0)[12:24, 12:24], resize_bicubic(plane, 2.0), atol=1e-12
    )


def test_a_plane_smaller_than_the_kernel() -> None:
    plane = np.array([[10, 20]], np.uint8)
    assert resize_bicubic(plane, 0.5).tolist() == [[15]]
    assert resize_bicubic(plane, 4.0).shape == (4, 8)


def test_eight_bits_are_rounded_and_clipped() -> None:
    step = np.zeros((8, 16), np.uint8)
    step[:, 8:] = 255
    result = resize_bicubic(step, 2.0)
    assert result.dtype == np.uint8
    assert (result.min(), result.max()) == (0, 255)


def test_an_exact_size() -> None:
    assert resize_bicubic(np.zeros((10, 10)), 0.33, size=(4, 3)).shape == (4, 3)


def test_what_cannot_be_resized() -> None:
    with pytest.raises(ConfigError, match="positive"):
        resize_bicubic(np.zeros((4, 4)), 0)
    with pytest.raises(ConfigError, match="two dimensions"):
        resize_bicubic(np.zeros((4, 4, 3)), 2)
    with pytest.raises(ConfigError, match="0x3 samples"):
        resize_bicubic(np.zeros((3, 0), np.uint8), 0.5)
