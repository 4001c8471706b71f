"""Networks one after another as one network: pictures pass between them as they are computed, unrounded.

A chain of networks on luma is on luma. With one that sees colour in it, all are on RGB, to which frames are brought and from
which they are brought back once; a network on luma or in colour then changes RGB as it does in frame graphs of RGB planes.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import safetensors.numpy
from numpy.typing import NDArray
from onnx import numpy_helper

from vsr.core.errors import WeightsError, reason
from vsr.models.graphs.builder import GraphBuilder
from vsr.models.graphs.chroma import CHROMA_REACH
from vsr.models.graphs.colour_graph import BLACK, DETAIL, EXCURSION, PICTURE, added_to_rgb
from vsr.models.graphs.networks import add_cubic_residual
from vsr.models.graphs.package import PackageFacts, write_package
from vsr.models.graphs.rgb_graph import add_luma_weights, rgb_graph
from vsr.models.spec import WEIGHTS_NAME, GraphLayout, ModelSpec, Precision

# By domain: the layout of the frame graph, the network's input in it, and the node that takes the network's output.
_ENDS: Mapping[str, tuple[GraphLayout, str, str]] = {
    "luma": (GraphLayout("gray", 1), "luma/normal", "luma/residual"),
    "rgb": (GraphLayout("rgb", 1), "rgb/in", "rgb/out"),
    "ycbcr": (GraphLayout("rgb", 1), PICTURE, DETAIL),
}
# Arrays below this stay in the graphs.
_SMALL = 32
_HALVES: tuple[Precision, ...] = ("bf16", "fp16")


def write_chain(specs: Sequence[ModelSpec], name: str, folder: Path) -> ModelSpec:
    """Write the package of networks that each take the output of the previous one. Raises WeightsError, FileError."""
    with tempfile.TemporaryDirectory() as temporary:
        network = _Chain([_Part(spec, number) for number, spec in enumerate(specs)], Path(temporary))
        exact = any(spec.precision == "fp32" for spec in specs)
        facts = PackageFacts(
            name,
            ", then ".join(spec.id for spec in specs),
            ", ".join(dict.fromkeys(spec.licence for spec in specs)),
            # The picture between two networks goes through layers, and rounding may spoil it.
            precision="fp32" if exact else "shown",
            holds=tuple(half for half in _HALVES if all(_holds(spec, half) for spec in specs)),
        )
        return write_package(
            network, facts, folder, partial(rgb_graph, network) if network.domain == "rgb" else None
        )


def _holds(spec: ModelSpec, precision: Precision) -> bool:
    return spec.precision == "any" or precision in spec.holds


class _Part:
    """The network of a package, cut out of its frame graph; tensors go by "net/N/" and their name there."""

    def __init__(self, spec: ModelSpec, number: int) -> None:
        self.spec, self._prefix = spec, f"net/{number}/"
        layout, self._taken, given_to = _ENDS[spec.domain]
        path = spec.graph(layout)
        try:
            graph = onnx.load(str(path)).graph
        except Exception as error:  # protobuf, onnx and the file system each have their own exceptions.
            raise WeightsError(f"{path} cannot be read: {reason(error)}") from error
        makers = {output: node for node in graph.node for output in node.output}
        if given_to not in makers or self._taken not in makers:
            raise WeightsError(
                f"{path} cannot be part of a chain: its network cannot be separated from the nodes around it",
                hint="packages that `vsr model import` and `vsr model export` make can be",
            )
        self._given = makers[given_to].input[0]
        needed, self._nodes = {self._given}, list[onnx.NodeProto]()
        for node in reversed(graph.node):
            if needed & set(node.output) and self._taken not in node.output:
                self._nodes.insert(0, node)
                needed.update(node.input)
        arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._constants = {name: array for name, array in arrays.items() if name in needed}
        known = {
            self._taken,
            "",
            *self._constants,
            *(output for node in self._nodes for output in node.output),
        }
        if strange := sorted(needed - known):
            raise WeightsError(f"{path} cannot be part of a chain: its network takes {', '.join(strange)}")

    @property
    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The part's large arrays, by their names in a graph of the chain."""
        return {
            self._prefix + name: np.ascontiguousarray(array)
            for name, array in self._constants.items()
            if array.dtype == np.float32 and array.size >= _SMALL
        }

    def add_alone(self, graph: GraphBuilder, given: str) -> str:
        """Add the network itself, and return the name of its output."""
        names = {self._taken: given, "": ""}
        stored = self.weights
        for name, array in self._constants.items():
            names[name] = (
                graph.weight(self._prefix + name)
                if self._prefix + name in stored
                else graph.constant(self._prefix + name, array, array.dtype)
            )
        for node in self._nodes:
            names |= {output: self._prefix + output for output in node.output if output}
            graph.node(node, [names[name] for name in node.input], [names[name] for name in node.output])
        return names[self._given]

    def _at_own_strength(self, graph: GraphBuilder, given: str) -> str:
        strength = graph.constant(f"{self._prefix}strength", self.spec.strength)
        return graph.add("Mul", [self.add_alone(graph, given), strength], f"{self._prefix}strong")

    def on_luma(self, graph: GraphBuilder, luma: str) -> str:
        """`luma` enlarged."""
        residual = self.add_alone(graph, luma)
        return self._shuffled(graph, graph.add("Add", [residual, luma], f"{self._prefix}sum"), "large")

    def on_rgb(self, graph: GraphBuilder, rgb: str) -> str:
        """`rgb` [N, 3, h, w] in 0..1 enlarged."""
        if self.spec.domain == "rgb":
            return self.add_alone(graph, rgb)
        prefix, scale = self._prefix, self.spec.scale
        add_luma_weights(graph)
        names = [f"{prefix}{name}" for name in "rgb"]
        graph.split(rgb, names, axis=1)
        if self.spec.domain == "ycbcr":
            whole = dict(zip("rgb", names, strict=True))
            added = added_to_rgb(graph, whole, self._at_own_strength, f"{prefix}colour")
            return self._rgb_of(graph, names, [self._cubic(graph, name) for name in names], added)
        luma = self._luma(graph, names, "luma")
        limited = graph.add("Mul", [luma, graph.constant("net/excursion", EXCURSION)], f"{prefix}limited")
        seen = graph.add("Add", [limited, graph.constant("net/black", BLACK)], f"{prefix}seen")
        residual = graph.add(
            "Div", [self.add_alone(graph, seen), graph.constant("net/excursion", EXCURSION)], f"{prefix}full"
        )
        sharp = graph.add("Add", [residual, luma], f"{prefix}sharp")
        large = names if scale == 1 else [self._cubic(graph, name) for name in names]
        gained = graph.add("Sub", [sharp, self._luma(graph, large, "large_luma")], f"{prefix}gained")
        return self._rgb_of(graph, names, large, dict.fromkeys("rgb", gained))

    def _rgb_of(
        self, graph: GraphBuilder, names: Sequence[str], large: Sequence[str], added: Mapping[str, str]
    ) -> str:
        """RGB of the planes `large`, packed, with what is added to each."""
        planes = [
            self._shuffled(graph, graph.add("Add", [plane, added[key]], f"{name}/sharp"), f"{key}/large")
            for plane, name, key in zip(large, names, "rgb", strict=True)
        ]
        return graph.add("Concat", planes, f"{self._prefix}rgb", axis=1)

    def _cubic(self, graph: GraphBuilder, plane: str) -> str:
        residual = add_cubic_residual(graph, plane, self.spec.scale, "center", plane, exact=True)
        return graph.add("Add", [residual, plane], f"{plane}/cubic_sum")

    def _luma(self, graph: GraphBuilder, planes: Sequence[str], name: str) -> str:
        parts = [
            graph.add("Mul", [plane, f"k/{key}"], f"{self._prefix}{name}_{key}")
            for plane, key in zip(planes, "rgb", strict=True)
        ]
        return graph.add(
            "Add", [graph.add("Add", parts[:2], f"{self._prefix}{name}_rg"), parts[2]], self._prefix + name
        )

    def _shuffled(self, graph: GraphBuilder, packed: str, name: str) -> str:
        if self.spec.scale == 1:
            return packed
        return graph.add("DepthToSpace", [packed], self._prefix + name, blocksize=self.spec.scale, mode="CRD")


class _Chain:
    """See `vsr.models.graphs.networks.Network`; `enlarged` is for RGB."""

    def __init__(self, parts: Sequence[_Part], folder: Path) -> None:
        self._parts = parts
        specs = [part.spec for part in parts]
        self.domain: Literal["luma", "rgb"] = (
            "luma" if all(spec.domain == "luma" for spec in specs) else "rgb"
        )
        self.scale, halo, multiple, macs = 1, 0, 1, 0
        for spec in specs:
            halo += -(-spec.halo // self.scale)
            # This part's input is `scale` times as large as the chain's input.
            multiple = math.lcm(multiple, spec.size_multiple // math.gcd(spec.size_multiple, self.scale))
            macs += spec.macs_per_pixel * self.scale**2
            self.scale *= spec.scale
        on_rgb = self.domain == "rgb"
        self.halo = halo + (CHROMA_REACH if on_rgb else 0)
        self.size_multiple = math.lcm(multiple, 4) if on_rgb else multiple
        self.macs_per_pixel = macs
        self.parameters = sum(spec.parameters for spec in specs)
        weights = {name: array for part in parts for name, array in part.weights.items()}
        self.weights_file: Path | None = None
        if weights:
            self.weights_file = folder / WEIGHTS_NAME
            safetensors.numpy.save_file(weights, self.weights_file)

    def table(self) -> Mapping[str, Any]:
        """The content of `[network]` in the spec."""
        return {"arch": "chain of packages", "parts": [part.spec.id for part in self._parts]}

    def add_to(self, graph: GraphBuilder, luma: str) -> str:
        large = luma
        for number, part in enumerate(self._parts):
            large = part.on_luma(graph, self._within(graph, large, number))
        if self.scale > 1:
            large = graph.add("SpaceToDepth", [large], "net/packed", blocksize=self.scale)
        return graph.add("Sub", [large, luma], "net/residual")

    def enlarged(self, graph: GraphBuilder, picture: str) -> str:
        for number, part in enumerate(self._parts):
            picture = part.on_rgb(graph, self._within(graph, picture, number))
        return picture

    def _within(self, graph: GraphBuilder, picture: str, number: int) -> str:
        """A picture that a network made, without what no codes are for: limited range has some below black and above white."""
        if number == 0:
            return picture
        least, most = (0.0, 1.0) if self.domain == "luma" else (-BLACK / EXCURSION, (1 - BLACK) / EXCURSION)
        ends = [graph.constant("net/least", least), graph.constant("net/most", most)]
        return graph.add("Clip", [picture, *ends], f"net/{number}/in")
