"""Trainings: they learn, they go on where they stopped, and they say when they fail."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.tiers import slow_except
from tests.support.trainings import StopsAfter, config_for, small
from tests.support.usable import GPU_IS_REQUIRED
from vsr.core.control import Cancelled, Control
from vsr.core.errors import ConfigError, VsrError
from vsr.evaluation import metrics
from vsr.evaluation.datasets import evaluate_luma, load_sets
from vsr.evaluation.resize import resize_bicubic
from vsr.models.archs import spec_from_dict
from vsr.models.archs.chain import Chain, ChainSpec, plain_chain_from_weights
from vsr.training.checkpoint import load_tensors
from vsr.training.data import PatchPool, Photo
from vsr.training.loss_scale import LossScale
from vsr.training.losses import LOSSES
from vsr.training.recipe import recipe_from_dict
from vsr.training.step import TrainStep, compute_dtype
from vsr.training.trainer import Progress, TrainingDivergedError, train
from vsr.training.validation import psnr_by_set


@pytest.mark.slow
def test_a_short_training_beats_bicubic(pictures: Path, tmp_path: Path) -> None:
    recipe = small(steps=500, lr=4e-3, warmup=30, ema_decay=0.98, precision="fp32")
    recipe = dataclasses.replace(
        recipe,
        spec=dataclasses.replace(recipe.spec, channels=16),
        data=dataclasses.replace(recipe.data, batch=8),
    )
    result = train(config_for(pictures, tmp_path, recipe, val=[pictures / "val"]))
    sets = load_sets([pictures / "val"], 2)
    bicubic = evaluate_luma(lambda luma: resize_bicubic(luma, 2), sets["val"], 2, ["psnr"]).mean["psnr"]
    assert result.finished
    assert result.psnr["val"] > bicubic + 0.4

    # What was written is the network that was measured, and says what it is.
    weights, facts = load_tensors(result.weights)
    spec = spec_from_dict(facts["arch"], json.loads(facts["hyperparameters"]))
    network = plain_chain_from_weights(spec, weights)
    assert psnr_by_set(network, sets, 2, spec.size_multiple)["val"] == pytest.approx(
        result.psnr["val"], abs=1e-6
    )
    assert json.loads(facts["psnr"])["val"] == pytest.approx(result.psnr["val"], abs=1e-3)
    assert json.loads(facts["steps"]) == 500
    assert json.loads(facts["finished"]) is True
    rows = list(csv.DictReader((tmp_path / "train.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows[-2:]] == [448, 500]
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert json.loads((tmp_path / "train.json").read_text())["log"][-1]["step"] == 500
    with Image.open(tmp_path / "train.png") as picture:
        assert picture.height > picture.width / 2


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_is_zero_for_equals_and_falls_in_training(
    loss: str, pictures: Path, tmp_path: Path
) -> None:
    luma = torch.rand(2, 1, 24, 24)
    assert float(LOSSES[loss](luma, luma)) == pytest.approx(0, abs=2e-3)
    assert float(LOSSES[loss](luma, 1 - luma)) > 0.05
    recipe = small(
        loss=loss, steps=192, lr=4e-3, mse_share=0.0, optimizer="adamw", weight_decay=1e-4, schedule="step"
    )
    train(config_for(pictures, tmp_path, recipe))
    rows = list(csv.DictReader((tmp_path / "train.csv").read_text().splitlines()))
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"])


def test_the_ssim_loss_is_one_less_the_metric() -> None:
    rng = torch.Generator().manual_seed(0)
    a, b = (torch.rand(1, 1, 30, 40, generator=rng, dtype=torch.float64) for _ in range(2))
    metric = metrics.ssim(a[0, 0].numpy(), b[0, 0].numpy(), peak=1.0)
    assert float(LOSSES["ssim"](a, b)) == pytest.approx(1 - metric, abs=1e-9)


def test_an_overflow_in_fp16_costs_a_step_and_halves_the_scale() -> None:
    scale = LossScale(torch.device("cpu"))
    weight = torch.tensor([3.0, 1e-3], requires_grad=True)
    before = float(scale.state["loss_scale"])
    for factor, wanted in ((1e-6, [6e-6, 2e-9]), (1e38, [0.0, 0.0]), (1e-6, [6e-6, 2e-9])):
        loss = (weight**2).sum() * factor
        (found,) = scale.down(torch.autograd.grad(scale.up(loss), [weight]))
        torch.testing.assert_close(found, torch.tensor(wanted))
    assert float(scale.state["loss_scale"]) == before / 2
    for _ in range(500):
        scale.down([torch.ones(1)])
    assert float(scale.state["loss_scale"]) == before


@pytest.mark.parametrize("optimizer", ["adam", "muon"])
@pytest.mark.parametrize("precision", slow_except("fp32", ["fp32", "bf16", "fp16"]))
def test_a_resumed_training_ends_in_the_same_bits(
    pictures: Path, tmp_path: Path, precision: str, optimizer: str
) -> None:
    recipe = small(precision=precision, optimizer=optimizer)
    recipe = dataclasses.replace(recipe, spec=dataclasses.replace(recipe.spec, channels=16))
    whole = train(config_for(pictures, tmp_path / "whole", recipe))
    stopped = train(config_for(pictures, tmp_path / "parts", recipe, control=StopsAfter(40)))
    assert not stopped.finished
    assert 0 < stopped.steps < 100
    resumed = train(config_for(pictures, tmp_path / "parts", recipe, resume=True))
    assert resumed.finished
    for name in ("weights.safetensors", "checkpoint.safetensors"):
        first, _ = load_tensors(whole.weights.with_name(name))
        second, _ = load_tensors(resumed.weights.with_name(name))
        assert first.keys() == second.keys()
        assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_checkpoint_comes_by_time_too(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = small(steps=200, val_every=10_000, precision="fp32")
    whole = train(config_for(pictures, tmp_path / "whole", recipe))
    monkeypatch.setattr("vsr.training.trainer.SAVE_EVERY_S", 0.0)
    killed = tmp_path / "killed"

    def kill(_progress: Progress) -> None:
        if (tmp_path / "out" / "checkpoint.safetensors").exists() and not killed.exists():
            shutil.copytree(tmp_path / "out", killed)

    result = train(config_for(pictures, tmp_path / "out", recipe, on_progress=kill))
    _, facts = load_tensors(killed / "checkpoint.safetensors")
    assert 0 < int(facts["step"]) < 200
    resumed = train(config_for(pictures, killed, recipe, resume=True))
    expected, _ = load_tensors(whole.weights)
    for found in (result, resumed):
        log = (found.weights.parent / "train.csv").read_text().splitlines()
        assert [row["step"] for row in csv.DictReader(log)] == ["200"]
        weights, _ = load_tensors(found.weights)
        assert all(torch.equal(weights[name], tensor) for name, tensor in expected.items())


@pytest.mark.parametrize(
    "arch", [{"name": "chain", "channels": 8, "depth": 2}, {"name": "edsr", "channels": 8, "blocks": 1}]
)
def test_a_training_starts_from_given_weights(arch: dict[str, Any], pictures: Path, tmp_path: Path) -> None:
    recipe = recipe_from_dict(
        "small",
        {
            "scale": 2,
            "arch": arch,
            "data": {"patch": 16, "batch": 4},
            "train": {"steps": 60, "precision": "fp32"},
        },
    )
    first = train(config_for(pictures, tmp_path / "first", recipe, val=[pictures / "val"]))
    still = dataclasses.replace(recipe, train=dataclasses.replace(recipe.train, steps=1, lr=1e-9))
    again = train(config_for(pictures, tmp_path / "again", still, val=[pictures / "val"], init=first.weights))
    assert again.psnr["val"] == pytest.approx(first.psnr["val"], abs=1e-3)
    other = recipe_from_dict("other", {"scale": 2, "arch": {"name": "chain", "channels": 4, "depth": 3}})
    with pytest.raises(VsrError, match=r"the recipe trains chain|cannot begin"):
        train(config_for(pictures, tmp_path / "other", other, init=first.weights))


def test_a_training_for_int8_rounds_a_chain_and_nothing_else(pictures: Path, tmp_path: Path) -> None:
    made = {}
    for rounded in (False, True):
        recipe = small(steps=192, lr=4e-3, rounded=rounded)
        made[rounded], _ = load_tensors(train(config_for(pictures, tmp_path / str(rounded), recipe)).weights)
        rows = list(csv.DictReader((tmp_path / str(rounded) / "train.csv").read_text().splitlines()))
        assert float(rows[-1]["loss"]) < float(rows[0]["loss"])
    assert not torch.equal(made[False]["convs.1.weight"], made[True]["convs.1.weight"])
    other = recipe_from_dict("other", {"scale": 2, "arch": {"name": "edsr"}, "train": {"rounded": True}})
    with pytest.raises(ConfigError, match="rounded trains a chain, not edsr"):
        train(config_for(pictures, tmp_path / "other", other))


def test_a_larger_network_starts_where_a_smaller_one_stopped(pictures: Path, tmp_path: Path) -> None:
    recipe = small(steps=60, precision="fp32")
    first = train(config_for(pictures, tmp_path / "first", recipe, val=[pictures / "val"]))
    larger = dataclasses.replace(
        recipe,
        spec=dataclasses.replace(recipe.spec, channels=12, depth=5, linear=5),
        train=dataclasses.replace(recipe.train, steps=1, lr=1e-9),
    )
    grown = train(
        config_for(pictures, tmp_path / "grown", larger, val=[pictures / "val"], init=first.weights)
    )
    assert grown.psnr["val"] == pytest.approx(first.psnr["val"], abs=1e-3)


def test_another_scale_begins_with_the_same_trunk(pictures: Path, tmp_path: Path) -> None:
    recipe = small(steps=60, precision="fp32")
    first = train(config_for(pictures, tmp_path / "first", recipe))
    larger = dataclasses.replace(
        recipe,
        scale=4,
        spec=dataclasses.replace(recipe.spec, scale=4),
        train=dataclasses.replace(recipe.train, steps=1, lr=1e-9),
    )
    again = train(config_for(pictures, tmp_path / "again", larger, init=first.weights))
    before, after = load_tensors(first.weights)[0], load_tensors(again.weights)[0]
    *trunk, last = sorted(name for name in before if name.endswith(".weight") and name.startswith("convs"))
    for name in trunk:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-5)
    assert after[last].shape[0] == 4 * before[last].shape[0]


def test_the_seed_decides(pictures: Path, tmp_path: Path) -> None:
    runs = [
        train(config_for(pictures, tmp_path / str(i), small(steps=3, seed=seed)))
        for i, seed in enumerate((1, 1, 2))
    ]
    first, again, other = (load_tensors(run.weights)[0]["convs.1.weight"] for run in runs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_time_limit_still_finishes_the_schedule(pictures: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    recipe = small(steps=10_000_000)
    result = train(config_for(pictures, tmp_path, recipe, time_limit_s=1.5, on_progress=seen.append))
    assert result.finished
    assert result.seconds < 10
    assert 0 < result.steps < 10_000_000
    assert seen[-1].fraction == 1.0
    assert seen[-1].lr < 0.05 * recipe.train.lr


def test_leaving_a_training_for_now(pictures: Path, tmp_path: Path) -> None:
    result = train(config_for(pictures, tmp_path, small(steps=10_000_000), stop_after_s=0.3))
    assert not result.finished
    assert (tmp_path / "checkpoint.safetensors").exists()


def test_a_cancelled_training_leaves_the_last_checkpoint_as_it_is(pictures: Path, tmp_path: Path) -> None:
    train(config_for(pictures, tmp_path, small(steps=2)))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    control = Control()
    recipe = small(steps=10_000_000, val_every=1_000_000)
    more = config_for(pictures, tmp_path, recipe, resume=True, control=control)
    with pytest.raises(Cancelled):
        train(dataclasses.replace(more, on_progress=lambda _: control.cancel()))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_nothing_is_written_before_the_first_step(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(Cancelled):
        train(config_for(pictures, tmp_path, small(), control=StopsAfter(0)))
    with pytest.raises(ConfigError, match="over before the first step"):
        train(config_for(pictures, tmp_path, small(), time_limit_s=1e-9))
    assert not any(tmp_path.iterdir())


def test_a_loss_that_is_no_number_is_an_error(pictures: Path, tmp_path: Path) -> None:
    recipe = small(lr=1e30, clip_norm=0.0, warmup=0)
    with pytest.raises(TrainingDivergedError, match="loss became"):
        train(config_for(pictures, tmp_path, recipe))
    assert not list(tmp_path.glob("*.safetensors"))


def test_weights_that_the_last_step_spoiled_are_not_written(pictures: Path, tmp_path: Path) -> None:
    recipe = small(lr=1e30, warmup=0, steps=1)
    with pytest.raises(TrainingDivergedError, match="no longer finite about step 1"):
        train(config_for(pictures, tmp_path, recipe, val=[pictures / "val"]))
    assert not list(tmp_path.glob("*.safetensors"))


def test_what_may_change_when_it_is_resumed(pictures: Path, tmp_path: Path) -> None:
    told: list[str] = []
    train(config_for(pictures, tmp_path, small(steps=2), val=[pictures / "val"]))
    renamed = dataclasses.replace(small(steps=3, val_every=1), name="other")
    config = config_for(pictures, tmp_path, renamed, resume=True, on_message=told.append)
    more = dataclasses.replace(config, data=[pictures / "train", pictures / "val"])
    result = train(more)
    assert (result.steps, result.psnr) == (3, {})
    assert "8 pictures; the training began with 6, so its result will differ" in told
    # What was measured a step before is not said of these weights, but stays in the log.
    facts = json.loads((tmp_path / "train.json").read_text())
    assert facts["psnr"] == json.loads(load_tensors(result.weights)[1]["psnr"]) == {}
    assert ["psnr_val" in row for row in facts["log"]] == [True, False]


@pytest.mark.parametrize("part", ["psnr_by_set", "picture_of"])
def test_nothing_is_lost_where_measuring_fails(
    part: str, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("not this picture")

    with monkeypatch.context() as broken:
        broken.setattr(f"vsr.training.trainer.{part}", fail)
        with pytest.raises(ValueError, match="not this picture"):
            train(config_for(pictures, tmp_path, small(steps=5), val=[pictures / "val"]))
    facts = load_tensors(tmp_path / "weights.safetensors")[1]
    assert (facts["steps"], facts["finished"]) == ("5", "true")
    assert ("val" in json.loads(facts["psnr"])) == (part == "picture_of")
    assert train(config_for(pictures, tmp_path, small(steps=6), resume=True)).steps == 6


def test_pictures_may_be_called_anything(pictures: Path, tmp_path: Path) -> None:
    val = tmp_path / "val"
    for folder, name in (("a$_{$b", "x$^$"), ("漢字", "名前"), (os.fsdecode(b"\xff"), os.fsdecode(b"\xe9"))):
        (val / folder).mkdir(parents=True)
        shutil.copyfile(pictures / "val" / "100.png", val / folder / f"{name}.png")
    command = os.fsdecode(b"vsr train \xff.toml")
    out = tmp_path / os.fsdecode(b"\xff")
    result = train(config_for(pictures, out, small(steps=2), val=[val], command=command))
    assert len(result.psnr) == 3
    assert load_tensors(result.weights)[1]["command"] == "vsr train ?.toml"
    assert (out / "train.png").stat().st_size > 10_000
    assert "psnr_漢字" in (out / "train.csv").read_text(encoding="utf-8")


def test_a_network_that_cannot_be_compiled_trains_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("no compiler\nand many lines more")

    recipe = small()
    photo = Photo("noise", np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8))
    network = Chain(ChainSpec(2, 8, 2, 2))
    step = TrainStep(network, PatchPool([photo], recipe, torch.device("cpu")), recipe.train, 4)
    monkeypatch.setattr(torch, "compile", refuse)
    said: list[str] = []
    step._compile(said.append)
    assert said[1:] == ["the network could not be compiled, which makes training slower: no compiler"]
    step.run()
    assert torch.isfinite(step.loss_sum()).all()


@pytest.mark.skipif(not torch.cuda.is_available() and not GPU_IS_REQUIRED, reason="needs a CUDA device")
def test_a_captured_training_learns_what_an_eager_one_does(pictures: Path, tmp_path: Path) -> None:
    messages: list[str] = []
    recipe = small(precision="fp32")
    runs = {
        device: train(
            dataclasses.replace(
                config_for(
                    pictures, tmp_path / device, recipe, val=[pictures / "val"], on_message=messages.append
                ),
                device=device,
            )
        )
        for device in ("cpu", "cuda")
    }
    assert not any("eagerly" in message for message in messages)
    assert runs["cuda"].psnr["val"] == pytest.approx(runs["cpu"].psnr["val"], abs=0.1)


@pytest.mark.parametrize("has_bf16", [True, False])
def test_a_processor_without_bf16_does_not_imitate_it(
    monkeypatch: pytest.MonkeyPatch, has_bf16: bool
) -> None:
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: has_bf16)
    processor, gpu = torch.device("cpu"), torch.device("cuda")
    assert compute_dtype("bf16", processor) is (torch.bfloat16 if has_bf16 else torch.float32)
    assert compute_dtype("bf16", gpu) is torch.bfloat16
    assert compute_dtype("fp32", processor) is torch.float32
