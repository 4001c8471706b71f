"""The variational network: several plausible results, each a plain package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.support.trainings import StopsAfter
from vsr.cli import main
from vsr.evaluation.datasets import load_sets
from vsr.evaluation.metrics import psnr
from vsr.evaluation.resize import resize_bicubic
from vsr.models.archs.vae import Vae, VaeSpec
from vsr.training.checkpoint import load_tensors
from vsr.training.recipe import Recipe, recipe_from_dict
from vsr.training.trainer import TrainConfig, train
from vsr.training.validation import upscaled_luma


def recipe_of(**settings: Any) -> Recipe:
    return recipe_from_dict(
        "small",
        {
            "scale": 2,
            "arch": {"name": "vae", "channels": 16, "depth": 3, "latent": 4},
            "data": {"patch": 16, "batch": 8},
            "train": {"precision": "fp32", "warmup": 10, "ema_decay": 0.9, "lr": 3e-3, **settings},
        },
    )


@pytest.mark.slow
def test_samples_differ_and_each_is_plausible(pictures: Path, tmp_path: Path) -> None:
    recipe = recipe_of(steps=500, kl_weight=1e-5)
    train(TrainConfig(recipe, [pictures / "train"], tmp_path / "run", device="cpu"))
    tensors, _ = load_tensors(tmp_path / "run" / "weights.safetensors")
    assert not any(name.startswith(("encoder", "told")) for name in tensors)
    network = recipe.spec.network(recipe.spec)
    network.load_state_dict(tensors)
    pair = load_sets([pictures / "val"], 2)["val"][0]
    floor = psnr(resize_bicubic(pair.lr, 2), pair.hr, border=2)
    found = []
    for seed in (1, 2):
        sample = recipe.spec.network(recipe.spec)
        sample.load_state_dict(network.sampled(seed))
        found.append(upscaled_luma(sample, pair.lr, 2, 1))
        assert psnr(found[-1], pair.hr, border=2) > floor
    assert np.abs(found[0].astype(int) - found[1]).mean() > 0.02


def test_a_sample_is_what_the_bent_decoder_gives() -> None:
    torch.manual_seed(0)
    network = Vae(VaeSpec(2, channels=8, depth=2, latent=4)).double().eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn_like(parameter) * 0.2)
    latent = torch.randn(4, generator=torch.Generator().manual_seed(7)).double()[None]
    luma = torch.rand(1, 1, 12, 16, dtype=torch.float64)
    with torch.inference_mode():
        wanted = network.bent_detail(luma, latent)
        network.load_state_dict(network.state_dict() | network.sampled(7))
        torch.testing.assert_close(network.detail(luma), wanted)


def test_it_ends_in_the_same_bits_when_resumed(pictures: Path, tmp_path: Path) -> None:
    recipe, folders = recipe_of(steps=80), [pictures / "train"]
    train(TrainConfig(recipe, folders, tmp_path / "whole", device="cpu"))
    train(TrainConfig(recipe, folders, tmp_path / "parts", device="cpu", control=StopsAfter(20)))
    train(TrainConfig(recipe, folders, tmp_path / "parts", device="cpu", resume=True))
    first, _ = load_tensors(tmp_path / "whole" / "checkpoint.safetensors")
    second, _ = load_tensors(tmp_path / "parts" / "checkpoint.safetensors")
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("arch", ["vae", "espcn"])
def test_samples_are_exported_by_the_command(
    pictures: Path, tmp_path: Path, arch: str, capsys: pytest.CaptureFixture[str]
) -> None:
    table = {"scale": 2, "arch": {"name": arch}, "data": {"patch": 16, "batch": 2}, "train": {"steps": 1}}
    train(TrainConfig(recipe_from_dict("small", table), [pictures / "train"], tmp_path / "run", device="cpu"))
    weights, package = str(tmp_path / "run" / "weights.safetensors"), str(tmp_path / "mine-x2")
    code = main(["model", "export", weights, package, "--sample", "3"])
    told = capsys.readouterr()
    if arch == "vae":
        assert code == 0, told.err
        assert "wrote" in told.out
    else:
        assert code != 0
        assert "no samples" in told.err
        assert not Path(package).exists()
