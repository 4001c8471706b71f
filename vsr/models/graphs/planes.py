"""Bytes of planes to code values and back."""

from __future__ import annotations

from onnx import TensorProto

from vsr.models.graphs.builder import GraphBuilder
from vsr.models.spec import GraphLayout


def codes_in(graph: GraphBuilder, name: str, layout: GraphLayout) -> str:
    """The plane's codes as float32 [N, 1, h, w]."""
    size = [f"h_{name}", f"w_{name}" if layout.bytes_per_sample == 1 else f"w2_{name}"]
    graph.input(name, TensorProto.UINT8, ["n", 1, *size])
    codes = graph.add("Cast", [name], f"{name}/bytes", to=TensorProto.FLOAT)
    if layout.bytes_per_sample == 1:
        return codes
    pairs = graph.add("Reshape", [codes, graph.constant("pairs", [0, 0, 0, -1, 2], "int64")], f"{name}/pairs")
    graph.split(pairs, [f"{name}/low_", f"{name}/high_"], axis=4)
    axis = graph.constant("pair-axis", [4], "int64")
    low = graph.add("Squeeze", [f"{name}/low_", axis], f"{name}/low")
    high = graph.add("Squeeze", [f"{name}/high_", axis], f"{name}/high")
    shifted = graph.add("Mul", [high, graph.constant("256", 256.0)], f"{name}/high256")
    return graph.add("Add", [low, shifted], f"{name}/codes")


def codes_out(graph: GraphBuilder, name: str, plane: str, max_code: str, layout: GraphLayout) -> None:
    """Round and clip float32 [N, 1, h, w] to the plane's bytes."""
    # Bytes only at the very end: TensorRT has no uint8 between layers.
    # Adding a half and flooring rounds halves up, where ONNX Round would send them to the even code.
    raised = graph.add("Add", [plane, graph.constant("half", 0.5)], f"{name}/raised")
    rounded = graph.add("Floor", [raised], f"{name}/rounded")
    codes = graph.add("Clip", [rounded, graph.constant("zero", 0.0), max_code], f"{name}/clipped")
    if layout.bytes_per_sample == 2:
        scaled = graph.add("Mul", [codes, graph.constant("1/256", 1 / 256)], f"{name}/scaled")
        high = graph.add("Floor", [scaled], f"{name}/high_out")
        shifted = graph.add("Mul", [high, graph.constant("256", 256.0)], f"{name}/high_out256")
        low = graph.add("Sub", [codes, shifted], f"{name}/low_out")
        axis = graph.constant("pair-axis", [4], "int64")
        parts = [graph.add("Unsqueeze", [part, axis], f"{part}/pair") for part in (low, high)]
        pairs = graph.add("Concat", parts, f"{name}/pairs_out", axis=4)
        codes = graph.add("Reshape", [pairs, graph.constant("flat", [0, 0, 0, -1], "int64")], f"{name}/flat")
    output = graph.add("Cast", [codes], f"{name}_out", to=TensorProto.UINT8)
    graph.output(output, TensorProto.UINT8, ["n", 1, f"h_{name}_out", f"w_{name}_out"])
