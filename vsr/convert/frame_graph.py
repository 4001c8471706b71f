"""Planes in, planes out: everything around a network that turns codes into luma and luma into codes.

The contract is in `vsr.models.spec`. Convolutions make residuals only. The base picture, the luma sum and rounding are
elementwise on float32 after the last convolution, so a backend that runs convolutions in bfloat16 still keeps every code.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto

from vsr.convert.builder import GraphBuilder
from vsr.convert.networks import Network, add_cubic_residual
from vsr.models.spec import GraphLayout


def frame_graph(network: Network, layout: GraphLayout, *, exact: bool = False) -> onnx.ModelProto:
    """The frame graph of a luma network for one layout. `exact` keeps full precision in the cubic kernels.

    Sizes and batch are dynamic.
    """
    graph = GraphBuilder(network.weights_file)
    planes = {name: _plane_in(graph, name, layout) for name in layout.plane_names}
    gain = graph.input("gain", TensorProto.FLOAT, [])
    bias = graph.input("bias", TensorProto.FLOAT, [])
    max_code = graph.input("max_code", TensorProto.FLOAT, [])
    middle = graph.add("Mul", [max_code, graph.constant("half", 0.5)], "middle")

    def enlarged(name: str) -> str:
        """Cubic enlargement of a plane, [N, scale^2, h, w] float32."""
        centred = graph.add("Sub", [planes[name], middle], f"{name}/centred")
        residual = add_cubic_residual(graph, centred, network.scale, layout.siting, name, exact=exact)
        return graph.add("Add", [residual, planes[name]], f"{name}/enlarged")

    luma = _luma_of_rgb(graph, planes) if layout.kind == "rgb" else planes["y"]
    scaled = graph.add("Mul", [luma, gain], "luma/scaled")
    residual = network.add_to(graph, graph.add("Add", [scaled, bias], "luma/normal"))
    residual = graph.add("Div", [residual, gain], "luma/residual")
    sharp_luma = graph.add("Add", [residual, luma], "luma/sharp")

    if layout.kind == "rgb":
        # Colour differences are enlarged, luma is replaced: R' = cubic(R) + sharp luma - cubic(luma), likewise G and B.
        large = {name: enlarged(name) for name in layout.plane_names}
        large_luma = _luma_of_rgb(graph, large, "large")
        gained = graph.add("Sub", [sharp_luma, large_luma], "luma/gained")
        results = {
            name: graph.add("Add", [large[name], gained], f"{name}/sharp") for name in layout.plane_names
        }
    else:
        results = {"y": sharp_luma} | {name: enlarged(name) for name in layout.plane_names[1:]}
    for name, result in results.items():
        _plane_out(graph, name, result, max_code, network.scale, layout)
    return graph.model(layout.name)


def _plane_in(graph: GraphBuilder, name: str, layout: GraphLayout) -> str:
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


def _luma_of_rgb(graph: GraphBuilder, planes: dict[str, str], prefix: str = "luma") -> str:
    """Weighted sum of planes G, B, R."""
    if prefix == "luma":
        graph.input("luma_weights", TensorProto.FLOAT, [3])
        graph.split("luma_weights", ["weight/g", "weight/b", "weight/r"], axis=0)
    terms = [
        graph.add("Mul", [plane, f"weight/{name}"], f"{prefix}/{name}") for name, plane in planes.items()
    ]
    first = graph.add("Add", terms[:2], f"{prefix}/gb")
    return graph.add("Add", [first, terms[2]], f"{prefix}/sum")


def _plane_out(
    graph: GraphBuilder, name: str, packed: str, max_code: str, scale: int, layout: GraphLayout
) -> None:
    """Unpack [N, scale^2, h, w], round and clip to the plane's bytes."""
    # Bytes only at the very end: TensorRT has no uint8 between layers.
    plane = graph.add("DepthToSpace", [packed], f"{name}/plane", blocksize=scale, mode="CRD")
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
