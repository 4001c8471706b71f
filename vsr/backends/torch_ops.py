"""The ONNX operators of frame graphs, in torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor
from torch.nn import functional

Values = dict[str, Tensor]
Step = Callable[[Values], None]

_TYPES = {TensorProto.FLOAT: torch.float32, TensorProto.UINT8: torch.uint8, TensorProto.INT64: torch.int64}


def _split(tensor: Tensor, axis: int, num_outputs: int) -> list[Tensor]:
    return list(torch.chunk(tensor, num_outputs, dim=axis))


def _pad(tensor: Tensor, pads: Tensor, *_unused: Tensor, mode: str) -> Tensor:
    sides = pads.tolist()
    dims = len(sides) // 2
    # ONNX lists all beginnings, then all ends; torch pairs, from the last dimension on.
    paired = [side for dim in reversed(range(2, dims)) for side in (sides[dim], sides[dim + dims])]
    return functional.pad(tensor, paired, mode={"edge": "replicate", "reflect": "reflect"}[mode])


def _conv(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    pads: Sequence[int] = (0, 0, 0, 0),
    strides: Sequence[int] = (1, 1),
    group: int = 1,
    dtype: torch.dtype,
) -> Tensor:
    """Symmetric padding only, as the graphs have it. Large sums run in `dtype`; the result is of the type given."""
    fast = dtype if weight.shape[1] > 1 else weight.dtype
    given = (features.to(fast), weight.to(fast), None if bias is None else bias.to(fast))
    return functional.conv2d(*given, stride=tuple(strides), padding=(pads[0], pads[1]), groups=group)


def _reshape(tensor: Tensor, shape: Tensor) -> Tensor:
    sizes = [tensor.shape[dim] if size == 0 else size for dim, size in enumerate(shape.tolist())]
    return tensor.reshape(sizes)


def _space_to_depth(tensor: Tensor, blocksize: int) -> Tensor:
    # torch puts a channel's pixels beside each other, ONNX all channels of a pixel.
    batch, channels, height, width = tensor.shape
    packed = functional.pixel_unshuffle(tensor, blocksize)
    blocks = packed.view(batch, channels, blocksize**2, height // blocksize, width // blocksize)
    return blocks.transpose(1, 2).reshape(packed.shape)


_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "Add": torch.add,
    "Cast": lambda x, to: x.to(_TYPES[to]),
    "Clip": torch.clamp,
    "Concat": lambda *xs, axis: torch.cat(xs, dim=axis),
    "Conv": _conv,
    "DepthToSpace": lambda x, blocksize, mode: functional.pixel_shuffle(x, blocksize),
    "Div": torch.div,
    "Floor": torch.floor,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "LeakyRelu": functional.leaky_relu,
    "Mul": torch.mul,
    "PRelu": lambda x, slope: functional.prelu(x, slope.flatten().to(x.dtype)),
    "Pad": _pad,
    "Relu": torch.relu,
    "Reshape": _reshape,
    "Sigmoid": torch.sigmoid,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": lambda x, axes: x.squeeze(axes.tolist()),
    "Sub": torch.sub,
    "Tanh": torch.tanh,
    "Unsqueeze": lambda x, axes: x.unsqueeze(*axes.tolist()),
}

# Attributes that torch calls otherwise.
_NAMES = {"alpha": "negative_slope"}


class UnknownOperatorError(ValueError):
    """The graph holds an operator, or a form of one, that is not here."""


def compiled(graph: onnx.GraphProto, dtype: torch.dtype, device: torch.device) -> tuple[Values, list[Step]]:
    """The graph's constants, and its nodes as functions on a dictionary of values.

    dtype: of the convolutions over several channels. Raises UnknownOperatorError.
    """
    constants: Values = {}
    for tensor in graph.initializer:
        value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        # Shapes, axes and pads are read by the host.
        constants[tensor.name] = value if value.dtype == torch.int64 else value.to(device)
    return constants, [_step(node, dtype) for node in graph.node]


def _step(node: onnx.NodeProto, dtype: torch.dtype) -> Step:
    operator = _OPERATORS.get(node.op_type)
    if operator is None:
        raise UnknownOperatorError(f"no operator {node.op_type}")
    settings = {_NAMES.get(a.name, a.name): _attribute(a) for a in node.attribute}
    if node.op_type == "Conv":
        settings["dtype"] = dtype
    if node.op_type == "DepthToSpace" and settings.get("mode") != "CRD":
        raise UnknownOperatorError("DepthToSpace with mode DCR")
    inputs, outputs = tuple(node.input), tuple(node.output)

    def step(values: Values) -> None:
        result = operator(*(values[name] for name in inputs), **settings)
        values.update(zip(outputs, result if isinstance(result, list) else [result], strict=True))

    return step


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else value
