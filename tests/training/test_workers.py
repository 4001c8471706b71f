"""Several workers take the steps that one takes with all of their patches."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.support.processes import PATIENCE_S
from vsr.training.checkpoint import load_tensors
from vsr.training.recipe import load_recipe
from vsr.training.trainer import TrainConfig, train

RECIPE = """
scale = 2
[arch]
name = "{arch}"
channels = 16
depth = 2
[data]
patch = 16
batch = {batch}
[train]
steps = 70
lr = 2e-3
warmup = 5
optimizer = "{optimizer}"
precision = "fp32"
"""


def run_workers(count: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
    return subprocess.run(
        [*launch, "-m", "vsr", "train", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "optimizer"), [("chain", "muon"), ("vae", "adam")])
def test_two_workers_are_one_with_twice_the_batch(
    arch: str, optimizer: str, pictures: Path, tmp_path: Path
) -> None:
    for batch in (2, 4):
        text = RECIPE.format(arch=arch, optimizer=optimizer, batch=batch)
        (tmp_path / f"of{batch}.toml").write_text(text)
    data, out = str(pictures / "train"), tmp_path / "two"
    done = run_workers(
        2, str(tmp_path / "of2.toml"), "--data", data, "--val", str(pictures / "val"), "--out", str(out)
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained: 70 steps") == 1
    assert {path.name for path in out.iterdir()} == {
        "checkpoint.safetensors",
        "weights.safetensors",
        "train.csv",
        "train.json",
        "train.png",
    }
    recipe = load_recipe(tmp_path / "of4.toml")
    alone = train(TrainConfig(recipe, [pictures / "train"], tmp_path / "one", device="cpu"))
    first, _ = load_tensors(alone.weights)
    second, _ = load_tensors(out / "weights.safetensors")
    for name, tensor in first.items():
        torch.testing.assert_close(second[name], tensor, rtol=0, atol=1e-3, msg=name)


@pytest.mark.slow
def test_workers_keep_to_one_clock(pictures: Path, tmp_path: Path) -> None:
    text = RECIPE.format(arch="chain", optimizer="adam", batch=2).replace("steps = 70", "steps = 1000000")
    (tmp_path / "long.toml").write_text(text)
    done = run_workers(
        2, str(tmp_path / "long.toml"), "--data", str(pictures / "train"), "--out", str(tmp_path / "out"),
        "--time-limit", "3",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("trained: ") == 1
