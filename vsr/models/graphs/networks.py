"""Networks as ONNX nodes: from luma at input size to the residual, packed for one pixel shuffle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from vsr.models.graphs.builder import GraphBuilder
from vsr.models.graphs.cubic import residual_kernels
from vsr.models.spec import Siting

if TYPE_CHECKING:
    from vsr.models.archs.chain import ChainSpec


class Network(Protocol):
    """The network inside a frame graph."""

    @property
    def domain(self) -> str: ...
    @property
    def scale(self) -> int: ...
    @property
    def halo(self) -> int: ...
    @property
    def size_multiple(self) -> int: ...
    @property
    def macs_per_pixel(self) -> int: ...
    @property
    def parameters(self) -> int: ...
    @property
    def weights_file(self) -> Path | None: ...

    def table(self) -> Mapping[str, Any]:
        """The table `[network]` of the spec."""

    def add_to(self, graph: GraphBuilder, luma: str) -> str:
        """Add the nodes. `luma` float32 [N, 1, H, W]; the result [N, scale^2, H, W], row by row, is added to the luma sample
        of each output block."""


@dataclass(frozen=True)
class Cubic:
    """Cubic convolution with a = -0.5: no training, the floor of every comparison."""

    scale: int
    halo: int = 2
    size_multiple: int = 1
    parameters: int = 0
    weights_file: Path | None = None
    domain: ClassVar[str] = "luma"

    @property
    def macs_per_pixel(self) -> int:
        return 25 * self.scale**2

    def table(self) -> dict[str, Any]:
        return {"arch": "cubic", "a": -0.5}

    def add_to(self, graph: GraphBuilder, luma: str) -> str:
        return add_cubic_residual(graph, luma, self.scale, "center", "net", exact=True)


@dataclass(frozen=True)
class ChainNetwork:
    """A folded chain (`vsr.models.archs.chain`) whose weights lie in `weights_file`."""

    spec: ChainSpec
    weights_file: Path
    domain: ClassVar[str] = "luma"

    @property
    def scale(self) -> int:
        return self.spec.scale

    @property
    def halo(self) -> int:
        return self.spec.halo

    @property
    def size_multiple(self) -> int:
        return self.spec.size_multiple

    @property
    def macs_per_pixel(self) -> int:
        return round(self.spec.macs_per_pixel)

    @property
    def parameters(self) -> int:
        return self.spec.parameters

    def table(self) -> dict[str, Any]:
        return {
            "arch": "chain",
            "channels": self.spec.channels,
            "depth": self.spec.depth,
            "unshuffle": self.spec.unshuffle,
            "skip_every": self.spec.skip_every,
            "linear": self.spec.linear,
        }

    def add_to(self, graph: GraphBuilder, luma: str) -> str:
        spec = self.spec
        features = luma
        if spec.unshuffle > 1:
            features = graph.add("SpaceToDepth", [features], "net/unshuffle", blocksize=spec.unshuffle)
        start = group = ""
        for conv, (_, width_out) in enumerate(spec.widths):
            features = add_convolution(graph, features, conv, width_out if spec.has_activation(conv) else 0)
            if not spec.skip_every or conv > spec.depth:
                continue
            if conv == 0:
                start = group = features
            elif conv % spec.skip_every == 0:
                features = group = graph.add("Add", [features, group], f"net/skip{conv}")
            if conv == spec.depth:
                features = graph.add("Add", [features, start], "net/skip")
        if spec.unshuffle > 1:
            features = graph.add(
                "DepthToSpace", [features], "net/shuffle", blocksize=spec.unshuffle, mode="CRD"
            )
        if spec.linear:
            filtered = add_filtered(
                graph, luma, graph.weight("linear.weight"), spec.linear // 2, "net/linear"
            )
            features = graph.add("Add", [features, filtered], "net/both")
        return features


def add_convolution(graph: GraphBuilder, features: str, conv: int, slopes: int, part: str = "") -> str:
    """Convolution `conv` of the network, and a PReLU with so many slopes; none for 0. part: what the names of its weights begin
    with."""
    weights = [graph.weight(f"{part}convs.{conv}.{name}") for name in ("weight", "bias")]
    features = graph.add("Conv", [features, *weights], f"net/{part}conv{conv}", pads=[1, 1, 1, 1])
    if not slopes:
        return features
    slope = graph.weight(f"{part}acts.{conv}.weight", (slopes, 1, 1))
    return graph.add("PRelu", [features, slope], f"net/{part}act{conv}")


def add_cubic_residual(
    graph: GraphBuilder, plane: str, scale: int, siting: Siting, name: str, *, exact: bool
) -> str:
    """Cubic enlargement less the repeated sample, [N, scale^2, h, w], of a float32 plane [N, 1, h, w]; edges repeat."""
    kernels = graph.constant(f"cubic-{siting}", residual_kernels(scale, siting, exact=exact))
    return add_filtered(graph, plane, kernels, 2, f"{name}/cubic")


def add_filtered(graph: GraphBuilder, plane: str, kernels: str, reach: int, name: str) -> str:
    """A plane through filters that reach so far; edges repeat."""
    pads = graph.constant(f"pads-{reach}", [0, 0, reach, reach, 0, 0, reach, reach], "int64")
    padded = graph.add("Pad", [plane, pads], f"{name}-pad", mode="edge")
    return graph.add("Conv", [padded, kernels], name)
