"""A small network with memory: cubic enlargement, moved by an eighth towards the last result and by a quarter of the change of
the input.

Each part of the memory shows wherever the picture moves, and what a frame leaves behind is gone, to the code, frames later.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from vsr.core.frame import Frame, PixelFormat
from vsr.models.graphs.builder import GraphBuilder
from vsr.models.graphs.networks import Cubic, add_cubic_residual
from vsr.models.graphs.package import PackageFacts, write_package
from vsr.models.graphs.planes import codes_in, codes_out
from vsr.models.spec import GraphLayout, ModelSpec, State


def write_memory_network(
    folder: Path,
    *,
    states: Sequence[State] = ("input", "output"),
    single: str = "bicubic-x2",
    halo: int = 2,
    size_multiple: int = 1,
) -> ModelSpec:
    """The package in that folder, with the folder's name, for x2."""
    network = Cubic(2, halo=halo, size_multiple=size_multiple)
    facts = PackageFacts(folder.name, "a test", precision="fp32", states=tuple(states), single=single)
    return write_package(network, facts, folder, lambda layout: _graph(layout, states))


def _graph(layout: GraphLayout, states: Sequence[State]) -> onnx.ModelProto:
    graph = GraphBuilder()
    max_code = graph.input("max_code", TensorProto.FLOAT, [])
    graph.input("keep", TensorProto.FLOAT, ["n"])
    keep = graph.add("Reshape", ["keep", graph.constant("kept", [-1, 1, 1, 1], "int64")], "keep/all")
    for name in layout.plane_names:
        plane = codes_in(graph, name, layout)
        is_luma = name in layout.luma_names
        siting, inside = ("center", f"net/{name}") if is_luma else (layout.siting, name)
        cubic = add_cubic_residual(graph, plane, 2, siting, inside, exact=True)
        large = graph.add("Add", [cubic, plane], f"{name}/large")
        if is_luma:
            large = _remembered(graph, name, plane, large, keep, layout, states)
        packed = graph.add("DepthToSpace", [large], f"{name}/plane", blocksize=2, mode="CRD")
        codes_out(graph, name, packed, max_code, layout)
    return graph.model(layout.name)


def _remembered(
    graph: GraphBuilder,
    name: str,
    plane: str,
    large: str,
    keep: str,
    layout: GraphLayout,
    states: Sequence[State],
) -> str:
    """Add what the memory says to an enlarged plane [N, 4, h, w]."""

    def kept(term: str, what: str, to: str) -> str:
        only = graph.add("Mul", [term, keep], f"{name}/{what}/kept")
        return graph.add("Add", [to, only], f"{name}/{what}/added")

    result = large
    if "input" in states:
        change = graph.add("Sub", [codes_in(graph, f"{name}_before", layout), plane], f"{name}/change")
        result = kept(
            graph.add("Mul", [change, graph.constant("a quarter", 0.25)], f"{name}/change/part"),
            "change",
            result,
        )
    if "output" in states:
        before = codes_in(graph, f"{name}_out_before", layout)
        before = graph.add("SpaceToDepth", [before], f"{name}/before", blocksize=2)
        half = graph.add("Add", [large, graph.constant("half", 0.5)], f"{name}/half")
        codes = graph.add("Floor", [half], f"{name}/codes of {name}")
        # An eighth of the difference, towards zero: a smaller one than eight codes is forgotten at once.
        sides = [
            graph.add("Sub", pair, f"{name}/apart/{number}")
            for number, pair in enumerate([(before, codes), (codes, before)])
        ]
        parts = []
        for side in sides:
            positive = graph.add("Relu", [side], f"{side}/positive")
            eighth = graph.add("Mul", [positive, graph.constant("an eighth", 0.125)], f"{side}/eighth")
            parts.append(graph.add("Floor", [eighth], f"{side}/whole"))
        result = kept(graph.add("Sub", parts, f"{name}/result/part"), "result", result)
    return result


def moving(count: int, kind: PixelFormat, seed: int = 0, size: tuple[int, int] = (40, 32)) -> list[Frame]:
    """Frames of one scene: noise that moves by a sample from frame to frame, and flickers. Another seed is another scene."""
    random = np.random.default_rng(seed)
    dtype = "u1" if kind.bits == 8 else "<u2"
    scenes = []
    for number in range(kind.num_planes):
        width, height = kind.plane_size(number, *size)
        scenes.append(random.integers(0, kind.max_code + 1, (height, width + count)))

    def plane(number: int, at: int) -> np.ndarray:
        width, height = kind.plane_size(number, *size)
        flicker = random.integers(-8, 9, (height, width)) * (kind.max_code // 255)
        codes = np.clip(scenes[number][:, at : at + width] + flicker, 0, kind.max_code)
        return codes.astype(dtype).view(np.uint8)

    return [
        Frame([plane(number, at) for number in range(kind.num_planes)], *size, kind, index=at)
        for at in range(count)
    ]
