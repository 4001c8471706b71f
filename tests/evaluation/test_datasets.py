"""Evaluation sets from folders, and the figures of an upscaler on them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import clips
from vsr.core.color import Color, Range
from vsr.core.errors import ConfigError, DecodeError, SourceOpenError
from vsr.core.frame import Frame, PixelFormat
from vsr.evaluation.datasets import (
    LumaPair,
    evaluate_luma,
    files_below,
    load_sets,
    luma8,
    luma_pair,
    read_luma,
    read_rgb,
)
from vsr.evaluation.metrics import y_from_rgb
from vsr.evaluation.resize import resize_bicubic
from vsr.media.read.open import open_source


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


def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    save(tmp_path / "one.png", 24, 24)
    os.mkfifo(tmp_path / "pipe.png")
    os.mkfifo(tmp_path / "pipe.mkv")
    assert [pair.name for pair in load_sets([tmp_path], 2)[tmp_path.name]] == ["one"]
    assert [path.name for path in files_below(tmp_path, {".png", ".mkv"})] == ["one.png"]


def test_a_folder_that_cannot_be_listed_is_told(tmp_path: Path) -> None:
    save(tmp_path / "one.png", 24, 24)
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):  # Deeper than a path may be long.
        os.mkdir("d" * 250, dir_fd=at)
        below = os.open("d" * 250, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    with pytest.raises(SourceOpenError, match="File name too long"):
        load_sets([tmp_path], 2)
    shutil.rmtree(tmp_path)


def test_names_too_long_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="File name too long") as error:
        load_sets([tmp_path / ("a" * 300)], 2)
    assert error.value.hint == "choose a shorter name"


def test_an_identical_picture_leaves_the_mean_finite() -> None:
    flat, noise = np.full((32, 32), 90, np.uint8), np.random.default_rng(0).integers(0, 256, (32, 32))
    pairs = [LumaPair(n, hr[::2, ::2], hr) for n, hr in (("flat", flat), ("noise", noise.astype(np.uint8)))]
    result = evaluate_luma(lambda luma: luma.repeat(2, 0).repeat(2, 1), pairs, 2)
    assert result.pictures["flat"]["psnr"] == 100
    assert result.mean["psnr"] == (100 + result.pictures["noise"]["psnr"]) / 2


def test_pictures_and_sets_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    for name in ("A/HR/1.png", "A/HR/1.bmp", "A/HR/2.png", "A/HR/below/2.png", "B/HR/1.png", "C/1.png"):
        save(tmp_path / name, 24, 24)
    folders = [tmp_path / "A" / "HR", tmp_path / "B" / "HR", tmp_path / "C"]
    found = {name: [pair.name for pair in pairs] for name, pairs in load_sets(folders, 2).items()}
    # A folder of files beside one of folders: what lies below is a set of its own.
    assert found == {"A/HR": ["1.bmp", "1.png", "2"], "below": ["2"], "B/HR": ["1"], "C": ["1"]}
    # What is named twice is there once.
    assert load_sets([tmp_path / "C", tmp_path / "C"], 2).keys() == {"C"}
    assert [pair.name for pair in load_sets([tmp_path / "A", tmp_path / "A" / "HR"], 2)["HR"]] == [
        "1.bmp",
        "1.png",
        "2",
        "below/2",
    ]


def test_pictures_of_one_name_all_count() -> None:
    rng = np.random.default_rng(0)
    planes = [rng.integers(0, spread, (32, 32)).astype(np.uint8) for spread in (20, 200)]
    result = evaluate_luma(
        lambda luma: resize_bicubic(luma, 2), [luma_pair("1", plane, 2) for plane in planes], 2
    )
    assert len(result.pictures) == 2
    assert result.mean["mse"] == pytest.approx(np.mean([row["mse"] for row in result.pictures.values()]))


@pytest.mark.parametrize(("suffix", "dtype"), [("png", np.uint16), ("tif", np.uint16), ("tif", np.int32)])
def test_gray_of_16_bits_keeps_its_tones(tmp_path: Path, suffix: str, dtype: type) -> None:
    gray = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(gray).save(tmp_path / "8.png")
    Image.fromarray((gray.astype(np.int64) * 257).astype(dtype)).save(tmp_path / f"16.{suffix}")
    np.testing.assert_array_equal(read_rgb(tmp_path / f"16.{suffix}")[..., 1], gray)
    np.testing.assert_array_equal(read_luma(tmp_path / f"16.{suffix}"), read_luma(tmp_path / "8.png"))


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.full((16, 16), 0.5, np.float32), "floating point"),
        (np.full((16, 16), 70000, np.int32), "beyond 16"),
        (np.full((16, 16), -1, np.int32), "beyond 16"),
    ],
)
def test_samples_without_a_white_are_refused(tmp_path: Path, samples: np.ndarray, words: str) -> None:
    Image.fromarray(samples).save(tmp_path / "odd.tif")
    with pytest.raises(DecodeError, match=rf"odd\.tif.*{words}") as found:
        read_luma(tmp_path / "odd.tif")
    assert "convert" in (found.value.hint or "")


@pytest.mark.parametrize("suffix", ["avif", "png"])
def test_a_truncated_picture_is_named(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    save(path, 64, 64)
    for share in (0.2, 0.6, 0.99):
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(DecodeError, match=rf"cut\.{suffix}"):
            read_luma(path)
        save(path, 64, 64)


def test_pictures_too_small_are_left_out_of_sets(tmp_path: Path) -> None:
    save(tmp_path / "large.png", 24, 24)
    save(tmp_path / "dot.png", 1, 1)
    save(tmp_path / "small.png", 5, 40)
    assert [pair.name for pair in load_sets([tmp_path], 2)[tmp_path.name]] == ["large"]
    (tmp_path / "large.png").unlink()
    with pytest.raises(SourceOpenError, match="large enough"):
        load_sets([tmp_path], 2)
    with pytest.raises(ConfigError, match=r"dot.png is 1x1"):
        luma_pair("dot.png", read_luma(tmp_path / "dot.png"), 2)
    with pytest.raises(ConfigError, match="small: SSIM needs 11"):
        evaluate_luma(lambda luma: resize_bicubic(luma, 2), [luma_pair("small", np.zeros((12, 12)), 2)], 2)


def frame(name: str, pix_fmt: str, *options: str) -> Frame:
    path = clips.make(name, "-c:v", "ffv1", "-pix_fmt", pix_fmt, *options, source="testsrc2=size=64x48")
    with open_source(str(path)) as source:
        return next(iter(source))


def test_limited_luma_is_taken_as_it_lies() -> None:
    limited = frame("limited.mkv", "yuv420p", "-frames:v", "1")
    assert np.shares_memory(luma8(limited), np.asarray(limited.planes[0]))
    deep = frame("deep.mkv", "yuv420p10le", "-frames:v", "1")
    np.testing.assert_array_equal(luma8(deep), np.asarray(deep.planes[0]).view("<u2") >> 2)


@pytest.mark.parametrize("pix_fmt", ["bgr0", "gbrp10le", "gbrp16le"])
def test_luma_of_rgb_video_is_that_of_pictures(pix_fmt: str) -> None:
    found = frame(f"{pix_fmt}.mkv", pix_fmt, "-frames:v", "1")
    bits = found.format.bits
    green, blue, red = (
        np.asarray(plane).view("u1" if bits == 8 else "<u2") >> (bits - 8) for plane in found.planes
    )
    np.testing.assert_array_equal(
        luma8(found), y_from_rgb(np.stack([red, green, blue], axis=2).astype(np.uint8))
    )


@pytest.mark.parametrize("bits", [8, 10, 16])
def test_luma_of_full_range_is_brought_to_limited(bits: int) -> None:
    top = (1 << bits) - 1
    codes = np.array([[0, top // 2, top]], "u1" if bits == 8 else "<u2")
    planes = [codes.view(np.uint8)]
    found = luma8(Frame(planes, 3, 1, PixelFormat("gray", bits), Color(range=Range.FULL)))
    assert found.dtype == np.uint8
    assert found.tolist() in ([[16, 125, 235]], [[16, 126, 235]])
