"""What a GPU makes of the packages: frames a second by step, beside a plain torch loop, and how much of the GPU that is.

    python benchmarks/gpu.py --out benchmarks/gpu.json [--models fast balanced] [--sizes 1280x720] [--scales 2 4]

For each model and size: copying in, computing and copying out one frame, each alone; the three overlapped, with 1, 2 and 4
small frames in a batch or one large one, and 1 to 3 batches in flight, last as many as `vsr upscale` has; the network alone as
a torch user would write it, eager, in half precision and channels last. These are of frames in memory, and say what the GPU
could do. Last of all what the product does, by `vsr bench`: decoding, computing and encoding alone, and the job of
`vsr upscale` on 300 frames, from file to nothing and to a file. The GPU's own rate is measured by multiplying large matrices.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch

from vsr.backends.base import IN_FLIGHT, Backend
from vsr.backends.choose import choose_backend
from vsr.backends.torch.backend import TorchEngine
from vsr.bench.config import BenchConfig
from vsr.bench.run import bench
from vsr.core.color import Color
from vsr.core.frame import PixelFormat
from vsr.machine.environment import environment
from vsr.models import GraphLayout, ModelSpec, find_model
from vsr.models.archs import spec_from_dict
from vsr.models.archs.chain import plain_chain_from_weights
from vsr.models.spec import WEIGHTS_NAME
from vsr.upscale.graph_inputs import small_inputs
from vsr.upscale.upscaler import Upscaler

SECONDS = 0.5
BATCHES, MOST_PIXELS = (1, 2, 4), 4 * 1280 * 720
AT_ONCE = 12
LAYOUT = GraphLayout("yuv", 1, "left")


def rate(work: Callable[[], object]) -> float:
    """Times a second, once warm; the device has done all of it when the clock stops."""

    def seconds(times: int) -> float:
        torch.cuda.synchronize()
        begun = time.perf_counter()
        for _ in range(times):
            work()
        torch.cuda.synchronize()
        return time.perf_counter() - begun

    seconds(1)
    times = max(3, int(SECONDS / seconds(1)))  # Not by the clock: work is queued far faster than it is done.
    return times / seconds(times)


def matrix_rate() -> float:
    """Multiply-adds a second of the device in half precision."""
    side = 8192
    a, b = (torch.randn(side, side, device="cuda", dtype=torch.float16) for _ in range(2))
    return rate(lambda: a @ b) * side**3


def frame(width: int, height: int, batch: int = 1) -> dict[str, Any]:
    """Planes of 4:2:0 frames, and the small inputs."""
    rng = np.random.default_rng(0)
    planes = {
        name: rng.integers(0, 256, (batch, 1, height // part, width // part), np.uint8)
        for name, part in (("y", 1), ("u", 2), ("v", 2))
    }
    return planes | small_inputs(PixelFormat("yuv", 8, (1, 1)), Color())


def plain_loop(spec: ModelSpec, inputs: dict[str, Any]) -> float | None:
    """Frames a second of luma alone through torch, there and back; None for what is no chain."""
    if spec.network.get("arch") != "chain":
        return None
    hyperparameters = {name: value for name, value in spec.network.items() if name != "arch"}
    weights = safetensors.torch.load_file(spec.folder / WEIGHTS_NAME)
    chain = spec_from_dict("chain", {"scale": spec.scale, **hyperparameters})
    network = plain_chain_from_weights(chain, weights).cuda().half().to(memory_format=torch.channels_last)

    def once() -> object:
        luma = torch.from_numpy(inputs["y"]).cuda().half() / 255
        return (network(luma).clamp(0, 1) * 255).round().byte().cpu()

    with torch.inference_mode():
        return rate(once)


def captured_steps(engine: TorchEngine, inputs: dict[str, Any]) -> dict[str, float]:
    """Frames a second of each step alone."""
    with engine.captured(inputs) as captured, torch.inference_mode():
        steps = {
            "copy in": partial(captured.copy_in, inputs),
            "compute": captured.compute,
            "copy out": captured.copy_out,
        }
        return {name: rate(step) for name, step in steps.items()}


def several(pool: ThreadPoolExecutor, run: Callable[[Any], object], inputs: dict[str, Any]) -> None:
    for _ in pool.map(run, [inputs] * AT_ONCE):
        pass


def overlapped(backend: Backend, spec: ModelSpec, width: int, height: int) -> dict[str, float]:
    """Frames a second by the size of a batch and how many are in flight, as "2 x 3"; last, as `vsr upscale` has them."""
    with Upscaler(spec.id, backend=backend.name) as upscaler:
        chosen = upscaler.batch(width, height)
    found = {}
    for batch in [*(b for b in BATCHES if b != chosen and b * width * height <= MOST_PIXELS), chosen]:
        inputs = frame(width, height, batch)
        with backend.compile(
            spec, LAYOUT, {name: inputs[name].shape for name in LAYOUT.plane_names}
        ) as engine:
            engine.run(inputs)
            for in_flight in range(1, IN_FLIGHT + 1):
                with ThreadPoolExecutor(in_flight) as pool:
                    each = rate(partial(several, pool, engine.run, inputs))
                    found[f"{batch} x {in_flight}"] = each * AT_ONCE * batch
    return found


def measure(model: str, scale: int, width: int, height: int, peak: float) -> dict[str, Any]:
    spec, (backend, notes) = find_model(model, scale), choose_backend("auto")
    inputs = frame(width, height)
    shapes = {name: inputs[name].shape for name in LAYOUT.plane_names}
    begun = time.perf_counter()
    with backend.compile(spec, LAYOUT, shapes) as engine:
        engine.run(inputs)
        ready_s = time.perf_counter() - begun
        steps = captured_steps(engine, inputs) if isinstance(engine, TorchEngine) else {}
        together = overlapped(backend, spec, width, height)
        compute = steps.get("compute", together[f"1 x {IN_FLIGHT}"])
        return {
            "model": spec.id,
            "size": [width, height],
            "backend": backend.name,
            "notes": notes,
            "precision": engine.precision,
            "ready_s": round(ready_s, 2),
            "fps": {name: round(value, 1) for name, value in steps.items()},
            "fps_overlapped": {name: round(value, 1) for name, value in together.items()},
            "fps_plain_torch": plain_loop(spec, inputs),
            "of_matrix_rate": round(compute * spec.macs_per_pixel * width * height / peak, 4),
        }


def of_vsr(found: dict[str, Any], frames: int) -> list[dict[str, Any]]:
    """What `vsr bench` measures of the same: stages alone, and the job, from file to file."""
    config = BenchConfig(
        models=(found["model"],),
        backends=(found["backend"],),
        sizes=(tuple(found["size"]),),
        encoders=("null", "libx264"),
        presets=("superfast",),
        frames=frames,
    )
    cells: list[dict[str, Any]] = bench(config).as_dict()["cells"]
    return cells


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["fast", "balanced", "quality", "restore"])
    parser.add_argument("--scales", nargs="+", type=int, default=[2, 4])
    parser.add_argument("--sizes", nargs="+", default=["1280x720", "1920x1080"])
    parser.add_argument("--frames", type=int, default=300, help="of `vsr bench`; 0 leaves it out")
    args = parser.parse_args()
    peak = matrix_rate()
    result: dict[str, Any] = {
        "environment": environment().as_dict(),
        "command": "python benchmarks/gpu.py " + shlex.join(sys.argv[1:]),
        "matrix_tmacs": round(peak / 1e12, 1),
        "results": [],
    }
    sizes = [(int(width), int(height)) for width, height in (size.split("x") for size in args.sizes)]
    models = [(model, scale) for model in args.models for scale in args.scales]
    models = [(model, scale) for model, scale in models if find_model(model, scale).scale == scale]
    wanted = [(model, scale, size) for model, scale in models for size in sizes]
    for model, scale, size in wanted:
        found = measure(model, scale, *size, peak)
        if args.frames:
            found["bench"] = of_vsr(found, args.frames)
        result["results"].append(found)
        print(json.dumps(found), flush=True)
        args.out.write_text(json.dumps(result, indent=1) + "\n")  # What is measured is kept.


if __name__ == "__main__":
    main()
