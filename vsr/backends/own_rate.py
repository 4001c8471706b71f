"""The best rate of a runtime on this machine: large convolutions one after another, like a video network's, but wider.

A network's share of this rate shows how much a faster runtime, or other layers, could still gain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from vsr.backends.openvino_runtime import imported
from vsr.models.spec import Precision

CHANNELS, SIDE, LAYERS = 128, 64, 4
_OPERATIONS = 2 * 9 * CHANNELS * CHANNELS * SIDE * SIDE * LAYERS
_WEIGHT = 0.03  # Keeps the values of every layer in the range of 8 and 16 bits.


class Convolutions(NamedTuple):
    """run: runs all once, and returns when that is over. operations: multiplications and additions of a run."""

    run: Callable[[], object]
    operations: int


def convolutions(backend: str, precision: Precision, device: str, threads: int) -> Convolutions | None:
    """3x3 convolutions on 128 channels; None for a backend and precision that they are not written for.

    device: as the backend names it. threads: of a processor, 0 for all cores. Raises RuntimeError where the runtime does.
    """
    if backend == "openvino":
        return _openvino(precision, device, threads)
    if backend == "torch" and precision in ("fp32", "fp16", "bf16"):
        return _torch(precision, device)
    return None


def _weights() -> np.ndarray[Any, np.dtype[np.float32]]:
    shape = (CHANNELS, CHANNELS, 3, 3)
    return _WEIGHT * np.random.default_rng(0).standard_normal(shape, np.float32)


def _openvino(precision: Precision, device: str, threads: int) -> Convolutions:
    openvino = imported()
    ops = openvino.opset13

    def in_8_bits(tensor: Any, most: float, levels: int) -> Any:
        ends = (np.float32(-most), np.float32(most))
        return ops.fake_quantize(tensor, *ends, *ends, levels)

    small = tensor = ops.parameter([1, CHANNELS, SIDE, SIDE], np.float32)
    weights = ops.constant(_weights())
    if precision == "int8":
        weights = in_8_bits(weights, 5 * _WEIGHT, 255)
    for _ in range(LAYERS):
        if precision == "int8":
            tensor = in_8_bits(tensor, 4.0, 256)
        tensor = ops.relu(ops.convolution(tensor, weights, [1, 1], [1, 1], [1, 1], [1, 1]))
    # The result is one number, so that no copying is measured.
    model = openvino.Model([ops.reduce_max(tensor, np.array([1, 2, 3]), False)], [small])
    config: dict[str, str | int] = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": {"bf16": "bf16", "fp16": "f16"}.get(precision, "f32"),
    }
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    name = device.upper().replace(":", ".")
    request = openvino.Core().compile_model(model, name, config).create_infer_request()
    picture = np.random.default_rng(1).random((1, CHANNELS, SIDE, SIDE), np.float32)
    return Convolutions(lambda: request.infer([picture]), _OPERATIONS)


def _torch(precision: Precision, device: str) -> Convolutions:
    import torch

    kind = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}[precision]
    where = torch.device(device)
    weights = torch.from_numpy(_weights()).to(where, kind, memory_format=torch.channels_last)
    # A GPU wants more work in a run than a processor.
    batch = 1 if device == "cpu" else 64
    picture = torch.rand(batch, CHANNELS, SIDE, SIDE).to(where, kind, memory_format=torch.channels_last)

    def run() -> None:
        tensor = picture
        with torch.inference_mode():
            for _ in range(LAYERS):
                tensor = torch.relu(torch.conv2d(tensor, weights, padding=1))
            tensor.amax().item()

    return Convolutions(run, batch * _OPERATIONS)
