"""Frame graphs of networks in colour: luma and chroma, all at the luma's size, to what the network adds to each of them.

The contract is in `vsr.models.spec`. Planes are enlarged by cubic convolution, each at its own size, and `strength` times what
the network makes is added: at 0 the result is that of bicubic.
"""

from __future__ import annotations

from collections.abc import Callable

import onnx
from onnx import TensorProto

from vsr.models.graphs.builder import GraphBuilder
from vsr.models.graphs.chroma import chroma_at_luma_size, chroma_at_own_size
from vsr.models.graphs.networks import Network, add_cubic_residual
from vsr.models.graphs.planes import codes_in, codes_out
from vsr.models.graphs.rgb_graph import add_luma_weights
from vsr.models.spec import GraphLayout

PICTURE, DETAIL = "colour/in", "colour/detail"
"""The input and the output of the network in a frame graph."""
EXCURSION, BLACK = 219 / 255, 16 / 255
"""Limited-range luma, the input of networks, is luma in 0..1 times the first plus the second."""

DetailOf = Callable[[GraphBuilder, str], str]
"""Adds the nodes from a picture float32 [N, 3, h, w], luma in limited range / 255, Cb and Cr in -0.5..0.5, to what is added to
the cubic enlargement of each plane, [N, 3 x scale^2, h, w], plane by plane and row by row of each output block."""


def colour_graph(network: Network, layout: GraphLayout) -> onnx.ModelProto:
    """The frame graph of a network in colour for one layout. Sizes and batch are dynamic."""
    graph, scale = GraphBuilder(network.weights_file), network.scale
    planes = {name: codes_in(graph, name, layout) for name in layout.plane_names}
    gain = graph.input("gain", TensorProto.FLOAT, [])
    graph.input("bias", TensorProto.FLOAT, [])
    max_code = graph.input("max_code", TensorProto.FLOAT, [])
    graph.input("strength", TensorProto.FLOAT, [])
    if layout.kind != "gray":
        graph.input("chroma_gain", TensorProto.FLOAT, [])
    codes = graph.add("Add", [max_code, graph.constant("1", 1.0)], "codes")
    middle = graph.add("Mul", [codes, graph.constant("half", 0.5)], "middle")

    def detail_of(graph: GraphBuilder, picture: str) -> str:
        detail = network.add_to(graph, picture)
        return graph.add("Mul", [detail, "strength"], DETAIL)

    def shuffled(packed: str, name: str) -> str:
        return graph.add("DepthToSpace", [packed], name, blocksize=scale, mode="CRD")

    added: dict[str, str]
    if layout.kind == "rgb":
        whole = {n: graph.add("Mul", [plane, "chroma_gain"], f"{n}/normal") for n, plane in planes.items()}
        made = added_to_rgb(graph, whole, detail_of, "colour")
        added = {
            n: graph.add("Div", [shuffled(plane, f"{n}/made"), "chroma_gain"], f"{n}/added")
            for n, plane in made.items()
        }
    else:
        scaled = graph.add("Mul", [planes["y"], gain], "luma/scaled")
        normal = {"y": graph.add("Add", [scaled, "bias"], "luma/normal")}
        if layout.kind == "gray":
            none = graph.add("Mul", [normal["y"], graph.constant("zero", 0.0)], "chroma/none")
            picture = graph.add("Concat", [normal["y"], none, none], PICTURE, axis=1)
        else:
            for n in "uv":
                centred = graph.add("Sub", [planes[n], middle], f"{n}/from_middle")
                small = graph.add("Mul", [centred, "chroma_gain"], f"{n}/small")
                normal[n] = chroma_at_luma_size(graph, small, planes["y"], layout.siting, f"{n}/normal")
            picture = graph.add("Concat", list(normal.values()), PICTURE, axis=1)
        parts = [f"{n}/detail" for n in "yuv"]
        graph.split(detail_of(graph, picture), parts, axis=1)
        added = {"y": graph.add("Div", [shuffled("y/detail", "y/made"), gain], "y/added")}
        for n in layout.plane_names[1:]:
            own = chroma_at_own_size(
                graph, shuffled(f"{n}/detail", f"{n}/made"), planes[n], scale, layout.siting, f"{n}/own"
            )
            added[n] = graph.add("Div", [own, "chroma_gain"], f"{n}/added")
    for n, plane in planes.items():
        centred = graph.add("Sub", [plane, middle], f"{n}/centred")
        siting = "center" if n == "y" else layout.siting
        residual = add_cubic_residual(graph, centred, scale, siting, n, exact=False)
        enlarged = shuffled(graph.add("Add", [residual, plane], f"{n}/packed"), f"{n}/enlarged")
        codes_out(graph, n, graph.add("Add", [enlarged, added[n]], f"{n}/result"), max_code, layout)
    return graph.model(layout.name)


def added_to_rgb(
    graph: GraphBuilder, rgb: dict[str, str], detail_of: DetailOf, prefix: str
) -> dict[str, str]:
    """What a network adds to planes "r", "g" and "b" [N, 1, h, w] in 0..1: [N, scale^2, h, w] of each, by its name."""
    add_luma_weights(graph)

    def mixed(parts: dict[str, str], name: str) -> str:
        terms = [graph.add("Mul", [parts[n], f"k/{n}"], f"{name}_{n}") for n in "rgb"]
        return graph.add("Add", [graph.add("Add", terms[:2], f"{name}_rg"), terms[2]], name)

    luma = mixed(rgb, f"{prefix}/luma")
    limited = graph.add("Mul", [luma, graph.constant("excursion", EXCURSION)], f"{prefix}/limited")
    seen = [graph.add("Add", [limited, graph.constant("black", BLACK)], f"{prefix}/seen")]
    for n in "br":
        apart = graph.add("Sub", [rgb[n], luma], f"{prefix}/{n}_apart")
        seen.append(graph.add("Div", [apart, f"reach/{n}"], f"{prefix}/{n}_chroma"))
    parts = [f"{prefix}/y_detail", f"{prefix}/b_detail", f"{prefix}/r_detail"]
    graph.split(detail_of(graph, graph.add("Concat", seen, f"{prefix}/in", axis=1)), parts, axis=1)
    gained = graph.add("Div", [parts[0], graph.constant("excursion", EXCURSION)], f"{prefix}/gained")
    added: dict[str, str] = {}
    rest = gained
    for n, part in zip("br", parts[1:], strict=True):
        over = graph.add("Mul", [part, f"reach/{n}"], f"{prefix}/{n}_over")
        added[n] = graph.add("Add", [gained, over], f"{prefix}/{n}_added")
        weighed = graph.add("Mul", [added[n], f"k/{n}"], f"{prefix}/{n}_weighed")
        rest = graph.add("Sub", [rest, weighed], f"{prefix}/{n}_rest")
    added["g"] = graph.add("Div", [rest, "k/g"], f"{prefix}/g_added")
    return added
