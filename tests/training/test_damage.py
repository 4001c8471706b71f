"""Pictures damaged as cameras and codecs do it, and the pool that draws them."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.support.processes import PATIENCE_S
from vsr.core.errors import ConfigError
from vsr.evaluation import metrics
from vsr.media.compress import Codec, compressed
from vsr.models.archs.chain import Chain, ChainSpec
from vsr.models.archs.colour import Colour, PlainColour
from vsr.training.checkpoint import load_tensors
from vsr.training.damage import DEGRADATIONS, Degradation, damaged, planes_of, side_needed
from vsr.training.damaged_pool import DamagedPool
from vsr.training.data import Photo
from vsr.training.init_weights import begin_with
from vsr.training.losses import psnr, with_chroma
from vsr.training.recipe import Recipe, recipe_from_dict
from vsr.training.render import rendered_luma, rendered_rgb
from vsr.training.trainer import TrainConfig, train

CPU = torch.device("cpu")
COLOURS = {"name": "colour", "channels": 8, "depth": 2, "chroma_channels": 8, "chroma_depth": 1}


def recipe(arch: dict[str, object] = COLOURS, **data: object) -> Recipe:
    given = {"patch": 16, "batch": 2, "degradation": "realistic", **data}
    return recipe_from_dict("r", {"scale": 2, "arch": arch, "data": given})


@pytest.mark.parametrize("how", DEGRADATIONS.values(), ids=DEGRADATIONS)
@pytest.mark.parametrize("scale", [2, 4])
def test_damage_differs_with_its_seed_alone_and_stays_in_place(scale: int, how: Degradation) -> None:
    side = side_needed(32, scale)
    crop = rendered_rgb(3, side)
    errors = []
    for seed in range(40):
        one, again = (damaged(crop, scale, np.random.default_rng(seed), how) for _ in range(2))
        np.testing.assert_array_equal(one.hr, again.hr)
        assert (
            np.abs(one.lr - again.lr).mean() < 3 / 255
        )  # x264 itself comes out slightly otherwise at times.
        assert one.lr.shape == (3, 32, 32)
        assert one.hr.shape == (3, 32 * scale, 32 * scale)
        reduced = one.hr.reshape(3, 32, scale, 32, scale).mean((2, 4))
        moved = [np.abs(np.roll(one.lr, by, 2) - reduced)[0, 4:-4, 4:-4].mean() for by in (0, -2, 2)]
        errors.append(moved)
    off = np.array(errors)
    assert (off[:, 0] < off[:, 1:].min(1)).mean() > 0.9
    assert off[:, 0].max() > 3 * off[:, 0].min()  # Strengths are drawn.


def test_drawings_are_often_clean_and_combing_has_no_detail_between_its_lines() -> None:
    side = side_needed(32, 2)
    crop = rendered_rgb(3, side)
    clean = replace(DEGRADATIONS["drawn"], clean=1.0)
    plain = [damaged(crop, 2, np.random.default_rng(seed), clean) for seed in range(3)]
    assert len({pair.lr.tobytes() for pair in plain}) == 1
    ways = [damaged(crop, 2, np.random.default_rng(seed), DEGRADATIONS["drawn"]) for seed in range(60)]
    share = np.mean([np.array_equal(pair.lr, plain[0].lr) for pair in ways])
    assert 0.15 < share < 0.45
    combing = replace(clean, clean=0.0, simple=1.0, jpeg=0.0, video=0.0, noisy=0.0, combed=1.0)
    lr, hr = damaged(crop, 2, np.random.default_rng(1), combing)
    np.testing.assert_array_equal(lr[:, ::2], plain[0].lr[:, ::2])
    assert np.abs(lr[0, 1::2] - plain[0].lr[0, 1::2]).mean() > 0.01
    apart = [np.abs(lr[0, at::2] - hr[0].reshape(32, 2, 32, 2).mean((1, 3))[at::2]).mean() for at in (0, 1)]
    assert 0.8 < apart[0] / apart[1] < 1.25  # As far from the one moment as from the other.


def test_ground_truth_is_luma_in_limited_range_and_chroma_about_zero() -> None:
    red = np.zeros((8, 8, 3), np.uint8)
    red[..., 0] = 255
    planes = planes_of(red)[:, 0, 0]
    np.testing.assert_allclose(planes, [(16 + 219 * 0.299) / 255, -0.168736, 0.5], atol=1e-5)
    luma = metrics.y_from_rgb(red)[0, 0]
    assert abs(planes[0] * 255 - luma) < 0.51


@pytest.mark.parametrize("codec", get_args(Codec))
def test_compression_stays_in_place_and_grows_with_quality(codec: Codec) -> None:
    luma = rendered_luma(7, 152)
    frames = [[np.roll(luma, 2 * number, 1)] for number in (-2, -1, 0)]
    qualities = (12, 26, 40) if codec.startswith("libx") else (2, 8, 24)
    psnr = [metrics.psnr(compressed(frames, codec, quality)[-1][0], luma) for quality in qualities]
    assert psnr == sorted(psnr, reverse=True)
    assert psnr[0] > 32  # Not shifted: text would show that at once.
    assert psnr[2] < psnr[0] - 6


def test_compression_keeps_chroma_in_its_planes() -> None:
    planes = [
        np.full((48, 64), 90, np.uint8),
        np.full((24, 32), 160, np.uint8),
        np.full((24, 32), 60, np.uint8),
    ]
    (found,) = compressed([planes], "libx264", 18)
    for plane, given in zip(found, planes, strict=True):
        assert np.abs(plane.astype(int) - given).max() <= 2


@pytest.mark.parametrize("width", [16, 32, 48])
def test_x265_keeps_to_its_memory_in_narrow_pictures(width: int) -> None:
    """In a process of its own, which a damaged heap would abort."""
    script = f"""
import numpy as np
from vsr.media.compress import compressed
for height in range(16, 64, 2):
    compressed([[np.zeros((height, {width}), np.uint8)]] * 3, "libx265", 26)
"""
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, timeout=PATIENCE_S)


def test_a_pool_gives_the_same_for_a_seed_and_never_the_same_twice() -> None:
    photos = [Photo(str(seed), rendered_rgb(seed, 160)) for seed in (1, 2)]
    pools = [DamagedPool(photos, recipe(rendered_share=0.3, rendered_count=2), CPU) for _ in range(2)]
    places = [torch.from_numpy(pool.draw(np.random.default_rng(5), 12)) for pool in pools]
    torch.testing.assert_close(*places)
    lr, hr = pools[0].gather(places[0])
    assert lr.shape == (12, 3, 16, 16)
    assert hr.shape == (12, 3, 32, 32)
    torch.testing.assert_close(pools[1].gather(places[1])[1], hr)
    alike = places[0][:1].repeat(4, 1)
    alike[:, 4] = torch.arange(4)
    noisy, _ = pools[0].gather(alike)
    assert len({noisy[number].numpy().tobytes() for number in range(4)}) == 4


def test_a_network_on_luma_gets_luma_alone() -> None:
    pool = DamagedPool(
        [Photo("a", rendered_rgb(1, 160))], recipe({"name": "chain", "channels": 8, "depth": 2}), CPU
    )
    lr, hr = pool.gather(torch.from_numpy(pool.draw(np.random.default_rng(0), 3)))
    assert (lr.shape, hr.shape) == ((3, 1, 16, 16), (3, 1, 32, 32))


def test_pictures_that_are_too_small_and_recipes_that_cannot_be() -> None:
    with pytest.raises(ConfigError, match="no picture holds a patch and its surroundings of 76x76"):
        DamagedPool([Photo("a", rendered_rgb(1, 60))], recipe(), CPU)
    scales = {"hr_scales": [1.0, 0.4]}
    pixel = Photo("pixel", np.zeros((1, 1, 3), np.uint8))
    with pytest.raises(ConfigError, match="no picture holds"):
        DamagedPool([pixel], recipe(**scales), CPU)
    assert DamagedPool([pixel, Photo("a", rendered_rgb(1, 160))], recipe(**scales), CPU).count == 1
    for faulty in ({"degradation": "bicubic"}, {"error_power": 1.0}, {"teacher": "quality-x2"}):
        with pytest.raises(ConfigError, match=r"recipe r: \[data\] "):
            recipe(**faulty)
    table = {"scale": 2, "arch": COLOURS, "data": {"degradation": "drawn"}, "train": {"loss": "ssim"}}
    with pytest.raises(ConfigError, match=r"recipe r: \[train\] loss = ssim is for networks on luma"):
        recipe_from_dict("r", table)


def test_luma_begins_as_a_smaller_chain(tmp_path: Path) -> None:
    torch.manual_seed(2)
    small = ChainSpec(2, channels=4, depth=1)
    chain = Chain(small)
    with torch.no_grad():
        chain.last.weight.normal_(0, 0.05)
    file = tmp_path / "weights.safetensors"
    save_file(chain.fold(), file, {"arch": "chain", "hyperparameters": json.dumps(asdict(small))})
    of = recipe()
    network = Colour(of.spec)
    begin_with(network, file, of)
    picture = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(network(picture)[:, :1], chain(picture[:, :1]), atol=1e-4, rtol=0)


def test_training_learns_to_undo_damage(tmp_path: Path) -> None:
    """Of a chain that is given, which a network in colour begins as."""
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(3):
        Image.fromarray(rendered_rgb(seed, 160)).save(pictures / f"{seed}.png")
    chain = {
        "scale": 2,
        "arch": {"name": "chain", "channels": 8, "depth": 2},
        "data": {"patch": 16, "batch": 2},
    }
    began = train(
        TrainConfig(
            recipe_from_dict("c", {**chain, "train": {"steps": 2, "warmup": 0}}), [pictures], tmp_path / "c"
        )
    )
    table = {"scale": 2, "arch": COLOURS, "data": {"patch": 16, "batch": 8, "degradation": "realistic"}}
    losses = {}
    for steps in (5, 150):
        settings = {
            "steps": steps,
            "warmup": 0,
            "lr": 3e-3,
            "loss": "psnr",
            "ema_decay": 0.9,
            "mse_share": 0.0,
        }
        out = tmp_path / f"of-{steps}"
        short = recipe_from_dict("r", {**table, "train": {**settings, "val_every": 5 if steps == 5 else 150}})
        result = train(TrainConfig(short, [pictures], out, init=began.weights, device="cpu"))
        weights, _ = load_tensors(result.weights)
        network = PlainColour(short.spec)
        network.load_state_dict(weights)
        pool = DamagedPool([Photo("a", rendered_rgb(9, 160))], short, CPU)
        lr, hr = pool.gather(torch.from_numpy(pool.draw(np.random.default_rng(1), 32)))
        with torch.no_grad():
            losses[steps] = float(psnr(with_chroma(network(lr)), with_chroma(hr)))
    assert losses[150] < losses[5]
