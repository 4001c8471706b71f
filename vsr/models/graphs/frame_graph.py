"""Planes in, planes out: everything around a network that turns codes into luma and luma into codes.

The contract is in `vsr.models.spec`. Convolutions make residuals only. The base picture, the luma sum and rounding are
elementwise on float32 after the last convolution, so a backend that runs convolutions in bfloat16 still keeps every code.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto

from vsr.models.graphs.builder import GraphBuilder
from vsr.models.graphs.networks import Network, add_cubic_residual
from vsr.models.graphs.planes import codes_in, codes_out
from vsr.models.graphs.temporal import Memory, TemporalNetwork
from vsr.models.spec import KEEP, GraphLayout


def frame_graph(
    network: Network | TemporalNetwork, layout: GraphLayout, *, exact: bool = False
) -> onnx.ModelProto:
    """The frame graph of a luma network for one layout. `exact` keeps full precision in the cubic kernels.

    Sizes and batch are dynamic.
    """
    graph = GraphBuilder(network.weights_file)
    planes = {name: codes_in(graph, name, layout) for name in layout.plane_names}
    gain = graph.input("gain", TensorProto.FLOAT, [])
    graph.input("bias", TensorProto.FLOAT, [])
    max_code = graph.input("max_code", TensorProto.FLOAT, [])
    middle = graph.add("Mul", [max_code, graph.constant("half", 0.5)], "middle")

    def enlarged(name: str) -> str:
        """Cubic enlargement of a plane, [N, scale^2, h, w] float32."""
        if network.scale == 1:
            return planes[name]
        centred = graph.add("Sub", [planes[name], middle], f"{name}/centred")
        residual = add_cubic_residual(graph, centred, network.scale, layout.siting, name, exact=exact)
        return graph.add("Add", [residual, planes[name]], f"{name}/enlarged")

    luma = _luma_of_rgb(graph, planes) if layout.kind == "rgb" else planes["y"]
    normal = _normal(graph, luma, "luma")
    if isinstance(network, TemporalNetwork):
        residual = network.add_with_memory(graph, normal, _memory(graph, layout))
    else:
        residual = network.add_to(graph, normal)
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
        plane = result
        if network.scale > 1:
            plane = graph.add("DepthToSpace", [result], f"{name}/plane", blocksize=network.scale, mode="CRD")
        codes_out(graph, name, plane, max_code, layout)
    return graph.model(layout.name)


def _normal(graph: GraphBuilder, luma: str, prefix: str) -> str:
    """Luma in units of the network."""
    scaled = graph.add("Mul", [luma, "gain"], f"{prefix}/scaled")
    return graph.add("Add", [scaled, "bias"], f"{prefix}/normal")


def _memory(graph: GraphBuilder, layout: GraphLayout) -> Memory:
    found = []
    for prefix in ("before", "out_before"):
        planes = {name: codes_in(graph, f"{name}_{prefix}", layout) for name in layout.luma_names}
        luma = _luma_of_rgb(graph, planes, prefix) if layout.kind == "rgb" else planes["y"]
        found.append(_normal(graph, luma, prefix))
    graph.input(KEEP, TensorProto.FLOAT, ["n"])
    every = graph.constant("every", [-1, 1, 1, 1], "int64")
    return Memory(found[0], found[1], graph.add("Reshape", [KEEP, every], "keep/every"))


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
