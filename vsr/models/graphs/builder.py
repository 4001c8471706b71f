"""A little sugar over onnx.helper, and weights that stay in one safetensors file beside the graphs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from vsr.models.spec import WEIGHTS_NAME

OPSET = 18
IR_VERSION = 9


class GraphBuilder:
    """Nodes, constants, inputs and outputs of one ONNX graph; what adds one tensor returns its name."""

    def __init__(self, weights_file: Path | None = None) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._weights = _safetensors_layout(weights_file) if weights_file else {}

    def has(self, name: str) -> bool:
        """Whether a node makes the tensor of that name."""
        return any(name in node.output for node in self._nodes)

    def input(self, name: str, dtype: int, shape: Sequence[str | int]) -> str:
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name: str, dtype: int, shape: Sequence[str | int]) -> None:
        self._outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def constant(self, name: str, value: ArrayLike, dtype: Any = np.float32) -> str:
        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.asarray(value, dtype=dtype), name)
        return name

    def weight(self, name: str, shape: Sequence[int] | None = None) -> str:
        """A float32 tensor of the weights file, by reference; `shape` may view it otherwise."""
        stored_shape, offset, length = self._weights[name]
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=list(shape or stored_shape))
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in (("location", WEIGHTS_NAME), ("offset", str(offset)), ("length", str(length))):
            tensor.external_data.add(key=key, value=value)
        self._constants[name] = tensor
        return name

    def add(self, op: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node. It has the name of its result, because another name would double the file."""
        self._nodes.append(helper.make_node(op, list(inputs), [output], **attributes))
        return output

    def tensor(self, tensor: onnx.TensorProto, name: str) -> str:
        """Add a constant unchanged, under another name."""
        if name not in self._constants:
            self._constants[name] = onnx.TensorProto()
            self._constants[name].CopyFrom(tensor)
            self._constants[name].name = name
        return name

    def node(self, node: onnx.NodeProto, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        """Add a node unchanged, with other names of inputs and results."""
        made = onnx.NodeProto(op_type=node.op_type, input=inputs, output=outputs, attribute=node.attribute)
        self._nodes.append(made)

    def split(self, source: str, outputs: Sequence[str], axis: int) -> None:
        self._nodes.append(
            helper.make_node("Split", [source], list(outputs), axis=axis, num_outputs=len(outputs))
        )

    def model(self, name: str) -> onnx.ModelProto:
        graph = helper.make_graph(
            self._nodes, name, self._inputs, self._outputs, list(self._constants.values())
        )
        return helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="vsr"
        )


def _safetensors_layout(path: Path) -> dict[str, tuple[list[int], int, int]]:
    """Shape, offset and length in bytes of each float32 tensor of a safetensors file (8-byte length, JSON header, data)."""
    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(header_length))
    start = 8 + header_length
    return {
        name: (
            entry["shape"],
            start + entry["data_offsets"][0],
            entry["data_offsets"][1] - entry["data_offsets"][0],
        )
        for name, entry in header.items()
        if name != "__metadata__"
    }
