"""Networks in 8 bits: frame graphs whose convolutions take whole numbers, or floats of 8 bits, as processors and GPUs multiply
them fastest.

Whole numbers: Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only
inference", 2018: features by one scale a tensor, kernels by one for each of their outputs. Floats: E4M3 of Micikevicius et
al., "FP8 formats for deep learning", 2022: one scale a tensor for both, as every number has an exponent of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

EightBits = Literal["uint8", "int8", "fp8"]

_TYPES: Mapping[EightBits, int] = {
    "uint8": TensorProto.UINT8,
    "int8": TensorProto.INT8,
    "fp8": TensorProto.FLOAT8E4M3FN,
}
_LARGEST: Mapping[EightBits, int] = {"int8": 127, "fp8": 448}
# The first version of ONNX's operators that rounds to floats of 8 bits.
_OPSET_OF_FP8 = 19


def quantized(
    model: onnx.ModelProto,
    kernels: Mapping[str, NDArray[np.float32]],
    calibration: Mapping[str, tuple[float, float]],
    *,
    features: EightBits = "uint8",
) -> onnx.ModelProto:
    """The same graph, with the convolutions of the tensors in `calibration` in 8 bits; their kernels stay in place, and are
    rounded when they are read.

    kernels: values of the network's weights by name. calibration: the least and the largest value of each tensor. features: the
    type of the rounded tensors: "uint8" uses all of their range; in "int8" zero is 0, as TensorRT needs it, which costs a
    little of it; with "fp8" the kernels are floats of 8 bits too.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    nodes: list[onnx.NodeProto] = []
    made: dict[str, str] = {}

    def rounded(
        tensor: str, kind: EightBits, scale: NDArray[np.float32], zero: int = 0, **settings: Any
    ) -> str:
        if tensor not in made:
            ends = [f"{tensor}/scale", f"{tensor}/zero"]
            zeros = helper.make_tensor(ends[1], _TYPES[kind], scale.shape, [zero] * scale.size)
            graph.initializer.extend([numpy_helper.from_array(scale, ends[0]), zeros])
            whole, made[tensor] = f"{tensor}/{'fp8' if kind == 'fp8' else 'int8'}", f"{tensor}/rounded"
            nodes.append(helper.make_node("QuantizeLinear", [tensor, *ends], [whole], **settings))
            nodes.append(helper.make_node("DequantizeLinear", [whole, *ends], [made[tensor]], **settings))
        return made[tensor]

    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if node.op_type == "Conv" and node.input[0] in calibration and node.input[1] in kernels:
            given, kernel = node.input[0], kernels[node.input[1]]
            least, most = (min(calibration[given][0], 0.0), max(calibration[given][1], 0.0))
            if features == "uint8":
                step = _steps(most - least, 255)
                copy.input[0] = rounded(given, features, step, round(-least / float(step)))
            else:
                copy.input[0] = rounded(given, features, _steps(max(-least, most), _LARGEST[features]))
            if features == "fp8":
                copy.input[1] = rounded(node.input[1], "fp8", _steps(np.abs(kernel).max(), _LARGEST["fp8"]))
            else:
                peaks = np.abs(kernel).reshape(len(kernel), -1).max(1)
                copy.input[1] = rounded(node.input[1], "int8", _steps(peaks, _LARGEST["int8"]), axis=0)
        nodes.append(copy)
    del graph.node[:]
    graph.node.extend(nodes)
    if features == "fp8":
        for operators in changed.opset_import:
            if not operators.domain:
                operators.version = max(operators.version, _OPSET_OF_FP8)
    return changed


def _steps(ranges: Any, largest: int) -> NDArray[np.float32]:
    """The value of one step of the grid, whose `largest` number is the end of a range."""
    return np.asarray(np.maximum(ranges, 1e-12) / largest, np.float32)
