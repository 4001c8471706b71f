"""Training a network with memory: sequences of clips and of moved photographs, and what the memory is worth after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from PIL import Image

from tests.models.test_motion import texture
from vsr.convert.export import export_model
from vsr.core.errors import ConfigError
from vsr.training.clips import ClipPool
from vsr.training.moving import moved
from vsr.training.recipe import Recipe, recipe_from_dict
from vsr.training.trainer import TrainConfig, train
from vsr.training.validation import load_clips


def recipe(scale: int = 2, **data: Any) -> Recipe:
    table = {
        "scale": scale,
        "arch": {"name": "temporal", "channels": 8, "depth": 1},
        "data": {"patch": 24, "batch": 4, "frames": 3} | data,
        "train": {"steps": 120, "lr": 4e-3, "warmup": 10, "ema_decay": 0.9, "loss": "psnr", "steady": 0.1},
    }
    return recipe_from_dict("clips", table)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(2):
        Image.fromarray(texture(seed, 260)).save(folder / f"{seed}.png")
    return folder


def written_clip(path: Path, frames: list[np.ndarray]) -> None:
    """Luma, without loss."""
    height, width = frames[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "gray"
        for luma in frames:
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(luma), format="gray"))
            )
        container.mux(stream.encode())


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A texture that moves by three pixels a frame."""
    folder = tmp_path / "clips"
    folder.mkdir()
    large = texture(7, 280)
    written_clip(folder / "pan.mkv", [large[20:148, 20 + 3 * at : 180 + 3 * at] for at in range(12)])
    return folder


def test_a_short_training_makes_the_memory_worth_something(
    photographs: Path, clips: Path, tmp_path: Path
) -> None:
    result = train(TrainConfig(recipe(), [photographs, clips], tmp_path / "run", [clips], device="cpu"))
    assert result.psnr["clips"] > result.psnr["clips reset"] + 0.1
    log = json.loads((tmp_path / "run" / "train.json").read_text())
    assert {"psnr_clips", "psnr_clips reset"} <= log["log"][-1].keys()
    spec = export_model(result.weights, tmp_path / "mine-x2")
    assert spec.states == ("input", "output")
    assert spec.single == "mine-x2"


def test_clips_of_folders_with_one_name_are_measured_apart(tmp_path: Path) -> None:
    frames = [texture(3, 32)] * 6
    folders = [tmp_path / parent / "val" for parent in ("a", "b")]
    for folder in folders:
        folder.mkdir(parents=True)
        written_clip(folder / "still.mkv", frames)
    found = load_clips([*folders, folders[0]], scale=2, unit=1)
    assert {name: len(clips) for name, clips in found.items()} == {"a/val": 1, "b/val": 1}


@pytest.mark.parametrize("scale", [2, 4])
def test_sequences_are_drawn_alike_from_one_seed(scale: int, photographs: Path, clips: Path) -> None:
    pools = [ClipPool([photographs, clips], recipe(scale), torch.device("cpu")) for _ in range(2)]
    assert pools[0].count == pools[1].count > 0
    assert torch.equal(pools[0].hr, pools[1].hr)
    lr, hr = pools[0].gather(torch.from_numpy(pools[0].draw(np.random.default_rng(0), 4)))
    assert (lr.shape, hr.shape) == ((4, 3, 24, 24), (4, 3, 24 * scale, 24 * scale))


def test_a_photograph_moves_from_frame_to_frame() -> None:
    photo, rng = texture(3, 260), np.random.default_rng(1)
    sequences = [moved(photo, 3, 48, rng) for _ in range(12)]
    assert all(frames is not None and frames.shape == (3, 48, 48) for frames in sequences)
    assert sum(bool((frames[0] != frames[1]).any()) for frames in sequences if frames is not None) >= 11
    assert moved(texture(3, 40), 3, 48, rng) is None


@pytest.mark.parametrize(
    ("arch", "data", "words"),
    [
        ("chain", {}, "frames is for networks with memory, and chain has none"),
        ("temporal", {"rendered_share": 0.1}, "rendered_share is for single pictures"),
        ("temporal", {"frames": 31}, "frames must be in 1..30"),
    ],
)
def test_recipes_that_make_no_sense_are_refused(arch: str, data: dict[str, Any], words: str) -> None:
    table = {
        "scale": 2,
        "arch": {"name": arch, "channels": 8, "depth": 1},
        "data": {"patch": 24, "frames": 3} | data,
    }
    with pytest.raises(ConfigError, match=words):
        recipe_from_dict("wrong", table)


def test_folders_without_a_sequence_are_refused(tmp_path: Path) -> None:
    Image.fromarray(texture(0, 64)).save(tmp_path / "small.png")
    with pytest.raises(ConfigError, match="no clip holds 3 frames with a patch of 512x512"):
        ClipPool([tmp_path], recipe(patch=256), torch.device("cpu"))
