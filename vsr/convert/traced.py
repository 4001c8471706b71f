"""Any luma network of `vsr.models.archs`, traced with torch.fx and written as ONNX nodes."""

from __future__ import annotations

import operator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.fx.passes.shape_prop import ShapeProp
from torch.nn import functional

from vsr.core.errors import WeightsError
from vsr.models.archs.base import CubicResidual, LumaNetwork, NetworkSpec
from vsr.models.graphs.builder import GraphBuilder
from vsr.models.graphs.networks import add_cubic_residual

_ACTIVATIONS: dict[type[nn.Module], str] = {nn.ReLU: "Relu", nn.Tanh: "Tanh", nn.Sigmoid: "Sigmoid"}
_BINARY: dict[Any, str] = {operator.add: "Add", operator.sub: "Sub", operator.mul: "Mul"}


class TracedNetwork:
    """A network whose weights lie in `weights_file`. See `vsr.models.graphs.networks.Network`."""

    domain = "luma"

    def __init__(self, arch: str, spec: NetworkSpec, weights_file: Path) -> None:
        self._arch, self._spec = arch, spec
        self._network = spec.network(spec)
        self.weights_file = weights_file
        self.scale = spec.scale
        self.halo = spec.halo
        self.size_multiple = spec.size_multiple
        self.macs_per_pixel = round(spec.macs_per_pixel)
        self.parameters = spec.parameters

    def table(self) -> dict[str, Any]:
        return {"arch": self._arch} | {k: v for k, v in asdict(self._spec).items() if k != "scale"}

    def add_to(self, graph: GraphBuilder, luma: str) -> str:
        root = _Residual(self._network)
        nodes = _Tracer().trace(root)
        side = 4 * self.size_multiple
        ShapeProp(fx.GraphModule(root, nodes)).propagate(torch.zeros(1, 1, side, side))
        names: dict[fx.Node, str] = {}
        for node in nodes.nodes:
            if node.op == "placeholder":
                names[node] = luma
            elif node.op == "output":
                return names[node.args[0]]
            elif node.op == "call_module":
                module = root.get_submodule(node.target)
                path = node.target.removeprefix("network.")
                names[node] = self._module(graph, module, path, names[node.args[0]], f"net/{node.name}")
            else:
                names[node] = _function(graph, node, names)
        raise WeightsError(f"{self._arch} has no output")

    def _module(self, graph: GraphBuilder, module: nn.Module, path: str, features: str, name: str) -> str:
        if isinstance(module, CubicResidual):
            return add_cubic_residual(graph, features, self.scale, "center", name, exact=True)
        if isinstance(module, nn.Conv2d):
            side = int(module.padding[0])
            parts = [features, graph.weight(f"{path}.weight"), graph.weight(f"{path}.bias")]
            return graph.add("Conv", parts, name, pads=[side] * 4, group=module.groups)
        if isinstance(module, nn.PReLU):
            slope = graph.weight(f"{path}.weight", (module.num_parameters, 1, 1))
            return graph.add("PRelu", [features, slope], name)
        if isinstance(module, nn.LeakyReLU):
            return graph.add("LeakyRelu", [features], name, alpha=float(module.negative_slope))
        if isinstance(module, nn.AdaptiveAvgPool2d):
            return graph.add("GlobalAveragePool", [features], name)
        return graph.add(_ACTIVATIONS[type(module)], [features], name)


class _Residual(nn.Module):
    """The traced part: the residual alone, because the frame graph adds it to the codes."""

    def __init__(self, network: LumaNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, luma: torch.Tensor) -> torch.Tensor:
        return self.network.residual(luma)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, CubicResidual) or super().is_leaf_module(m, module_qualified_name)


def _function(graph: GraphBuilder, node: fx.Node, names: dict[fx.Node, str]) -> str:
    name, target = f"net/{node.name}", node.target
    args: tuple[Any, ...] = node.args
    if target in _BINARY:
        operands = [
            names[arg] if isinstance(arg, fx.Node) else graph.constant(str(arg), float(arg)) for arg in args
        ]
        return graph.add(_BINARY[target], operands, name)
    if target is torch.sigmoid:
        return graph.add("Sigmoid", [names[args[0]]], name)
    if target is torch.cat:
        return graph.add("Concat", [names[part] for part in args[0]], name, axis=node.kwargs["dim"])
    if target is functional.pixel_shuffle:
        return graph.add("DepthToSpace", [names[args[0]]], name, blocksize=args[1], mode="CRD")
    if target is functional.pixel_unshuffle:
        return _unshuffled(graph, names[args[0]], args[1], args[0].meta["tensor_meta"].shape[1], name)
    raise WeightsError(f"no ONNX form is known for {target}")


def _unshuffled(graph: GraphBuilder, features: str, factor: int, channels: int, name: str) -> str:
    """torch's order of channels, which SpaceToDepth does not have: a convolution that picks one pixel each."""
    kernels = np.eye(factor**2, dtype=np.float32).reshape(factor**2, 1, factor, factor)
    constant = graph.constant(f"pick{factor}x{channels}", np.tile(kernels, (channels, 1, 1, 1)))
    return graph.add("Conv", [features, constant], name, group=channels, strides=[factor, factor])
