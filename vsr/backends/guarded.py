"""Engines in half precision: whether they make the picture that float32 makes, and which layer is to blame where not.

Their graphs count the samples that are no numbers (`vsr.backends.graphs.precision.guarded`).
Rounded, those would be a black picture.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import NOT_FINITE, Arrays, CompileOptions, Engine
from vsr.backends.openvino import BACKEND as OPENVINO
from vsr.backends.openvino import run_once
from vsr.core.errors import ConfigError, InferenceError
from vsr.models.spec import GraphLayout, ModelSpec, Precision

# The PSNR of identical pictures.
_MOST_DB = 100.0
MIN_PSNR_DB: Mapping[Precision, int] = {"fp32": 60, "fp16": 50, "bf16": 40, "int8": 35, "fp8": 35}
"""The least PSNR, in dB, of an engine's result to that of float32."""
_LARGEST: Mapping[Precision, float] = {
    "fp32": 3.4e38,
    "bf16": 3.39e38,
    "fp16": 65504.0,
    "int8": 3.4e38,  # Around the convolutions, which clip, it is float32; with fp8 too.
    "fp8": 3.4e38,
}


@dataclass(frozen=True, slots=True)
class Parity:
    """An engine against float32 on the same frames. psnr_db: of all planes together, 100 where they are identical;
    largest_difference: in codes; not_finite: samples that were infinite or not a number."""

    psnr_db: float
    largest_difference: int
    not_finite: int
    frames: int

    def fault(self, limit_db: int) -> str:
        """The fault of the engine, as "is 30.1 dB from float32, ..."; empty if it makes the same picture."""
        if self.not_finite:
            return f"made {self.not_finite:,} samples that are NaN or infinite"
        return (
            f"is {self.psnr_db:.1f} dB from float32, under {limit_db} dB" if self.psnr_db < limit_db else ""
        )


class GuardedEngine(Engine):
    """An engine whose outputs may have a count of samples that are no numbers, NOT_FINITE."""

    def __init__(self, spec: ModelSpec, layout: GraphLayout, precision: Precision) -> None:
        self.spec, self.layout, self.precision = spec, layout, precision

    @abstractmethod
    def outputs(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """As `run`, and with the count, if the graph has one."""

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.uint8]]:
        outputs = self.outputs(inputs)
        if count := int(outputs.pop(NOT_FINITE, 0)):
            raise self.not_finite(inputs, count)
        return outputs

    def not_finite(self, inputs: Arrays, count: int) -> InferenceError:
        """The error to raise, with the first layer whose values the precision cannot hold."""
        limit = _LARGEST[self.precision]
        found = extremes(self.spec, self.layout, inputs)
        peaks = {name: max(-least, most) for name, (least, most) in found.items()}
        layer, peak = next(((name, peak) for name, peak in peaks.items() if not peak <= limit), ("", 0.0))
        because = f": {layer} reaches {peak:.3g}, and {self.precision} ends at {limit:.3g}" if layer else ""
        return InferenceError(
            f"{self.spec.id} in {self.precision} made {count:,} samples that are NaN or infinite{because}",
            hint=self.more_exact(layer),
        )

    def more_exact(self, layer: str = "") -> str | None:
        """The remedy for an engine that is not exact enough, with the layer if it is known."""
        if self.precision == "fp32":
            return None
        if self.precision not in ("fp16", "bf16"):
            return "--precision fp32"
        wider = "bf16" if self.precision == "fp16" else "fp32"
        named = f'keep_fp32 = ["{layer}"]' if layer else "keep_fp32"
        return f"--precision {wider}, or {named} in the recipe of a TensorRT engine"


def compare(engine: GuardedEngine, batches: Iterable[Arrays]) -> Parity:
    """Run batches of one shape through an engine and through float32 on the processor.

    Raises ConfigError where there is no batch; what either engine raises, but for samples that are not finite, which count.
    """
    spec, layout = engine.spec, engine.layout
    reference: Engine | None = None
    squares = samples = 0.0
    largest = not_finite = frames = 0
    try:
        for inputs in batches:
            shapes = {name: np.shape(inputs[name]) for name in layout.plane_names}
            reference = reference or OPENVINO.compile(spec, layout, shapes, CompileOptions(precision="fp32"))
            found, expected = engine.outputs(inputs), reference.run(inputs)
            not_finite += int(found.pop(NOT_FINITE, 0))
            peak = float(inputs["max_code"])
            for name, plane in expected.items():
                difference = np.abs(_codes(found[name], layout) - _codes(plane, layout))
                largest = max(largest, int(difference.max()))
                squares += float(np.square(difference / peak, dtype=np.float64).sum())
                samples += difference.size
            frames += shapes[layout.plane_names[0]][0]
    finally:
        if reference:
            reference.close()
    if not frames:
        raise ConfigError(
            "there is no frame to compare engines on",
            hint="name a video with at least as many as a batch has",
        )
    psnr_db = min(_MOST_DB, -10 * math.log10(squares / samples)) if squares else _MOST_DB
    return Parity(round(psnr_db, 2), largest, not_finite, frames)


def extremes(spec: ModelSpec, layout: GraphLayout, inputs: Arrays) -> dict[str, tuple[float, float]]:
    """The least and the largest value of each of a network's results for these inputs in float32, in order; NaN where there
    is one."""
    import onnx
    from onnx import TensorProto, helper

    from vsr.backends.graphs.precision import float_layers

    model = onnx.load(str(spec.graph(layout)))
    names = float_layers(model)
    del model.graph.output[:]
    for number, name in enumerate(names):
        for operator in ("ReduceMin", "ReduceMax"):
            model.graph.node.append(helper.make_node(operator, [name], [f"{operator}{number}"], keepdims=0))
            port = helper.make_tensor_value_info(f"{operator}{number}", TensorProto.FLOAT, [])
            model.graph.output.append(port)
    found = run_once(model.SerializeToString(), inputs)
    return {
        name: (float(found[f"ReduceMin{number}"]), float(found[f"ReduceMax{number}"]))
        for number, name in enumerate(names)
    }


def _codes(plane: NDArray[np.generic], layout: GraphLayout) -> NDArray[np.int32]:
    return plane.view("u1" if layout.bytes_per_sample == 1 else "<u2").astype(np.int32)
