"""Frame graphs of networks that see colour: planes to RGB, the network, and back to planes.

The contract is in `vsr.models.spec`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import onnx
from onnx import TensorProto

from vsr.models.graphs.builder import GraphBuilder
from vsr.models.graphs.chroma import chroma_at_luma_size, chroma_at_own_size
from vsr.models.graphs.planes import codes_in, codes_out
from vsr.models.spec import GraphLayout


class RgbNetwork(Protocol):
    """A network on RGB, which a frame graph is built around."""

    @property
    def scale(self) -> int: ...
    @property
    def weights_file(self) -> Path | None: ...

    def enlarged(self, graph: GraphBuilder, picture: str, /) -> str:
        """Add the nodes: float32 [N, 3, h, w] in 0..1, R, G and B, to [N, 3, h*scale, w*scale]."""


def rgb_graph(network: RgbNetwork, layout: GraphLayout) -> onnx.ModelProto:
    """The frame graph of a network on RGB in 0..1, for one layout. Sizes and batch are dynamic."""
    graph = GraphBuilder(network.weights_file)
    planes = {name: codes_in(graph, name, layout) for name in layout.plane_names}
    max_code = graph.input("max_code", TensorProto.FLOAT, [])
    if layout.kind == "rgb":
        ordered = graph.add("Concat", [planes[name] for name in "rgb"], "rgb/codes", axis=1)
        large = network.enlarged(graph, graph.add("Div", [ordered, max_code], "rgb/in"))
        graph.split(
            graph.add("Mul", [large, max_code], "rgb/out"), [f"{name}/large" for name in "rgb"], axis=1
        )
        results = {name: f"{name}/large" for name in layout.plane_names}
    else:
        colour = _Colour(graph)
        luma = colour.luma_in(planes["y"])
        if layout.kind == "gray":
            rgb = graph.add("Concat", [luma] * 3, "rgb/in", axis=1)
            results = {"y": colour.luma_out(colour.luma_of(network.enlarged(graph, rgb)))}
        else:
            chroma = {name: colour.chroma_in(planes[name], planes["y"], layout.siting, name) for name in "uv"}
            large = network.enlarged(graph, colour.rgb_of(luma, chroma["u"], chroma["v"]))
            large_luma = colour.luma_of(large)
            results = {"y": colour.luma_out(large_luma)}
            for name in "uv":
                results[name] = colour.chroma_out(
                    large_luma, planes[name], network.scale, layout.siting, name
                )
    for name, result in results.items():
        codes_out(graph, name, result, max_code, layout)
    return graph.model(layout.name)


def add_luma_weights(graph: GraphBuilder) -> None:
    """Add the input luma_weights as k/g, k/b and k/r; and reach/b and reach/r, by which Cb and Cr are multiplied to give blue
    and red less luma. Nothing is added twice."""
    if graph.has("k/g"):
        return
    graph.input("luma_weights", TensorProto.FLOAT, [3])
    graph.split("luma_weights", ["k/g", "k/b", "k/r"], axis=0)
    # Cb = (B - Y) / (2 (1 - kb)), and Cr likewise from R: pure blue has a Cb of a half.
    for name in "br":
        rest = graph.add("Sub", [graph.constant("1", 1.0), f"k/{name}"], f"rest/{name}")
        graph.add("Mul", [rest, graph.constant("2", 2.0)], f"reach/{name}")


class _Colour:
    """Y'CbCr codes to R'G'B' in 0..1 and back, for the matrix, range and depth of the small inputs."""

    def __init__(self, graph: GraphBuilder) -> None:
        self._graph = graph
        for name in ("gain", "bias", "chroma_gain"):
            graph.input(name, TensorProto.FLOAT, [])
        add_luma_weights(graph)
        self._middle = graph.add(
            "Mul",
            [graph.add("Add", ["max_code", graph.constant("1", 1.0)], "codes"), graph.constant("half", 0.5)],
            "middle",
        )

    def luma_in(self, codes: str) -> str:
        graph = self._graph
        limited = graph.add("Add", [graph.add("Mul", [codes, "gain"], "luma/scaled"), "bias"], "luma/limited")
        raised = graph.add("Sub", [limited, graph.constant("black", 16 / 255)], "luma/lifted")
        return graph.add("Mul", [raised, graph.constant("excursion", 255 / 219)], "luma/normal")

    def luma_out(self, luma: str) -> str:
        graph = self._graph
        lowered = graph.add("Div", [luma, graph.constant("excursion", 255 / 219)], "luma/lowered")
        limited = graph.add("Add", [lowered, graph.constant("black", 16 / 255)], "luma/limited_out")
        return graph.add("Div", [graph.add("Sub", [limited, "bias"], "luma/unbiased"), "gain"], "luma/large")

    def chroma_in(self, codes: str, luma: str, siting: str, name: str) -> str:
        """Chroma about 0, at the luma's size."""
        graph = self._graph
        centred = graph.add("Sub", [codes, self._middle], f"{name}/centred")
        normal = graph.add("Mul", [centred, "chroma_gain"], f"{name}/normal")
        return chroma_at_luma_size(graph, normal, luma, siting, name)

    def chroma_out(self, luma: str, before: str, scale: int, siting: str, name: str) -> str:
        """Codes of the chroma of the network's RGB, `scale` times the size of the plane `before`."""
        graph, of = self._graph, {"u": "b", "v": "r"}[name]
        chroma = graph.add(
            "Div", [graph.add("Sub", [f"rgb/{of}", luma], f"{name}/apart"), f"reach/{of}"], f"{name}/large"
        )
        chroma = chroma_at_own_size(graph, chroma, before, scale, siting, name)
        codes = graph.add("Div", [chroma, "chroma_gain"], f"{name}/excursion")
        return graph.add("Add", [codes, self._middle], f"{name}/codes_out")

    def rgb_of(self, luma: str, cb: str, cr: str) -> str:
        graph = self._graph
        blue = graph.add("Add", [luma, graph.add("Mul", [cb, "reach/b"], "b/over")], "b/in")
        red = graph.add("Add", [luma, graph.add("Mul", [cr, "reach/r"], "r/over")], "r/in")
        parts = [
            graph.add("Mul", [plane, f"k/{name}"], f"{name}/part")
            for plane, name in ((blue, "b"), (red, "r"))
        ]
        rest = graph.add("Sub", [graph.add("Sub", [luma, parts[0]], "g/less"), parts[1]], "g/rest")
        green = graph.add("Div", [rest, "k/g"], "g/in")
        return graph.add("Concat", [red, green, blue], "rgb/in", axis=1)

    def luma_of(self, rgb: str) -> str:
        """Add the nodes that split `rgb` into rgb/r, rgb/g and rgb/b and make luma of them, and return the name of luma."""
        graph = self._graph
        graph.split(rgb, ["rgb/r", "rgb/g", "rgb/b"], axis=1)
        parts = [graph.add("Mul", [f"rgb/{name}", f"k/{name}"], f"rgb/{name}_part") for name in "rgb"]
        return graph.add("Add", [graph.add("Add", parts[:2], "rgb/rg"), parts[2]], "rgb/luma")
