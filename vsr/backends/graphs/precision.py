"""Networks in half precision, written into the graph, as strongly typed compilers need it.

In frame graphs and exported networks every node whose result is named "net/..." belongs to the network. Only these nodes
change; the nodes around them (the base picture, colour and rounding) stay float32.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, shape_inference

from vsr.backends.base import NOT_FINITE
from vsr.models.spec import Precision

_TYPES = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16}
_OF_GUARDS: Mapping[str, Mapping[str, Any]] = {
    "Cast": {"to": TensorProto.FLOAT},
    "ReduceSum": {"keepdims": 0},
}
# Inputs that have a type of their own, by operator: the scales of a resize.
_FIXED = {"Resize": {1, 2, 3}}


def in_precision(model: onnx.ModelProto, precision: Precision, keep: Collection[str] = ()) -> onnx.ModelProto:
    """The same graph with its network computed in `precision`, except the results named in `keep`, which stay float32.
    Weights in a separate file stay unchanged there, and are cast when they are read; weights in the graph are halved."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    if precision == "fp32":
        return changed
    graph = changed.graph
    floats = _float_tensors(model)
    stored = {tensor.name: tensor for tensor in graph.initializer}
    made = set(float_layers(model)) - set(keep)
    nodes: list[onnx.NodeProto] = []
    known: set[str] = set()

    def as_type(tensor: str, kind: int) -> str:
        name = f"{tensor}/{'float' if kind == TensorProto.FLOAT else precision}"
        if name not in known:
            known.add(name)
            if tensor in stored and stored[tensor].data_location != TensorProto.EXTERNAL:
                values = numpy_helper.to_array(stored[tensor])
                with np.errstate(
                    over="ignore"
                ):  # Values that are too large become infinite, and the guard reports them.
                    graph.initializer.append(helper.make_tensor(name, kind, values.shape, values.ravel()))
            else:
                nodes.append(helper.make_node("Cast", [tensor], [name], to=kind))
        return name

    for original in model.graph.node:
        node = onnx.NodeProto.FromString(original.SerializeToString())
        in_network = any(name.startswith("net/") and name not in keep for name in node.output)
        for place, tensor in enumerate(node.input):
            if in_network and tensor in floats and tensor not in made:
                if place not in _FIXED.get(node.op_type, ()):
                    node.input[place] = as_type(tensor, _TYPES[precision])
            elif not in_network and tensor in made:
                node.input[place] = as_type(tensor, TensorProto.FLOAT)
        nodes.append(node)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    for field, items in ((graph.node, nodes), (graph.initializer, kept)):
        copies = [type(item).FromString(item.SerializeToString()) for item in items]
        del field[:]
        field.extend(copies)
    del graph.value_info[:]
    return changed


def rounded(model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """The same graph in float32, with the network's inputs and results rounded to `precision` (bf16 or fp16): the result of
    a device that sums in float32, on any machine."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    floats, layers = _float_tensors(model), set(float_layers(model))
    nodes: list[onnx.NodeProto] = []
    known: set[str] = set()

    def rounding(tensor: str, result: str) -> str:
        if result not in known:
            known.add(result)
            nodes.append(helper.make_node("Cast", [tensor], [f"{result}/short"], to=_TYPES[precision]))
            nodes.append(helper.make_node("Cast", [f"{result}/short"], [result], to=TensorProto.FLOAT))
        return result

    for original in model.graph.node:
        node = onnx.NodeProto.FromString(original.SerializeToString())
        if any(name.startswith("net/") for name in node.output):
            for place, tensor in enumerate(node.input):
                if tensor in floats and tensor not in layers and place not in _FIXED.get(node.op_type, ()):
                    node.input[place] = rounding(tensor, f"{tensor}/rounded")
        made = [(place, name) for place, name in enumerate(node.output) if name in layers]
        for place, name in made:
            node.output[place] = f"{name}/exact"
        nodes.append(node)
        for _, name in made:
            rounding(f"{name}/exact", name)
    del changed.graph.node[:]
    changed.graph.node.extend(nodes)
    del changed.graph.value_info[:]
    return changed


def float_layers(model: onnx.ModelProto) -> list[str]:
    """Names of the results that a network computes, in order, without shapes and the like."""
    floats = _float_tensors(model)
    names = [name for node in model.graph.node for name in node.output]
    return [name for name in names if name.startswith("net/") and name in floats]


def guarded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with one more output, NOT_FINITE: how many of the samples the network makes are infinite or not a
    number, which after rounding would be black or white."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph, within = changed.graph, set(float_layers(model))
    leaving = dict.fromkeys(
        tensor
        for node in graph.node
        if within.isdisjoint(node.output)
        for tensor in node.input
        if tensor in within
    )
    counts = []
    for number, tensor in enumerate(leaving):
        nodes = (
            ("IsNaN", [tensor], "nan"),
            ("IsInf", [tensor], "inf"),
            ("Or", [f"guard{number}/nan", f"guard{number}/inf"], "either"),
            ("Cast", [f"guard{number}/either"], "number"),
            ("ReduceSum", [f"guard{number}/number"], "count"),
        )
        for operator, inputs, name in nodes:
            graph.node.append(
                helper.make_node(operator, inputs, [f"guard{number}/{name}"], **_OF_GUARDS.get(operator, {}))
            )
        counts.append(f"guard{number}/count")
    graph.node.append(helper.make_node("Sum", counts, [NOT_FINITE]))
    graph.output.append(helper.make_tensor_value_info(NOT_FINITE, TensorProto.FLOAT, []))
    return changed


def _float_tensors(model: onnx.ModelProto) -> set[str]:
    """Names of all float32 tensors of a graph."""
    graph = shape_inference.infer_shapes(model).graph
    found = {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    for port in (*graph.input, *graph.value_info, *graph.output):
        if port.type.tensor_type.elem_type == TensorProto.FLOAT:
            found.add(port.name)
    return found
