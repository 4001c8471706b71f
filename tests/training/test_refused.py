"""Trainings that cannot be begun or gone on with: refused in words, and nothing is lost or left."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.trainings import config_for, small
from vsr.core.errors import ConfigError, FileError, VsrError, WeightsError
from vsr.training.checkpoint import load_tensors, save_tensors
from vsr.training.recipe import GanRecipe, recipe_from_dict
from vsr.training.trainer import Progress, train


@pytest.mark.parametrize("limit", [0.0, float("inf"), float("nan")])
def test_times_that_are_none(limit: float, pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a time must be positive and finite"):
        train(config_for(pictures, tmp_path, small(), time_limit_s=limit))


def test_what_cannot_be_resumed(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to resume"):
        train(config_for(pictures, tmp_path, small(), resume=True))
    train(config_for(pictures, tmp_path, small(steps=2)))
    with pytest.raises(ConfigError, match="exists already"):
        train(config_for(pictures, tmp_path, small(steps=2)))
    wider = small(steps=4, precision="fp16")
    wider = dataclasses.replace(wider, spec=dataclasses.replace(wider.spec, channels=12))
    other = r"another recipe: \[arch\] channels \(8, now 12\), \[train\] precision \(bf16, now fp16\)$"
    with pytest.raises(WeightsError, match=other):
        train(config_for(pictures, tmp_path, wider, resume=True))
    against = dataclasses.replace(small(steps=4), gan=GanRecipe())
    with pytest.raises(WeightsError, match=r"\[gan\] weight \(None, now 0.02\)"):
        train(config_for(pictures, tmp_path, against, resume=True))
    (tmp_path / "checkpoint.safetensors").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="cannot read"):
        train(config_for(pictures, tmp_path, small(steps=4), resume=True))


@pytest.mark.parametrize(
    ("fact", "value"),
    [
        ("recipe", [1]),
        ("recipe", 7),
        ("recipe", {"scale": 2, "arch": {"name": "chain", "channels": "a"}}),
        ("step", -1),
        ("step", 1.5),
        pytest.param("step", 10**400, id="step-endless"),
        ("seconds", float("nan")),
        ("seconds", -1),
        ("step_s", float("nan")),
        ("step_s", []),
        ("rows", 3),
        ("rows", float("nan")),
        ("rows", [3]),
        ("rows", [{"loss": 1.0}]),
        ("rows", [{"step": 1, "psnr_val": "high"}]),
    ],
)
def test_checkpoints_that_tell_what_cannot_be(fact: str, value: Any, pictures: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    told = {"recipe": small().as_dict(), "step": 1, "seconds": 1.0, "step_s": 0.1, "rows": []}
    save_tensors(checkpoint, {}, told | {fact: value})
    with pytest.raises(WeightsError, match=fact) as error:
        train(config_for(pictures, tmp_path, small(), resume=True))
    assert "\n" not in error.value.message


def test_where_nothing_can_be_written_or_lost(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot write into /proc"):
        train(config_for(pictures, Path("/proc"), small(steps=2)))
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="cannot make the folder"):
        train(config_for(pictures, tmp_path / "file", small(steps=2)))
    for name in ("weights.safetensors", "model.toml"):
        out = tmp_path / f"with-{name}"
        out.mkdir()
        (out / name).write_text("of another")
        with pytest.raises(ConfigError, match=f"{name} exists already"):
            train(config_for(pictures, out, small(steps=2)))
        assert [path.name for path in out.iterdir()] == [name]
        assert (out / name).read_text() == "of another"


def test_a_refused_training_leaves_no_folder(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    config = config_for(pictures, out, small(steps=1), checkpoints=out / "c")
    for refused in (
        dataclasses.replace(config, resume=True),
        dataclasses.replace(config, data=[tmp_path / "nosuch"]),
        dataclasses.replace(config, val=[tmp_path / "nosuch"]),
    ):
        with pytest.raises(VsrError):
            train(refused)
        assert not any(tmp_path.iterdir())
    train(config)
    assert (out / "c" / "checkpoint.safetensors").exists()


def test_one_training_in_a_folder_at_a_time(pictures: Path, tmp_path: Path) -> None:
    refused: list[str] = []

    def begin_another(_: Progress) -> None:
        with pytest.raises(ConfigError, match=f"another vsr is training in {tmp_path}") as error:
            train(config_for(pictures, tmp_path, small(steps=2)))
        refused.append(error.value.message)

    config = config_for(pictures, tmp_path, small(steps=2))
    train(dataclasses.replace(config, on_progress=begin_another))
    assert refused
    train(config_for(pictures, tmp_path, small(steps=3), resume=True))


@pytest.mark.parametrize(
    ("arch", "data", "words"),
    [
        ({"channels": 1_000_000}, {}, r"no memory for \[arch\] name = chain, channels = 1000000,"),
        ({"channels": 10**18}, {}, r"no memory for \[arch\] name = chain, channels = 1000"),
        ({}, {"batch": 1_000_000_000}, r"no memory for \[data\] batch = 1000000000, patch = 16"),
    ],
)
def test_what_no_memory_holds(
    arch: dict[str, Any], data: dict[str, Any], words: str, pictures: Path, tmp_path: Path
) -> None:
    recipe = recipe_from_dict(
        "large",
        {
            "scale": 2,
            "arch": {"name": "chain", "channels": 8, "depth": 2} | arch,
            "data": {"patch": 16, "batch": 4} | data,
        },
    )
    with pytest.raises(ConfigError, match=words):
        train(config_for(pictures, tmp_path, recipe))


def test_weights_to_begin_with_that_are_others(pictures: Path, tmp_path: Path) -> None:
    first = train(config_for(pictures, tmp_path / "first", small(steps=1)))
    weights, facts = load_tensors(first.weights)
    liar = tmp_path / "liar.safetensors"
    save_tensors(liar, weights, facts | {"hyperparameters": {"scale": 2, "channels": 4, "depth": 1}})
    listed = tmp_path / "listed.safetensors"
    save_tensors(listed, weights, facts | {"hyperparameters": [1, 2]})
    for init in (first.weights.with_name("checkpoint.safetensors"), liar, listed):
        with pytest.raises(WeightsError) as error:
            train(config_for(pictures, tmp_path / "second", small(steps=1), init=init))
        assert error.value.message.startswith(f"{init}: ")
        assert len(error.value.message) < len(str(init)) + 150
        assert "\n" not in error.value.message
        assert "take the weights.safetensors" in str(error.value.hint)


@pytest.mark.parametrize("device", ["mps", "gpu", "cuda"])
def test_devices_that_are_not_there(pictures: Path, tmp_path: Path, device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(VsrError):
        train(dataclasses.replace(config_for(pictures, tmp_path, small()), device=device))
