"""Networks of ncnn, .param and .bin, as ONNX."""

from __future__ import annotations

from pathlib import Path

import onnx

from vsr.convert.ncnn.arithmetic import ARITHMETIC
from vsr.convert.ncnn.graph import Graph
from vsr.convert.ncnn.read import read_ncnn
from vsr.convert.ncnn.shapes import SHAPES
from vsr.core.errors import WeightsError

__all__ = ["onnx_from_ncnn"]

_LAYERS = {**ARITHMETIC, **SHAPES}


def onnx_from_ncnn(param: Path) -> onnx.ModelProto:
    """The network of a .param and the .bin beside it: float32 [n, channels, h, w] of three channels or one.

    Raises WeightsError as `read_ncnn` does, for a layer that does not fit what it is given, and for one used in a way that is
    not known here.
    """
    layers = read_ncnn(param, _LAYERS)
    refused: list[tuple[int, WeightsError]] = []
    for channels in (3, 1):  # A .param need not state the number of channels.
        graph, done = Graph(channels), 0
        try:
            for layer in layers:
                graph.append(layer, _LAYERS[layer.kind])
                done += 1
            return graph.model(param.name, layers)
        except WeightsError as error:
            refused.append((done, error))
    _, told = max(refused, key=lambda each: each[0])  # The right number of channels got further.
    raise WeightsError(f"{param.name}: {told.message}", hint=told.hint) from told
