"""Layers of ncnn that compute: convolutions, activations, and arithmetic number by number.

Definitions are those of ncnn's `docs/developer-guide/operators.md` and of its plain C++ layers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from vsr.convert.ncnn.graph import Blob, Graph, Translate, one, pads, sides
from vsr.convert.ncnn.read import Layer

_SAME = {-233: "SAME_UPPER", -234: "SAME_LOWER"}
_BINARY = {0: "Add", 1: "Sub", 2: "Mul", 3: "Div", 4: "Max", 5: "Min", 6: "Pow", 7: "Sub", 8: "Div"}
_TURNED_ROUND = (7, 8)
_UNARY = {
    0: "Abs",
    1: "Neg",
    2: "Floor",
    3: "Ceil",
    5: "Sqrt",
    7: "Exp",
    8: "Log",
    15: "Reciprocal",
    16: "Tanh",
}
_SQUARE, _INVERSE_ROOT = 4, 6


def _by_channel(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The values shaped [c, 1, 1], which ONNX spreads over [n, c, h, w]."""
    return values.reshape(-1, 1, 1)


def _activated(net: Graph, layer: Layer, tensor: str) -> str:
    """Add the activation that ncnn fuses into convolutions (parameters 9 and 10), and return its output."""
    kind, given = layer.whole(9), layer.several(10)
    wanted = {2: 1, 3: 2, 6: 2}.get(kind, 0)
    if len(given) < wanted:
        raise layer.refused(f"activation {kind} lacks its parameters")
    match kind:
        case 0:
            return tensor
        case 1:
            return net.add("Relu", [tensor])
        case 2:
            return net.add("LeakyRelu", [tensor], alpha=given[0])
        case 3:
            return net.add("Clip", [tensor, net.constant(given[0]), net.constant(given[1])])
        case 4:
            return net.add("Sigmoid", [tensor])
        case 5:
            return _mish(net, tensor)
        case 6:
            return _hard_swish(net, tensor, *given[:2])
    raise layer.refused(f"activation {kind} is not known here")


def _mish(net: Graph, tensor: str) -> str:
    return net.add("Mul", [tensor, net.add("Tanh", [net.add("Softplus", [tensor])])])


def _hard_sigmoid(net: Graph, tensor: str, alpha: float, beta: float) -> str:
    scaled = net.add("Mul", [tensor, net.constant(alpha)])
    return net.add(
        "Clip", [net.add("Add", [scaled, net.constant(beta)]), net.constant(0.0), net.constant(1.0)]
    )


def _hard_swish(net: Graph, tensor: str, alpha: float, beta: float) -> str:
    return net.add("Mul", [tensor, _hard_sigmoid(net, tensor, alpha, beta)])


def _kernels(layer: Layer, blob: Blob, group: int, *, transposed: bool) -> npt.NDArray[np.float32]:
    """Weights [out, in / group, h, w], or [in, out / group, h, w] of what enlarges."""
    out, size = layer.whole(0), sides(layer, 1, 11, 0)
    if min(out, group, *size) < 1 or out % group or blob.channels % group:
        raise layer.refused(f"it makes {out} channels of {blob.channels} in {group} groups")
    shape = (group, out // group, blob.channels // group, *size)
    if layer.weights[0].size != np.prod(shape):
        raise layer.refused(
            f"{layer.weights[0].size} weights do not make {out} channels of {blob.channels} by kernels of "
            f"{size[1]}x{size[0]}"
        )
    weights = layer.weights[0].reshape(shape)
    if transposed:
        return weights.transpose(0, 2, 1, 3, 4).reshape(blob.channels, -1, *size)
    return weights.reshape(out, -1, *size)


def _convolution(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    blob = one(layer, taken)
    group = layer.whole(7, 1) if layer.kind == "ConvolutionDepthWise" else 1
    weights = _kernels(layer, blob, group, transposed=False)
    settings: dict[str, Any] = {
        "strides": sides(layer, 3, 13, 1),
        "dilations": sides(layer, 2, 12, 1),
        "group": group,
    }
    if layer.whole(4) in _SAME:
        settings["auto_pad"] = _SAME[layer.whole(4)]
    else:
        settings["pads"] = pads(layer, 4, 14, 15, 16)
        if min(settings["pads"]) < 0:
            raise layer.refused(f"padding {settings['pads']} is not known here")
        if layer.real(18) and any(settings["pads"]):
            raise layer.refused("padding with anything but 0 is not known here")
    parts = [blob.tensor, net.constant(weights), *(net.constant(bias) for bias in layer.weights[1:])]
    made = net.add("Conv", parts, **settings)
    return [Blob(_activated(net, layer, made), weights.shape[0], blob.vector)]


def _deconvolution(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    blob = one(layer, taken)
    group = layer.whole(7, 1) if layer.kind == "DeconvolutionDepthWise" else 1
    weights = _kernels(layer, blob, group, transposed=True)
    border = pads(layer, 4, 14, 15, 16)
    if min(border) < 0 or layer.whole(20):
        raise layer.refused("an output of a size of its own is not known here")
    parts = [blob.tensor, net.constant(weights), *(net.constant(bias) for bias in layer.weights[1:])]
    made = net.add(
        "ConvTranspose",
        parts,
        strides=sides(layer, 3, 13, 1),
        dilations=sides(layer, 2, 12, 1),
        group=group,
        pads=border,
        output_padding=sides(layer, 18, 19, 0),
    )
    return [Blob(_activated(net, layer, made), layer.whole(0))]


def _inner_product(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    blob, out = one(layer, taken), layer.whole(0)
    if not blob.vector or layer.weights[0].size != out * blob.channels:
        raise layer.refused("only of a vector as long as its weights ask for can it be computed")
    weights = layer.weights[0].reshape(out, blob.channels, 1, 1)
    parts = [blob.tensor, net.constant(weights), *(net.constant(bias) for bias in layer.weights[1:])]
    return [Blob(_activated(net, layer, net.add("Conv", parts)), out, vector=True)]


def _each(op: str, **fixed: Any) -> Translate:
    """A layer that changes each number by itself."""

    def add(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
        blob = one(layer, taken)
        return [Blob(net.add(op, [blob.tensor], **fixed), blob.channels, blob.vector)]

    return add


def _computed(
    make: Callable[[Graph, Layer, str], str],
) -> Translate:
    """The same of several nodes."""

    def add(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
        blob = one(layer, taken)
        if any(weights.size not in (1, blob.channels) for weights in layer.weights):
            raise layer.refused(f"{layer.weights[0].size} weights do not fit {blob.channels} channels")
        return [Blob(make(net, layer, blob.tensor), blob.channels, blob.vector)]

    return add


def _relu(net: Graph, layer: Layer, tensor: str) -> str:
    slope = layer.real(0)
    return net.add("LeakyRelu", [tensor], alpha=slope) if slope else net.add("Relu", [tensor])


def _prelu(net: Graph, layer: Layer, tensor: str) -> str:
    return net.add("PRelu", [tensor, net.constant(_by_channel(layer.weights[0]))])


def _clip(net: Graph, layer: Layer, tensor: str) -> str:
    most = float(np.finfo(np.float32).max)
    return net.add("Clip", [tensor, net.constant(layer.real(0, -most)), net.constant(layer.real(1, most))])


def _swish(net: Graph, _layer: Layer, tensor: str) -> str:
    return net.add("Mul", [tensor, net.add("Sigmoid", [tensor])])


def _gelu(net: Graph, layer: Layer, tensor: str) -> str:
    if layer.whole(0):  # The approximation by tanh, which differs from the exact GELU in the third place.
        cube = net.add("Mul", [tensor, net.add("Mul", [tensor, tensor])])
        inner = net.add("Add", [tensor, net.add("Mul", [cube, net.constant(0.044715)])])
        share = net.add("Tanh", [net.add("Mul", [inner, net.constant(0.79788452)])])
    else:
        share = net.add("Erf", [net.add("Mul", [tensor, net.constant(0.70710678)])])
    half = net.add("Mul", [tensor, net.constant(0.5)])
    return net.add("Mul", [half, net.add("Add", [share, net.constant(1.0)])])


def _scale(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    if layer.weights:
        return _computed(_scaled)(net, layer, taken)
    if len(taken) != 2 or taken[1].channels != taken[0].channels or not taken[1].vector:
        raise layer.refused("only by a vector as long as there are channels can it scale")
    made = net.add("Mul", [blob.tensor for blob in taken])
    return [Blob(made, taken[0].channels, taken[0].vector)]


def _scaled(net: Graph, layer: Layer, tensor: str) -> str:
    made = net.add("Mul", [tensor, net.constant(_by_channel(layer.weights[0]))])
    if len(layer.weights) > 1:
        made = net.add("Add", [made, net.constant(_by_channel(layer.weights[1]))])
    return made


def _batch_norm(net: Graph, layer: Layer, tensor: str) -> str:
    slope, mean, variance, bias = (weights.astype(np.float64) for weights in layer.weights)
    factor = slope / np.sqrt(variance + layer.real(1))
    made = net.add("Mul", [tensor, net.constant(_by_channel(factor.astype(np.float32)))])
    offset = _by_channel((bias - mean * factor).astype(np.float32))
    return net.add("Add", [made, net.constant(offset)])


def _biased(net: Graph, layer: Layer, tensor: str) -> str:
    return net.add("Add", [tensor, net.constant(_by_channel(layer.weights[0]))])


def _unary(net: Graph, layer: Layer, tensor: str) -> str:
    kind = layer.whole(0)
    if kind == _SQUARE:
        return net.add("Mul", [tensor, tensor])
    if kind == _INVERSE_ROOT:
        return net.add("Reciprocal", [net.add("Sqrt", [tensor])])
    if kind not in _UNARY:
        raise layer.refused(f"operation {kind} is not known here")
    return net.add(_UNARY[kind], [tensor])


def _dropout(net: Graph, layer: Layer, tensor: str) -> str:
    scale = layer.real(0, 1.0)
    return tensor if scale == 1 else net.add("Mul", [tensor, net.constant(scale)])


def _binary(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    kind = layer.whole(0)
    if kind not in _BINARY:
        raise layer.refused(f"operation {kind} is not known here")
    if layer.whole(1):
        blob = one(layer, taken)
        other = Blob(net.constant(layer.real(2)), 1, vector=True)
    elif len(taken) == 2:
        blob, other = taken
    else:
        raise layer.refused(f"it takes {len(taken)} blobs; two are supported")
    most = max(blob.channels, other.channels)
    if {blob.channels, other.channels} - {1, most}:
        raise layer.refused(f"{blob.channels} and {other.channels} channels do not go together")
    pair = [blob.tensor, other.tensor]
    made = net.add(_BINARY[kind], pair[::-1] if kind in _TURNED_ROUND else pair)
    return [Blob(made, most, blob.vector and other.vector)]


def _eltwise(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    op = {0: "Mul", 1: "Add", 2: "Max"}.get(layer.whole(0))
    factors = layer.several(1)
    if op is None or len(taken) < 2 or len({blob.channels for blob in taken}) > 1:
        raise layer.refused("its inputs do not fit together")
    parts = [blob.tensor for blob in taken]
    if factors and op == "Add":
        if len(factors) != len(parts):
            raise layer.refused(f"{len(factors)} factors for {len(parts)} blobs")
        parts = [net.add("Mul", [part, net.constant(by)]) for part, by in zip(parts, factors, strict=True)]
    made = parts[0]
    for part in parts[1:]:
        made = net.add(op, [made, part])
    return [Blob(made, taken[0].channels, taken[0].vector)]


ARITHMETIC: Mapping[str, Translate] = {
    "Convolution": _convolution,
    "ConvolutionDepthWise": _convolution,
    "Deconvolution": _deconvolution,
    "DeconvolutionDepthWise": _deconvolution,
    "InnerProduct": _inner_product,
    "AbsVal": _each("Abs"),
    "Sigmoid": _each("Sigmoid"),
    "TanH": _each("Tanh"),
    "ReLU": _computed(_relu),
    "LeakyReLU": _computed(_relu),
    "PReLU": _computed(_prelu),
    "Clip": _computed(_clip),
    "Swish": _computed(_swish),
    "GELU": _computed(_gelu),
    "Mish": _computed(lambda net, _layer, tensor: _mish(net, tensor)),
    "HardSigmoid": _computed(
        lambda net, layer, tensor: _hard_sigmoid(net, tensor, layer.real(0, 0.2), layer.real(1, 0.5))
    ),
    "HardSwish": _computed(
        lambda net, layer, tensor: _hard_swish(net, tensor, layer.real(0, 0.2), layer.real(1, 0.5))
    ),
    "Scale": _scale,
    "Bias": _computed(_biased),
    "BatchNorm": _computed(_batch_norm),
    "Dropout": _computed(_dropout),
    "UnaryOp": _computed(_unary),
    "BinaryOp": _binary,
    "Eltwise": _eltwise,
}
