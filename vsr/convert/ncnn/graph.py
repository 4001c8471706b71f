"""The ONNX graph that the layers of an ncnn network are translated into: nodes between blobs.

A blob of ncnn has no batch. Here a picture of c channels is [n, c, h, w], and a vector of c numbers, as global pooling makes
it, is [n, c, 1, 1], so that it spreads over pictures as in ncnn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from vsr.convert.ncnn.read import Layer
from vsr.core.errors import WeightsError
from vsr.models.graphs.builder import GraphBuilder


@dataclass(frozen=True)
class Blob:
    """tensor: its name in the graph. channels: of a picture, or numbers of a vector."""

    tensor: str
    channels: int
    vector: bool = False


class Graph:
    """A graph in the making. channels: of the picture that goes in."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._graph = GraphBuilder()
        self._blobs: dict[str, Blob] = {}
        self._nodes = 0

    def append(self, layer: Layer, translate: Translate) -> None:
        """Add what a layer computes. Raises WeightsError where it does not fit what it is given."""
        for name in layer.inputs:
            if name not in self._blobs:
                raise layer.refused(f"it takes {name}, which no layer before it gives")
        made = translate(self, layer, [self._blobs[name] for name in layer.inputs])
        if len(made) != len(layer.outputs):
            raise layer.refused(f"it gives {len(layer.outputs)} blobs, where {len(made)} are known")
        self._blobs.update(zip(layer.outputs, made, strict=True))

    def model(self, name: str, layers: Sequence[Layer]) -> onnx.ModelProto:
        """The whole, once all of `layers` are in it: what none of them takes is its output."""
        used = {blob for layer in layers for blob in layer.inputs}
        ends = [blob for layer in layers for blob in layer.outputs if blob not in used]
        if len(ends) != 1:
            raise WeightsError(f"it has {len(ends)} outputs ({', '.join(ends) or 'none'}), not one")
        end = self._blobs[ends[0]]
        self._graph.output(end.tensor, TensorProto.FLOAT, ["n", end.channels, "h_out", "w_out"])
        return self._graph.model(name)

    def input(self, layer: Layer) -> Blob:
        """The picture."""
        asked = layer.whole(2)
        if self._blobs or (asked and asked != self._channels):
            raise layer.refused("a network takes one picture, of one or three channels")
        name = self._graph.input("picture", TensorProto.FLOAT, ["n", self._channels, "h", "w"])
        return Blob(name, self._channels)

    def add(self, op: str, inputs: Sequence[str], **attributes: Any) -> str:
        self._nodes += 1
        return self._graph.add(op, inputs, f"{op}{self._nodes}", **attributes)

    def constant(self, value: npt.ArrayLike, dtype: Any = np.float32) -> str:
        self._nodes += 1
        return self._graph.constant(f"constant{self._nodes}", value, dtype)

    def whole(self, value: npt.ArrayLike) -> str:
        """A constant of whole numbers."""
        return self.constant(value, np.int64)

    def slices(self, tensor: str, starts: Sequence[int], ends: Sequence[int], axes: Sequence[int]) -> str:
        return self.add("Slice", [tensor, self.whole(starts), self.whole(ends), self.whole(axes)])


Translate = Callable[[Graph, Layer, Sequence[Blob]], list[Blob]]
"""Adds what a layer computes of the blobs it takes, and gives those it makes. Raises WeightsError where they do not fit."""


def one(layer: Layer, taken: Sequence[Blob]) -> Blob:
    """The blob of a layer that takes one."""
    if len(taken) != 1:
        raise layer.refused(f"it takes {len(taken)} blobs; one is supported")
    return taken[0]


def sides(layer: Layer, across: int, down: int, default: int) -> list[int]:
    """A parameter of both directions, [down, across]; that across is also the default of the other."""
    width = layer.whole(across, default)
    return [layer.whole(down, width), width]


def pads(layer: Layer, left: int, top: int, right: int, bottom: int) -> list[int]:
    """[top, left, bottom, right] of the parameters with these ids; the opposite side is the default."""
    before, above = layer.whole(left), layer.whole(top, layer.whole(left))
    return [above, before, layer.whole(bottom, above), layer.whole(right, before)]


def axis_of(layer: Layer, value: float, blob: Blob) -> int:
    """An axis of ncnn in [n, c, h, w]."""
    dims = 1 if blob.vector else 3
    axis = int(value)
    if not -dims <= axis < dims:
        raise layer.refused(f"there is no axis {axis}")
    return axis % dims + 1
