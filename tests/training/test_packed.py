"""A training packed into one small file goes on from there, in another folder."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from scripts import devset, pack_training
from tests.support.trainings import StopsAfter, config_for, small
from vsr.core.errors import ConfigError, WeightsError
from vsr.training.checkpoint import load_tensors
from vsr.training.recipe import TrainRecipe
from vsr.training.schedule import chunk_rates
from vsr.training.trainer import train

STEPS = 300


def stopped(pictures: Path, folder: Path) -> Path:
    """A training that was stopped after half of its steps, packed. Gives the file."""
    recipe = small(steps=STEPS, optimizer="muon", warmup=20, lr=4e-3, muon_lr=0.04)
    config = config_for(pictures, folder / "run", recipe, control=StopsAfter(STEPS // 2))
    run = train(dataclasses.replace(config, command=f"vsr train r --data {pictures} --out run"))
    assert not run.finished
    pack_training.pack(folder / "run", folder / "packed.safetensors")
    return folder / "packed.safetensors"


def test_it_goes_on_where_it_was(pictures: Path, tmp_path: Path) -> None:
    file = stopped(pictures, tmp_path)
    weights, facts = load_tensors(file)
    step = int(facts["step"])
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert json.loads(facts["pixels"]) == step * 4 * 16**2
    assert {"hardware", "seconds", "recipe"} <= facts.keys()
    assert facts["command"] == f"vsr train r --data {pictures.name} --out run"

    recipe = small(steps=STEPS, optimizer="muon", warmup=20, lr=4e-3, muon_lr=0.04)
    config = config_for(pictures, tmp_path / "next", recipe, init=file, continued=True)
    result = train(config)
    assert result.finished
    assert result.steps == STEPS
    rows = list(csv.DictReader((tmp_path / "next" / "train.csv").read_text().splitlines()))
    steps, losses = [int(row["step"]) for row in rows], [float(row["loss"]) for row in rows]
    assert steps == sorted(set(steps))
    first_after = next(index for index, at in enumerate(steps) if at > step)
    assert first_after > 0, "the log of the first part goes along"
    assert losses[first_after] < losses[0]
    assert losses[first_after] == pytest.approx(losses[first_after - 1], rel=0.3)
    assert float(rows[-1]["seconds"]) > float(facts["seconds"])


def test_the_rate_rises_again_and_the_schedule_goes_on() -> None:
    recipe = TrainRecipe(steps=1000, warmup=10, lr=1.0)
    whole = chunk_rates(recipe, 500, 64, 0.0, 0.0, None)[:, 0]
    again = chunk_rates(recipe, 500, 64, 0.0, 0.0, None, since=500)[:, 0]
    assert again[0] == pytest.approx(whole[0] / 10)
    assert again[9:].tolist() == whole[9:].tolist()


def test_only_a_packed_training_of_the_same_recipe_goes_on(pictures: Path, tmp_path: Path) -> None:
    file = stopped(pictures, tmp_path)
    plain = tmp_path / "run" / "weights.safetensors"
    config = config_for(pictures, tmp_path / "next", small(steps=STEPS), init=file, continued=True)
    with pytest.raises(WeightsError, match="started with another recipe"):
        train(config)
    with pytest.raises(WeightsError, match="not a checkpoint of a training"):
        train(dataclasses.replace(config, init=plain))
    with pytest.raises(ConfigError, match="needs --init"):
        train(dataclasses.replace(config, init=None))


def test_the_development_set_is_kept_out(tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    for name in (
        "train/photos/a/1.avif",
        "train/photos/a/2.avif",
        "train2/drawn/b/3.avif",
        "train2/photos/4.avif",
    ):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8)).save(data / name)
    text = "# a comment\n\nlines  train/photos/a/1.avif\n-      train2/photos/4.avif\n"
    devset.make(data, out, devset.named(text))
    found = {path.relative_to(out).as_posix() for path in out.rglob("*.avif")}
    assert found == {
        "dev/lines/train-photos-a-1.avif", "train/train/photos/a/2.avif", "train/train2/drawn/b/3.avif",
    }  # fmt: skip
    assert len(list((out / "dev" / "rendered").iterdir())) == 3
    with pytest.raises(SystemExit, match="not in"):
        devset.make(data, tmp_path / "other", {"train/photos/nosuch.avif": "lines"})


def test_the_list_has_every_kind_and_no_picture_twice() -> None:
    text = devset.LIST.read_text(encoding="utf-8")
    sets = devset.named(text)
    assert {"lines", "facades", "text", "drawn", "anime", "-"} == set(sets.values())
    assert len(sets) == sum(not line.startswith("#") for line in text.splitlines() if line)
