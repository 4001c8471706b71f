"""The ONNX operators of frame graphs, in torch."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor
from torch.nn import functional

from vsr.backends.torch import fused as torch_fused
from vsr.backends.torch.resize import resize

Values = dict[str, Tensor]
Step = Callable[[Values], None]

_TYPES = {TensorProto.FLOAT: torch.float32, TensorProto.UINT8: torch.uint8, TensorProto.INT64: torch.int64}


def _split(
    tensor: Tensor, sizes: Tensor | None = None, *, axis: int = 0, num_outputs: int = 2
) -> list[Tensor]:
    if sizes is not None:
        return list(torch.split(tensor, sizes.tolist(), dim=axis))
    return list(torch.chunk(tensor, num_outputs, dim=axis))


def _pad(tensor: Tensor, pads: Tensor, value: Tensor | None = None, *, mode: str = "constant") -> Tensor:
    sides = pads.tolist()
    dims = len(sides) // 2
    # ONNX lists all beginnings, then all ends; torch pairs, from the last dimension on.
    paired = [side for dim in reversed(range(2, dims)) for side in (sides[dim], sides[dim + dims])]
    if mode == "constant":
        return functional.pad(tensor, paired, value=0.0 if value is None else float(value))
    return functional.pad(tensor, paired, mode={"edge": "replicate"}.get(mode, mode))


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
    """Symmetric padding only, as the graphs have it. Large sums run, and stay, in `dtype`, channels last."""
    if weight.shape[1] > 1:
        features = features.to(dtype, memory_format=torch.channels_last)
    given = (features, weight.to(features.dtype), None if bias is None else bias.to(features.dtype))
    return functional.conv2d(*given, stride=tuple(strides), padding=(pads[0], pads[1]), groups=group)


def _reshape(tensor: Tensor, shape: Tensor) -> Tensor:
    sizes = [tensor.shape[dim] if size == 0 else size for dim, size in enumerate(shape.tolist())]
    return tensor.reshape(sizes)


def _conv_transpose(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    pads: Sequence[int] = (0, 0, 0, 0),
    strides: Sequence[int] = (1, 1),
    output_padding: Sequence[int] = (0, 0),
    group: int = 1,
) -> Tensor:
    around = {"padding": (pads[0], pads[1]), "output_padding": tuple(output_padding)}
    return functional.conv_transpose2d(features, weight, bias, stride=tuple(strides), groups=group, **around)


def _slice(
    tensor: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Tensor:
    """Forwards only."""
    chosen = [slice(None)] * tensor.dim()
    over = range(len(starts)) if axes is None else axes.tolist()
    strides = [1] * len(starts) if steps is None else steps.tolist()
    for axis, start, end, step in zip(over, starts.tolist(), ends.tolist(), strides, strict=True):
        chosen[axis] = slice(start, end, step)
    return tensor[tuple(chosen)]


def _gather(tensor: Tensor, at: Tensor, *, axis: int = 0) -> Tensor:
    # One by one: the places lie on the host, and nothing may be copied from there while a CUDA graph is captured.
    taken = torch.stack([tensor.select(axis, place) for place in at.flatten().tolist()], axis)
    return taken.reshape(*tensor.shape[:axis], *at.shape, *tensor.shape[axis + 1 :])


def _reduce_mean(tensor: Tensor, axes: Tensor | None = None, *, keepdims: int = 1) -> Tensor:
    over = list(range(tensor.dim())) if axes is None else axes.tolist()
    return tensor.mean(over, keepdim=bool(keepdims))


def _shape(tensor: Tensor, *, start: int = 0, end: int | None = None) -> Tensor:
    """ONNX's Shape. The result lies on the host, as all shapes do."""
    return torch.tensor(tensor.shape[start:end])


def _average_pool(tensor: Tensor, *, kernel_shape: Sequence[int], strides: Sequence[int] = (1, 1)) -> Tensor:
    return functional.avg_pool2d(tensor, tuple(kernel_shape), tuple(strides))


def _cast(tensor: Tensor, *, to: TensorProto.DataType, device: torch.device) -> Tensor:
    dtype = _TYPES[to]
    if to == TensorProto.FLOAT and tensor.device != device:
        # Sizes, from the host. Nothing may be copied from there while a CUDA graph is captured, but constants may be filled in.
        return torch.cat([torch.full((1,), float(size), device=device) for size in tensor.tolist()])
    return tensor.to(dtype)


def _grid_sample(
    tensor: Tensor,
    grid: Tensor,
    *,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: int = 0,
) -> Tensor:
    return functional.grid_sample(tensor, grid, mode, padding_mode, align_corners=bool(align_corners))


def _range(start: Tensor, limit: Tensor, delta: Tensor, *, device: torch.device) -> Tensor:
    return torch.arange(int(start), int(limit), int(delta), device=device)


def _reduce_min(tensor: Tensor, axes: Tensor, *, keepdims: int = 1) -> Tensor:
    return tensor.amin(axes.tolist(), keepdim=bool(keepdims))


def _space_to_depth(tensor: Tensor, blocksize: int) -> Tensor:
    # torch puts the pixels of a channel beside each other, ONNX puts the channels of a pixel beside each other.
    batch, channels, height, width = tensor.shape
    packed = functional.pixel_unshuffle(tensor, blocksize)
    blocks = packed.view(batch, channels, blocksize**2, height // blocksize, width // blocksize)
    return blocks.transpose(1, 2).reshape(packed.shape)


def _unsqueeze(tensor: Tensor, axes: Tensor) -> Tensor:
    dims = tensor.dim() + len(axes)
    for axis in sorted(axis % dims for axis in axes.tolist()):  # Axes are those of the result.
        tensor = tensor.unsqueeze(axis)
    return tensor


_OPERATORS: Mapping[str, Callable[..., Any]] = {
    **torch_fused.OPERATORS,
    "Abs": torch.abs,
    "Add": torch.add,
    "AveragePool": _average_pool,
    "Cast": _cast,
    "Clip": torch.clamp,
    "Concat": lambda *xs, axis: torch.cat(xs, dim=axis),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": lambda x, blocksize, mode: functional.pixel_shuffle(x, blocksize),
    "Div": torch.div,
    "Floor": torch.floor,
    "Gather": _gather,
    "GridSample": _grid_sample,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "Identity": lambda x: x,
    "IsInf": torch.isinf,
    "IsNaN": torch.isnan,
    "LeakyRelu": functional.leaky_relu,
    "LessOrEqual": torch.le,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Or": torch.logical_or,
    "PRelu": lambda x, slope: functional.prelu(x, slope.flatten().to(x.dtype)),
    "Pad": _pad,
    "Range": _range,
    "ReduceMin": _reduce_min,
    "ReduceMean": _reduce_mean,
    "ReduceSum": lambda x, keepdims: x.sum(),
    "Relu": torch.relu,
    "Reshape": _reshape,
    "Resize": resize,
    "Round": torch.round,
    "Shape": _shape,
    "Sigmoid": torch.sigmoid,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": lambda x, axes: x.squeeze(axes.tolist()),
    "Sub": torch.sub,
    "Sum": lambda *xs: torch.stack(xs).sum(0),
    "Tanh": torch.tanh,
    "Transpose": lambda x, perm: x.permute(perm),
    "Unsqueeze": _unsqueeze,
}

# Attributes with another name in torch, operators whose other inputs must be known here, and values without an effect.
_NAMES = {"alpha": "negative_slope"}
_STRICT = {"AveragePool", "Conv", "ConvTranspose", "GridSample", "Pad", "Resize"}
_ON_DEVICE = {"Cast", "Range"}
_SILENT = {"antialias": 0, "exclude_outside": 0, "dilations": [1, 1], "auto_pad": "NOTSET"}


class UnknownOperatorError(ValueError):
    """The graph holds an operator, or a form of one, that is not here."""


def compiled(
    graph: onnx.GraphProto, dtype: torch.dtype, device: torch.device, *, fused: bool = False
) -> tuple[Values, list[Step]]:
    """The graph's constants, and its nodes as functions on a dictionary of values.

    dtype: of the convolutions over several channels. fused: some of them in kernels of their own (torch_fused). Raises
    UnknownOperatorError.
    """
    constants: Values = {}
    on_host = {name for node in graph.node if node.op_type in ("Resize", "Pad") for name in node.input[1:]}
    stored = [(tensor.name, tensor) for tensor in graph.initializer]
    stored += [(n.output[0], _attribute(n.attribute[0])) for n in graph.node if n.op_type == "Constant"]
    for name, tensor in stored:
        value = torch.from_numpy(numpy_helper.to_array(tensor).copy())
        # Shapes, axes, pads and factors are read by the host.
        constants[name] = value if value.dtype == torch.int64 or name in on_host else value.to(device)
    for node in graph.node:  # Done once, not in every run.
        weight = constants.get(node.input[1]) if node.op_type == "Conv" else None
        if weight is not None and weight.shape[1] > 1:
            constants[node.input[1]] = weight.to(dtype, memory_format=torch.channels_last)
    nodes = torch_fused.fuse(graph, constants, dtype, device) if fused else list(graph.node)
    nodes = [node for node in nodes if node.op_type != "Constant"]
    last_use = {name: at for at, node in enumerate(nodes) for name in node.input}
    kept = {value.name for value in graph.output}
    steps = []
    for at, node in enumerate(nodes):
        done = {name for name in node.input if name and last_use[name] == at} - kept
        steps.append(_step(node, dtype, device, tuple(done)))
    return constants, steps


def _step(node: onnx.NodeProto, dtype: torch.dtype, device: torch.device, done: tuple[str, ...]) -> Step:
    """`done` are the values that no later step needs."""
    operator = _OPERATORS.get(node.op_type)
    if operator is None:
        raise UnknownOperatorError(f"no operator {node.op_type}")
    told = node.op_type != "AveragePool"  # Whose kernels have no tensor that has their shape.
    values = {a.name: _attribute(a) for a in node.attribute if not (told and a.name == "kernel_shape")}
    settings = {_NAMES.get(n, n): v for n, v in values.items() if n not in _SILENT or v != _SILENT[n]}
    if node.op_type in ("Conv", "Convolve", "Spread"):
        settings["dtype"] = dtype
    if node.op_type in _ON_DEVICE:
        settings["device"] = device
    refused = {
        "Cast": settings.get("to") not in _TYPES,
        "DepthToSpace": settings.get("mode") != "CRD",
        "Pad": settings.get("mode", "constant") not in ("constant", "edge", "reflect") or len(node.input) > 3,
        "Conv": not _even(settings),
        "ConvTranspose": not _even(settings),
    }
    if refused.get(node.op_type):
        raise UnknownOperatorError(f"{node.op_type} with {settings}")
    if node.op_type in _STRICT and (
        unknown := settings.keys() - inspect.signature(operator).parameters.keys()
    ):
        raise UnknownOperatorError(f"{node.op_type} with {min(unknown)}")
    inputs, outputs = tuple(node.input), tuple(node.output)

    def step(values: Values) -> None:
        result = operator(*(values[name] if name else None for name in inputs), **settings)
        values.update(zip(outputs, result if isinstance(result, list) else [result], strict=True))
        for name in done:
            del values[name]

    return step


def _even(settings: Mapping[str, Any]) -> bool:
    """Whether as much is padded before as behind."""
    pads = list(settings.get("pads", ()))
    return pads[: len(pads) // 2] == pads[len(pads) // 2 :]


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = helper.get_attribute_value(attribute)
    return value.decode() if isinstance(value, bytes) else value
