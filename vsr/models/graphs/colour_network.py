"""A folded network in colour (`vsr.models.archs.colour`) as ONNX nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from vsr.models.graphs.builder import GraphBuilder
from vsr.models.graphs.chroma import CHROMA_REACH, GAINS, HALF, MIDDLES
from vsr.models.graphs.networks import ChainNetwork, add_convolution, add_cubic_residual

if TYPE_CHECKING:
    from vsr.models.archs.colour import ColourSpec

_MULTIPLE = 4
"""Chroma of a quarter the width lies on every fourth sample of luma."""


@dataclass(frozen=True)
class ColourNetwork(ChainNetwork):
    """A chain for luma and a second network for chroma. `add_to` takes and gives three planes: see `colour_graph`."""

    spec: ColourSpec
    domain: ClassVar[str] = "ycbcr"

    @property
    def halo(self) -> int:
        return super().halo + CHROMA_REACH

    @property
    def size_multiple(self) -> int:
        return _MULTIPLE

    def table(self) -> dict[str, Any]:
        chroma = {"chroma_channels": self.spec.chroma_channels, "chroma_depth": self.spec.chroma_depth}
        return {**super().table(), "arch": "colour", **chroma}

    def add_to(self, graph: GraphBuilder, luma: str) -> str:
        picture, planes = luma, [f"net/{name}" for name in ("y", "cb", "cr")]
        graph.split(picture, planes, axis=1)
        large = super().add_to(graph, planes[0])
        cubic = add_cubic_residual(graph, planes[0], self.scale, "center", "net/y", exact=False)
        middles, gains = (
            graph.constant(f"net/{name}", np.reshape(values, (1, 3, 1, 1)))
            for name, values in (("middles", MIDDLES), ("gains", GAINS))
        )
        centred = graph.add("Sub", [picture, middles], "net/centred")
        seen = [f"{plane}_seen" for plane in planes]
        graph.split(graph.add("Mul", [centred, gains], "net/seen"), seen, axis=1)
        halves = [graph.add("SpaceToDepth", [plane], f"{plane}_half", blocksize=HALF) for plane in seen]
        features = graph.add("Concat", halves, "net/chroma/half", axis=1)
        for number in range(self.spec.chroma_depth + 2):
            inner = number <= self.spec.chroma_depth
            slopes = self.spec.chroma_channels if inner else 0
            found = add_convolution(graph, features, number, slopes, "chroma.")
            skips = inner and number > 0
            features = graph.add("Add", [features, found], f"net/chroma/skip{number}") if skips else found
        chroma = graph.add("DepthToSpace", [features], "net/chroma/made", blocksize=HALF, mode="CRD")
        detail = graph.add("Sub", [large, cubic], "net/luma")
        return graph.add("Concat", [detail, chroma], "net/detail", axis=1)
