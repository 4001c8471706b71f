"""Training against an adversary, and by what networks see in pictures."""

from __future__ import annotations

import csv
import dataclasses
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from tests.support.trainings import StopsAfter
from vsr.core.errors import ConfigError, WeightsError
from vsr.evaluation.datasets import load_sets
from vsr.models.archs import spec_from_dict
from vsr.models.archs.chain import plain_chain_from_weights
from vsr.training.adversary import Discriminator
from vsr.training.checkpoint import load_tensors
from vsr.training.perceptual import VggFeatures
from vsr.training.recipe import Recipe, recipe_from_dict
from vsr.training.trainer import TrainConfig, train
from vsr.training.validation import upscaled_luma

ARCH = {"name": "chain", "channels": 16, "depth": 2, "unshuffle": 2}


def recipe_of(gan: dict[str, Any] | None = None, **settings: Any) -> Recipe:
    table: dict[str, Any] = {
        "scale": 2,
        "arch": ARCH,
        "data": {"patch": 16, "batch": 4},
        "train": {"precision": "fp32", "warmup": 10, "mse_share": 0.0, "ema_decay": 0.9, **settings},
    }
    return recipe_from_dict("small", table if gan is None else table | {"gan": gan})


@pytest.fixture(scope="module")
def trained(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    recipe = recipe_of(steps=300, lr=4e-3)
    return train(TrainConfig(recipe, [pictures / "train"], out, device="cpu")).weights


def rows_of(out: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((out / "train.csv").read_text().splitlines()))


@pytest.mark.slow
def test_it_makes_pictures_crisper_and_tells_both_losses(
    pictures: Path, trained: Path, tmp_path: Path
) -> None:
    recipe = recipe_of({"weight": 0.05, "channels": 16, "lr": 1e-3}, steps=200, lr=1e-3, val_every=64)
    told: list[str] = []
    seen: list[float | None] = []
    config = TrainConfig(
        recipe,
        [pictures / "train"],
        tmp_path,
        device="cpu",
        init=trained,
        on_message=told.append,
        on_progress=lambda progress: seen.append(progress.loss_d),
    )
    train(config)
    assert "perceptual loss: the discriminator's features (no VGG-19 weights were given)" in told
    assert all(loss is not None and 0 < loss < 3 for loss in seen)
    rows = rows_of(tmp_path)
    assert [row["step"] for row in rows] == ["64", "128", "192", "200"]
    assert all(0 < float(row["loss_d"]) < 3 and float(row["loss"]) > 0 for row in rows)
    before, after = (edges(path, pictures) for path in (trained, tmp_path / "weights.safetensors"))
    assert after > 1.02 * before


def edges(weights: Path, pictures: Path) -> float:
    """Mean step from pixel to pixel in what the network makes."""
    tensors, _ = load_tensors(weights)
    network = plain_chain_from_weights(spec_from_dict("chain", {"scale": 2, **_numbers()}), tensors)
    pair = load_sets([pictures / "val"], 2)["val"][0]
    found = upscaled_luma(network, pair.lr, 2, 2).astype(int)
    return float(abs(found[:, 1:] - found[:, :-1]).mean())


def _numbers() -> dict[str, Any]:
    return {key: value for key, value in ARCH.items() if key != "name"}


@pytest.mark.slow
def test_it_ends_in_the_same_bits_when_resumed(pictures: Path, trained: Path, tmp_path: Path) -> None:
    recipe = recipe_of({"channels": 4}, steps=80)
    folders = [pictures / "train"]
    train(TrainConfig(recipe, folders, tmp_path / "whole", device="cpu", init=trained))
    control = StopsAfter(20)
    train(TrainConfig(recipe, folders, tmp_path / "parts", device="cpu", init=trained, control=control))
    train(TrainConfig(recipe, folders, tmp_path / "parts", device="cpu", resume=True))
    first, _ = load_tensors(tmp_path / "whole" / "checkpoint.safetensors")
    second, _ = load_tensors(tmp_path / "parts" / "checkpoint.safetensors")
    assert first.keys() == second.keys()
    assert any(name.startswith("adversary.") for name in first)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.slow
def test_a_discriminator_that_has_won_is_told_of_once(pictures: Path, tmp_path: Path) -> None:
    first, folders = tmp_path / "first", [pictures / "train"]
    # A network that learnt nothing makes blocks, and stays there: easily told apart.
    init = train(TrainConfig(recipe_of(steps=1), folders, first, device="cpu")).weights
    gan = {"weight": 0.0, "features": 0.0, "channels": 4, "lr": 5e-3}
    told: list[str] = []
    recipe = recipe_of(gan, steps=960, lr=1e-9)
    train(TrainConfig(recipe, folders, tmp_path, device="cpu", init=init, on_message=told.append))
    assert sum("collapse: the discriminator" in line for line in told) == 1
    (noted,) = [row["note"] for row in rows_of(tmp_path) if row["note"]]
    assert noted.startswith("collapse at step ")
    assert noted in (tmp_path / "train.json").read_text()


def test_what_it_needs(pictures: Path, trained: Path, tmp_path: Path) -> None:
    folders = [pictures / "train"]
    with pytest.raises(ConfigError, match="starts from a trained network"):
        train(TrainConfig(recipe_of({}), folders, tmp_path, device="cpu"))
    with pytest.raises(ConfigError, match="VGG-19"):
        train(TrainConfig(recipe_of(), folders, tmp_path, device="cpu", vgg=trained))
    with pytest.raises(WeightsError, match="VGG-19"):
        train(TrainConfig(recipe_of({}), folders, tmp_path, device="cpu", init=trained, vgg=trained))
    with pytest.raises(ConfigError, match="weight"):
        recipe_of({"weight": -1.0})
    with pytest.raises(ConfigError, match=r"\[gan\]"):
        recipe_of({"wait": 1.0})


@pytest.mark.parametrize("side", [20, 32])
def test_the_discriminator_judges_every_pixel(side: int) -> None:
    network = Discriminator(4)
    luma = torch.rand(2, 1, side, side + 3)
    assert network(luma).shape == luma.shape
    assert [f.shape[1] for f in network.features(luma)] == [4, 8, 16, 32]


@pytest.fixture(scope="module")
def vgg(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Weights of the real one's names and shapes, drawn, in both kinds of file."""
    widths = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256)}
    widths |= dict.fromkeys((12, 14, 16), (256, 256)) | {19: (256, 512)}
    widths |= dict.fromkeys((21, 23, 25, 28, 30, 32, 34), (512, 512))
    torch.manual_seed(0)
    tensors = {"classifier.0.weight": torch.zeros(4, 4)}
    for number, (width_in, width_out) in widths.items():
        tensors[f"features.{number}.weight"] = (
            torch.randn(width_out, width_in, 3, 3) * (2 / 9 / width_in) ** 0.5
        )
        tensors[f"features.{number}.bias"] = torch.zeros(width_out)
    folder = tmp_path_factory.mktemp("vgg")
    torch.save(tensors, folder / "vgg19.pth")
    safetensors.torch.save_file(tensors, folder / "vgg19.safetensors")
    return {path.suffix: path for path in folder.iterdir()}


def test_vgg_features_come_from_either_file(vgg: dict[str, Path]) -> None:
    luma = torch.rand(1, 1, 32, 48)
    first, second = (VggFeatures(path)(luma) for path in vgg.values())
    assert [tuple(f.shape[1:]) for f in first] == [
        (64, 32, 48),
        (128, 16, 24),
        (256, 8, 12),
        (512, 4, 6),
        (512, 2, 3),
    ]
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert any(bool((f < 0).any()) for f in first)  # before activation


def test_a_training_by_vgg_says_so(
    pictures: Path, trained: Path, vgg: dict[str, Path], tmp_path: Path
) -> None:
    told: list[str] = []
    config = TrainConfig(
        recipe_of({"channels": 4}, steps=2),
        [pictures / "train"],
        tmp_path,
        device="cpu",
        init=trained,
        vgg=vgg[".pth"],
        on_message=told.append,
    )
    assert train(config).finished
    assert "perceptual loss: VGG-19's features" in told
    # Without them it would go on by another loss.
    with pytest.raises(WeightsError, match="started with a perceptual loss by VGG-19's features") as refused:
        train(dataclasses.replace(config, init=None, vgg=None, resume=True))
    assert refused.value.hint == "give --vgg again"


class _Harmful:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_no_code_in_weights_is_run(tmp_path: Path) -> None:
    harm = tmp_path / "harm"
    (tmp_path / "vgg.pth").write_bytes(pickle.dumps(_Harmful(harm)))
    torch.save({"features.0.weight": _Harmful(harm)}, tmp_path / "vgg2.pth")
    (tmp_path / "empty.pth").touch()
    (tmp_path / "cut.SafeTensors").write_bytes(b"\x08")
    for name in ("vgg.pth", "vgg2.pth", "none.pth", "empty.pth", "cut.SafeTensors"):
        with pytest.raises(WeightsError, match="cannot read"):
            VggFeatures(tmp_path / name)
    assert not harm.exists()
