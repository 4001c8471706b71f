"""Networks in 8 bits: frame graphs whose convolutions take whole numbers, as processors and GPUs multiply them fastest.

Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018: features by
one scale a tensor, kernels by one for each of their outputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper


def quantized(
    model: onnx.ModelProto,
    kernels: Mapping[str, NDArray[np.float32]],
    calibration: Mapping[str, tuple[float, float]],
    *,
    symmetric: bool = False,
) -> onnx.ModelProto:
    """The same graph with the convolutions of what `calibration` names in 8 bits; their kernels stay where they are, and are
    rounded on the way in.

    kernels: values of the network's weights by name. calibration: the least and the largest of each tensor. symmetric: zero is
    0 in features too, as TensorRT needs it, which costs a little of their range.
    """
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    nodes: list[onnx.NodeProto] = []
    made: dict[str, str] = {}

    def stored(name: str, value: NDArray[Any]) -> str:
        graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def rounded(tensor: str, scale: NDArray[np.float32], zero: NDArray[Any], **settings: Any) -> str:
        if tensor not in made:
            ends = [stored(f"{tensor}/scale", scale), stored(f"{tensor}/zero", zero)]
            whole, made[tensor] = f"{tensor}/int8", f"{tensor}/rounded"
            nodes.append(helper.make_node("QuantizeLinear", [tensor, *ends], [whole], **settings))
            nodes.append(helper.make_node("DequantizeLinear", [whole, *ends], [made[tensor]], **settings))
        return made[tensor]

    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if node.op_type == "Conv" and node.input[0] in calibration and node.input[1] in kernels:
            copy.input[0] = rounded(
                node.input[0], *_of_features(*calibration[node.input[0]], symmetric=symmetric)
            )
            copy.input[1] = rounded(node.input[1], *_of_kernels(kernels[node.input[1]]), axis=0)
        nodes.append(copy)
    del graph.node[:]
    graph.node.extend(nodes)
    return changed


def _of_features(least: float, most: float, *, symmetric: bool) -> tuple[NDArray[np.float32], NDArray[Any]]:
    least, most = min(least, 0.0), max(most, 0.0)
    if symmetric:
        return np.array(max(-least, most, 1e-12) / 127, np.float32), np.array(0, np.int8)
    scale = max(most - least, 1e-12) / 255
    return np.array(scale, np.float32), np.array(round(-least / scale), np.uint8)


def _of_kernels(kernels: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[Any]]:
    peaks = np.abs(kernels).reshape(len(kernels), -1).max(1)
    return np.maximum(peaks, 1e-12).astype(np.float32) / np.float32(127), np.zeros(len(kernels), np.int8)
