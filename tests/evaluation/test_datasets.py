"""Evaluation sets from folders, and the figures of an upscaler on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vsr.core.errors import ConfigError, SourceOpenError
from vsr.evaluation.datasets import LumaPair, evaluate_luma, load_sets
from vsr.evaluation.resize import resize_bicubic


def save(path: Path, height: int, width: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(height).integers(0, 256, (height, width, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)


def test_a_folder_of_folders_is_a_set_each(tmp_path: Path) -> None:
    save(tmp_path / "A" / "1.png", 24, 31)
    save(tmp_path / "A" / "2.bmp", 25, 30)
    save(tmp_path / "B" / "1.png", 20, 20)
    sets = load_sets([tmp_path], 3)
    assert {name: [pair.name for pair in pairs] for name, pairs in sets.items()} == {
        "A": ["1", "2"],
        "B": ["1"],
    }
    assert sets["A"][0].hr.shape == (24, 30)  # Cropped to a multiple of the scale.
    assert sets["A"][0].lr.shape == (8, 10)
    assert list(load_sets([tmp_path / "B"], 2)) == ["B"]


def test_figures_by_picture_and_their_mean() -> None:
    rng = np.random.default_rng(0)
    pairs = []
    for name in ("a", "b"):
        hr = rng.integers(0, 256, (32, 32)).astype(np.uint8)
        pairs.append(LumaPair(name, resize_bicubic(hr, 0.5), hr))
    result = evaluate_luma(lambda luma: resize_bicubic(luma, 2), pairs, 2)
    assert result.pictures.keys() == {"a", "b"}
    assert result.mean.keys() == {"psnr", "ssim", "mse", "mae"}
    assert result.mean["psnr"] == pytest.approx(np.mean([row["psnr"] for row in result.pictures.values()]))


def test_an_upscaler_of_the_wrong_size_is_told() -> None:
    hr = np.zeros((32, 32), np.uint8)
    with pytest.raises(ConfigError, match="one size"):
        evaluate_luma(lambda luma: luma, [LumaPair("a", hr[::2, ::2], hr)], 2)


def test_nothing_to_evaluate_on(tmp_path: Path) -> None:
    with pytest.raises(SourceOpenError, match="no pictures"):
        load_sets([tmp_path], 2)
    with pytest.raises(ConfigError, match="no pictures"):
        evaluate_luma(lambda luma: luma, [], 2)
