"""A small network with memory: cubic enlargement, mixed with the last frame's result and moved by the change of the input.

Each part of the memory shows in every sample, and what a frame leaves behind is gone, to the code, a few frames later.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto

from vsr.models.graphs.builder import GraphBuilder
from vsr.models.graphs.networks import Cubic, add_cubic_residual
from vsr.models.graphs.package import PackageFacts, write_package
from vsr.models.graphs.planes import codes_in, codes_out
from vsr.models.spec import GraphLayout, ModelSpec, State

RESULT, CHANGE = 0.125, 0.25
"""Shares of the last result, and of the change of the input since the last frame, in the result."""


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
        siting = "center" if name in layout.luma_names else layout.siting
        cubic = add_cubic_residual(graph, plane, 2, siting, name, exact=True)
        large = graph.add("Add", [cubic, plane], f"{name}/large")
        if name in layout.luma_names:
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
    terms = []
    if "output" in states:
        result = codes_in(graph, f"{name}_out_before", layout)
        result = graph.add("SpaceToDepth", [result], f"{name}/result", blocksize=2)
        terms.append(("result", RESULT, result, large))
    if "input" in states:
        terms.append(("change", CHANGE, codes_in(graph, f"{name}_before", layout), plane))
    for what, share, before, now in terms:
        apart = graph.add("Sub", [before, now], f"{name}/{what}/apart")
        part = graph.add("Mul", [apart, graph.constant(what, np.float32(share))], f"{name}/{what}/part")
        kept = graph.add("Mul", [part, keep], f"{name}/{what}/kept")
        large = graph.add("Add", [large, kept], f"{name}/{what}/added")
    return large
