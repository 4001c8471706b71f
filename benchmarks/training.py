"""Steps of training a second on a GPU: launched one by one, captured in a CUDA graph, and compiled first, as `vsr train` does.

python benchmarks/training.py --out benchmarks/training.json [--recipes quality-x4 balanced-x2] [--batches 4 8 16]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vsr.machine.environment import environment
from vsr.models.archs import ARCHITECTURES
from vsr.training.data import PatchPool, Photo
from vsr.training.recipe import Recipe, load_recipe
from vsr.training.step import CHUNK, TrainStep, own_stream

DEVICE = torch.device("cuda")
WAYS = ("one by one", "captured", "compiled and captured")


def photos() -> list[Photo]:
    rng = np.random.default_rng(0)
    return [Photo(f"noise {number}", rng.integers(0, 256, (1200, 1200), np.uint8)) for number in range(3)]


def prepared(recipe: Recipe, way: str) -> TrainStep:
    architecture = ARCHITECTURES[recipe.arch]
    network = architecture.load(architecture.trainable)(recipe.spec, torch.bfloat16)
    network.rounded = recipe.train.rounded
    pool = PatchPool(photos(), recipe, DEVICE)
    step = TrainStep(network.to(DEVICE), pool, recipe.train, recipe.data.batch)
    if way != "one by one":
        step.capture(print, compiled=way != "captured")
    return step


def measure(name: str, batch: int, way: str) -> dict[str, Any]:
    recipe = load_recipe(name)
    data = dataclasses.replace(recipe.data, batch=batch, rendered_share=0.0, hr_scales=(1.0,), teacher="")
    recipe = dataclasses.replace(recipe, data=data)
    begun = time.perf_counter()
    step = prepared(recipe, way)
    rates = np.tile(np.array([1e-4, 0.0], np.float32), (CHUNK, 1))

    def seconds() -> float:
        step.load_chunk(np.random.default_rng(0), rates, 0)
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(CHUNK):
            step.run()
        torch.cuda.synchronize()
        return time.perf_counter() - start

    seconds()
    ready = time.perf_counter() - begun
    per_second = CHUNK / min(seconds() for _ in range(3))
    pixels = per_second * batch * recipe.data.patch**2
    macs = 3 * recipe.spec.macs_per_pixel * pixels  # Forwards, and twice as much backwards.
    return {
        "recipe": name,
        "patch": recipe.data.patch,
        "batch": batch,
        "way": way,
        "steps_per_s": round(per_second, 1),
        "tmacs": round(macs / 1e12, 1),
        "ready_s": round(ready, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recipes", nargs="+", default=["quality-x4", "balanced-x2"])
    parser.add_argument("--batches", nargs="+", type=int, default=[4, 8, 16])
    args = parser.parse_args()
    result: dict[str, Any] = {
        "environment": environment().as_dict(),
        "command": "python benchmarks/training.py " + shlex.join(sys.argv[1:]),
        "results": [],
    }
    with own_stream(DEVICE):
        for name in args.recipes:
            for batch in args.batches:
                for way in WAYS:
                    result["results"].append(measure(name, batch, way))
                    print(json.dumps(result["results"][-1]), flush=True)
                    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
