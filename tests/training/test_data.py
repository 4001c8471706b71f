"""Patches: cut from the right place, in every orientation, and low and high resolution alike."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support import clips
from vsr.core.errors import ConfigError, DecodeError, SourceOpenError
from vsr.evaluation.resize import resize_bicubic
from vsr.training import degradations
from vsr.training.data import PatchPool, Photo, load_photos
from vsr.training.recipe import DataRecipe, Recipe, load_recipe
from vsr.training.render import moved_luma, pixel_pattern, rendered_luma

CPU = torch.device("cpu")


def recipe_with(scale: int, data: DataRecipe) -> Recipe:
    recipe = load_recipe("fast-x2" if scale == 2 else "balanced-x4")
    return dataclasses.replace(recipe, data=data)


def gradient(height: int, width: int) -> Photo:
    """A picture whose level tells the place: 8 more per row pair, 1 more per column pair."""
    rows, columns = np.mgrid[0:height, 0:width] // 2
    return Photo("gradient", ((rows * 8 + columns) % 251).astype(np.uint8))


def _some(pool: PatchPool, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return pool.gather(torch.from_numpy(pool.draw(np.random.default_rng(0), count)))


@pytest.mark.parametrize("scale", [2, 4])
def test_low_resolution_is_the_reduced_high_resolution(scale: int) -> None:
    photos = [Photo(str(seed), rendered_luma(seed, side)) for seed, side in ((1, 160), (2, 128), (3, 201))]
    pool = PatchPool(photos, recipe_with(scale, DataRecipe(patch=16, hr_scales=(1.0, 0.7))), CPU)
    places = pool.draw(np.random.default_rng(0), 200)
    lr, hr = pool.gather(torch.from_numpy(places))
    assert lr.shape == (200, 1, 16, 16)
    assert hr.shape == (200, 1, 16 * scale, 16 * scale)
    # Averaging each block is close to the bicubic reduction; a patch from elsewhere, or turned otherwise, is not.
    blocks = torch.nn.functional.avg_pool2d(hr, scale)
    assert (blocks - lr).abs().mean(dim=(1, 2, 3)).max() < 0.12
    assert (blocks - lr).abs().mean() < 0.02
    assert (blocks - lr.roll(1, dims=0)).abs().mean() > 0.1


def test_all_eight_orientations_come() -> None:
    pool = PatchPool([gradient(64, 48)], recipe_with(2, DataRecipe(patch=8)), CPU)
    _, hr = pool.gather(torch.from_numpy(pool.draw(np.random.default_rng(0), 400)))
    seen = set()
    for patch in hr[:, 0]:
        down, right = float(patch[2, 0] - patch[0, 0]) * 255, float(patch[0, 2] - patch[0, 0]) * 255
        seen.add((round(down), round(right)))
    assert {(8, 1), (8, -1), (-8, 1), (-8, -1), (1, 8), (1, -8), (-1, 8), (-1, -8)} <= seen


def test_places_depend_on_the_seed_alone() -> None:
    pool = PatchPool([gradient(64, 48)], recipe_with(2, DataRecipe(patch=8)), CPU)
    first, again, other = (pool.draw(np.random.default_rng(seed), 50) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_rendered_pictures_take_their_share() -> None:
    black = Photo("black", np.zeros((128, 128), np.uint8))  # A rendered patch has something lighter.
    data = DataRecipe(patch=16, rendered_share=0.25, rendered_count=4)
    pool = PatchPool([black], recipe_with(2, data), CPU)
    lr, _ = pool.gather(torch.from_numpy(pool.draw(np.random.default_rng(0), 2000)))
    share = float((lr.amax(dim=(1, 2, 3)) > 0).float().mean())
    assert share == pytest.approx(0.25, abs=0.04)


def test_a_rendered_picture_is_decided_by_its_seed() -> None:
    np.testing.assert_array_equal(rendered_luma(5, 64), rendered_luma(5, 64))
    assert not np.array_equal(rendered_luma(5, 64), rendered_luma(6, 64))


def test_patterns_of_pixels_are_enlarged_to_blocks() -> None:
    black = Photo("black", np.zeros((128, 128), np.uint8))
    recipe = recipe_with(4, DataRecipe(patch=32, rendered_share=0.9, rendered_count=1))
    lr, hr = (part[:, 0] for part in _some(PatchPool([black], recipe, CPU), 50))
    torch.testing.assert_close(hr, lr.repeat_interleave(4, 1).repeat_interleave(4, 2))
    alternating = (lr[:, 1:] - lr[:, :-1]).abs() > 0.15
    assert alternating.float().mean() > 0.05


def test_combed_pictures_are_enlarged_to_what_both_fields_show() -> None:
    first, second = moved_luma(3, 96, 8)
    np.testing.assert_array_equal(first[:, 8:], second[:, :-8])
    pair = degradations.combed("comb", first, second, 2)
    for at, field in enumerate((first, second)):
        np.testing.assert_array_equal(pair.lr[at::2], resize_bicubic(field, 0.5)[at::2])
    assert np.abs(pair.hr - (first / 2 + second / 2)).max() <= 0.5


def test_alternating_lines_are_no_pattern_of_pixels() -> None:
    """Stripes of single lines, level or upright, are of no sprite: what is interlaced has them, and a grid far away."""
    for seed in range(300):
        picture = pixel_pattern(seed, 48).astype(int)
        for turned in (picture, picture.T):
            blocks = np.lib.stride_tricks.sliding_window_view(turned, (8, 8))[::2, ::2]
            level = (np.ptp(blocks, axis=3) == 0).all(axis=2)
            again = (blocks[:, :, 2:] == blocks[:, :, :-2]).all(axis=(2, 3))
            assert not (level & again & (blocks[:, :, 0, 0] != blocks[:, :, 1, 0])).any()


def test_a_teacher_gives_the_ground_truth() -> None:
    photos = [Photo(str(seed), rendered_luma(seed, 96)) for seed in (1, 2)]

    def pool(**settings: Any) -> PatchPool:
        return PatchPool(photos, recipe_with(2, DataRecipe(patch=16, **settings)), CPU)

    (lr, hr), (lr_taught, hr_taught) = _some(pool(), 20), _some(pool(teacher="bicubic-x2"), 20)
    torch.testing.assert_close(lr, lr_taught)
    bicubic = torch.nn.functional.interpolate(lr, scale_factor=2.0, mode="bicubic")
    inside = (..., slice(8, -8), slice(8, -8))
    assert (hr_taught - bicubic)[inside].abs().max() < 0.04  # Torch's bicubic is a little sharper.
    assert (hr - bicubic)[inside].abs().max() > 0.1
    # Where nobody knows the truth: beyond the photograph's own size.
    assert pool(teacher="bicubic-x2", hr_scales=(1.5,)).megapixels == pytest.approx(2 * 144**2 / 1e6)
    with pytest.raises(ConfigError, match="bicubic-x4 is of scale 4, and the recipe of 2"):
        pool(teacher="bicubic-x4")


def test_pictures_too_small_for_a_patch_are_left_out() -> None:
    recipe = recipe_with(2, DataRecipe(patch=16))
    assert PatchPool([gradient(64, 48), gradient(64, 30)], recipe, CPU).count == 1
    with pytest.raises(ConfigError, match="32x32"):
        PatchPool([gradient(64, 30)], recipe, CPU)


def test_photos_are_read_from_folders_and_below(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    Image.new("RGB", (10, 8), "white").save(tmp_path / "a.png")
    Image.new("RGBA", (10, 8), "black").save(tmp_path / "below" / "b.webp")
    (tmp_path / "notes.txt").write_text("not a picture")
    photos = load_photos([tmp_path])
    assert [photo.name for photo in photos] == ["a.png", "b.webp"]
    assert [int(photo.pixels.max()) for photo in photos] == [235, 16]


def test_only_files_are_read(tmp_path: Path) -> None:
    Image.new("RGB", (10, 8), "white").save(tmp_path / "a.png")
    (tmp_path / "linked.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "folder.png").mkdir()
    for name in ("pipe.png", "pipe.mp4"):
        os.mkfifo(tmp_path / name)
    assert [photo.name for photo in load_photos([tmp_path])] == ["a.png", "linked.png"]


def test_a_folder_that_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (10, 8), "white").save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    for _ in range(20):  # Deeper than a path may be long, which stops even who may read everything.
        Path("a" * 250).mkdir()
        os.chdir("a" * 250)
    os.chdir(tmp_path)
    with pytest.raises(SourceOpenError, match=r"cannot read .*: File name too long"):
        load_photos([tmp_path])


def test_folders_without_pictures_and_broken_pictures(tmp_path: Path) -> None:
    with pytest.raises(SourceOpenError, match="no pictures"):
        load_photos([tmp_path])
    with pytest.raises(SourceOpenError, match="not a folder"):
        load_photos([tmp_path / "nosuch"])
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    with pytest.raises(DecodeError, match=r"broken\.png"):
        load_photos([tmp_path])


def test_folders_of_videos_give_frames_apart(tmp_path: Path) -> None:
    clip = clips.make(
        "long.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", source="testsrc2=size=64x48:rate=25:duration=3"
    )
    (tmp_path / clip.name).write_bytes(clip.read_bytes())
    photos = load_photos([tmp_path])
    assert [photo.name for photo in photos] == ["long.mp4#0", "long.mp4#24", "long.mp4#48", "long.mp4#72"]
    assert all(photo.pixels.shape == (48, 64) for photo in photos)
    Image.fromarray(rendered_luma(1, 64)).save(tmp_path / "one.png")
    assert [photo.name for photo in load_photos([tmp_path])][:2] == ["one.png", "long.mp4#0"]


def test_pictures_without_room_for_a_patch_are_left_out(tmp_path: Path) -> None:
    for name, size in (("dot", (1, 1)), ("strip", (100, 15)), ("large", (40, 16))):
        Image.new("L", size, 100).save(tmp_path / f"{name}.png")
    recipe = recipe_with(2, DataRecipe(patch=8, hr_scales=(1.0, 0.01)))
    assert PatchPool(load_photos([tmp_path]), recipe, CPU).count == 1
