"""Several nodes of a frame graph in one kernel, on a CUDA device.

cuDNN convolves, and torch then reads and writes all features once more for the bias and once more for PReLU, which takes
longer than the convolution. This module replaces such nodes of the graph by nodes of the same meaning that
`torch_kernels` runs in one pass; everything else stays as it was.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from types import ModuleType
from typing import Any

import onnx
import torch
from onnx import TensorProto, helper
from torch import Tensor

# The taps between this number of channels fit into the memory of a multiprocessor.
_MAX_CHANNELS = 64
# Fewer channels than this, with no convolution after them, leave the network: they are wanted as planes of float32.
_FEATURES = 32
_ACTIVATIONS = ("PRelu", "Relu", "LeakyRelu")
_MIN_CAPABILITY = (8, 0)
# The size of a program's work: pixels of a row, pixels of a row in the simple kernels, values.
_COLUMNS, _LONG, _BLOCK = 64, 256, 4096

Found = tuple[onnx.NodeProto, list[onnx.NodeProto]]
"""A node, and the nodes it replaces, the last of which makes the result."""


@functools.cache
def trouble(device: torch.device) -> str:
    """Why kernels don't run on this device; empty where they do. Triton wants a C compiler, and no GPU that is too old."""
    if device.type == "cuda" and (capability := torch.cuda.get_device_capability(device)) < _MIN_CAPABILITY:
        major, minor = capability
        return f"of compute capability {major}.{minor} it uses no matrix units, which it does from 8.0 on"
    try:
        ones = torch.ones((1, 16, 2, 2), dtype=torch.float16, device=device)
        taps, nothing = ones.new_ones((9, 16, 16)), torch.zeros(16, device=device)
        with torch.cuda.device(device) if device.type == "cuda" else nullcontext():  # Triton launches on it.
            sums = _convolve(ones, taps, nothing, nothing, dtype=torch.float16, active=0, planes=1)
        # Of the nine places of each pixel, four lie inside.
        return "" if bool((sums == 4 * 16).all()) else "Triton miscalculates"
    except Exception as error:  # Exceptions of Triton, its compilers and the driver share no base class.
        return " ".join(str(error).split())[:200] or type(error).__name__


def fuse(
    graph: onnx.GraphProto, constants: dict[str, Tensor], dtype: torch.dtype, device: torch.device
) -> list[onnx.NodeProto]:
    """The graph's nodes, some of them replaced; constants of the new nodes are added to `constants`."""
    return _Fusing(graph, constants, dtype, device).nodes()


class _Fusing:
    def __init__(
        self, graph: onnx.GraphProto, constants: dict[str, Tensor], dtype: torch.dtype, device: torch.device
    ) -> None:
        self._graph, self._constants, self._dtype, self._device = graph, constants, dtype, device
        self._uses = Counter(name for node in graph.node for name in node.input)
        self._uses.update(value.name for value in graph.output)
        self._users: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)

    def nodes(self) -> list[onnx.NodeProto]:
        ways = {"Conv": self._conv, "DepthToSpace": self._rounding, "IsNaN": self._guard}
        standing_for: dict[str, onnx.NodeProto | None] = {}
        for node in self._graph.node:
            if node.op_type in ways and (found := ways[node.op_type](node)):
                made, chain = found
                standing_for |= dict.fromkeys(each.output[0] for each in chain)
                standing_for[chain[-1].output[0]] = made
        nodes = [standing_for.get(node.output[0], node) for node in self._graph.node]
        return [node for node in nodes if node is not None]

    def _conv(self, conv: onnx.NodeProto) -> Found | None:
        """A convolution fused with its bias and the activation after it: 3x3 between features, or from one plane. None for
        other convolutions."""
        settings = _attributes(conv)
        pads = set(settings.get("pads", [0]))
        others = {*settings.get("strides", ()), *settings.get("dilations", ()), settings.get("group", 1)}
        weights = [self._constants[name] for name in conv.input[1:] if name in self._constants]
        explicit = settings.get("auto_pad", b"NOTSET") == b"NOTSET"
        if len(weights) != len(conv.input) - 1 or len(pads) != 1 or others != {1} or not explicit:
            return None
        weight, *bias = weights
        out_channels, channels, side, width = weight.shape
        if side != width or max(out_channels, channels) > _MAX_CHANNELS:
            return None
        slope, chain = self._slope(conv, out_channels), [conv]
        if slope is not None:
            chain += self._users[conv.output[0]]
        into_features = self._feeds_convolutions(chain[-1].output[0])
        if channels == 1 and side in (3, 5):
            planes = slope is None or not into_features
        elif channels % 16 == 0 and side == 3 and pads == {1}:
            planes = out_channels < _FEATURES and not into_features
        else:
            return None
        name, kernel, dtype = chain[-1].output[0], "Convolve", self._dtype
        ways: dict[str, Any] = {"active": int(slope is not None), "planes": int(planes)}
        if channels == 1:
            kernel, dtype = "Spread", torch.float32
            ways["pad"] = pads.pop()
        taps = weight.permute(2, 3, 1, 0).reshape(side * side, channels, out_channels).to(dtype)
        nothing = torch.zeros(out_channels, device=self._device)
        made = {
            f"{name}/taps": taps.contiguous(),
            f"{name}/bias": bias[0].float() if bias else nothing,
            f"{name}/slope": nothing if slope is None else slope,
        }
        self._constants.update(made)
        return helper.make_node(kernel, [conv.input[0], *made], [name], **ways), chain

    def _slope(self, conv: onnx.NodeProto, channels: int) -> Tensor | None:
        """The slope for values below 0, one for each channel, of the activation that alone uses the convolution's output. None
        if there is no such activation."""
        after = self._users.get(conv.output[0], [])
        if self._uses[conv.output[0]] != 1 or not after or after[0].op_type not in _ACTIVATIONS:
            return None
        if after[0].op_type == "PRelu":
            slope = self._constants.get(after[0].input[1])
            return None if slope is None else slope.float().flatten().expand(channels).contiguous()
        alpha = _attributes(after[0]).get("alpha", 0.01) if after[0].op_type == "LeakyRelu" else 0.0
        return torch.full((channels,), alpha, device=self._device)

    def _feeds_convolutions(self, name: str) -> bool:
        """Whether only convolutions of features take it up."""
        users = self._users.get(name, [])
        weights = [self._constants.get(user.input[1]) for user in users if user.op_type == "Conv"]
        wide = [weight for weight in weights if weight is not None and weight.shape[1] > 1]
        return len(wide) == self._uses[name] > 0

    def _rounding(self, first: onnx.NodeProto) -> Found | None:
        """Planes into one, rounded and kept within a range; into bytes, where those are wanted next."""
        chain = self._followed(first, ("Add", "Floor", "Clip", "Cast"))
        if len(chain) < 4 or _attributes(first)["mode"] != b"CRD" or chain[1].input[0] != first.output[0]:
            return None
        if len(chain) == 5 and _attributes(chain[4])["to"] != TensorProto.UINT8:
            chain.pop()
        inputs = [first.input[0], chain[1].input[1], *chain[3].input[1:]]
        half = self._constants.get(inputs[1])
        if half is None or half.numel() != 1 or len(inputs) != 4 or "" in inputs:
            return None
        ways = {"scale": _attributes(first)["blocksize"], "codes": int(len(chain) == 5)}
        return helper.make_node("Interleave", inputs, [chain[-1].output[0]], **ways), chain

    def _guard(self, first: onnx.NodeProto) -> Found | None:
        """The number of values that are not finite, as `precision.guarded` needs it."""
        chain = self._followed(first, ("Or", "Cast", "ReduceSum"))
        twin = [node for node in self._users[first.input[0]] if node.op_type == "IsInf"]
        if len(chain) != 4 or len(twin) != 1 or self._followed(twin[0], ("Or",))[1:] != chain[1:2]:
            return None
        return helper.make_node("CountNotFinite", [first.input[0]], [chain[-1].output[0]]), [twin[0], *chain]

    def _followed(self, node: onnx.NodeProto, types: Sequence[str]) -> list[onnx.NodeProto]:
        """The node, and the nodes of these types after it, each the only user of the previous one."""
        chain = [node]
        for kind in types:
            after = self._users.get(chain[-1].output[0], [])
            if self._uses[chain[-1].output[0]] != 1 or not after or after[0].op_type != kind:
                break
            chain.append(after[0])
        return chain


def _kernels() -> ModuleType:
    """Imported where they run: Triton is not everywhere, and its interpreter is chosen before."""
    from vsr.backends.torch import kernels as torch_kernels

    return torch_kernels


def _attributes(node: onnx.NodeProto) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _power_of_two(count: int, least: int = 1) -> int:
    return max(least, 1 << (count - 1).bit_length())


def _launched(
    kernel: Any,
    given: Tensor,
    weights: tuple[Tensor, Tensor, Tensor],
    size: tuple[int, int],
    rows: int,
    columns: int = _COLUMNS,
    *,
    dtype: torch.dtype,
    active: int,
    planes: int,
    **fixed: Any,
) -> Tensor:
    """[N, C, height, width] by `convolve` or `spread`, where a program makes a block of rows and columns: planes of float32,
    or features of `dtype`, their channels beside each other. weights: taps, bias and slope."""
    (height, width), count, channels = size, len(given), weights[0].shape[2]
    out = torch.empty(
        (count, channels, height, width),
        dtype=torch.float32 if planes else dtype,
        device=given.device,
        memory_format=torch.contiguous_format if planes else torch.channels_last,
    )
    kernel[-(-width // columns), -(-height // rows), count](
        given,
        *weights,
        out,
        height,
        width,
        CO=channels,
        COLUMNS=columns,
        ACTIVE=active,
        PLANES=planes,
        **fixed,
    )
    return out


def _parts(channels: int) -> tuple[int, int]:
    """Two powers of two whose sum is the number of channels or a little more, because Triton multiplies no other sizes. The
    second may be 0."""
    return (32, 16) if 32 < channels <= 48 else (_power_of_two(channels, 16), 0)


def compiled_for(channels: int, out_channels: int, capability: tuple[int, int]) -> dict[str, Any]:
    """The options with which `convolve` is compiled."""
    # Sums of 64 channels leave room for one program on a multiprocessor: it has 8 warps, each with 16 columns of its own. On
    # Hopper and B200, whose matrix units read memory, 4 do.
    wide = min(channels, out_channels) > 48 and capability[0] not in (9, 10)
    (whole, rest), (out_whole, out_rest) = _parts(channels), _parts(out_channels)
    return {
        "CI": channels,
        "KI": whole,
        "KR": rest,
        "NO": out_whole,
        "NR": out_rest,
        "COLUMNS": 2 * _COLUMNS if wide else _COLUMNS,
        "num_warps": 8 if wide else 4,
    }


def _convolve(features: Tensor, taps: Tensor, bias: Tensor, slope: Tensor, **ways: Any) -> Tensor:
    beside = features.to(ways["dtype"]).permute(0, 2, 3, 1).contiguous()
    _, height, width, channels = beside.shape
    capability = torch.cuda.get_device_capability(beside.device) if beside.is_cuda else _MIN_CAPABILITY
    fixed = compiled_for(channels, taps.shape[2], capability)
    weights, size = (taps, bias, slope), (height, width)
    return _launched(_kernels().convolve, beside, weights, size, 2, fixed.pop("COLUMNS"), **ways, **fixed)


def _spread(plane: Tensor, taps: Tensor, bias: Tensor, slope: Tensor, *, pad: int, **ways: Any) -> Tensor:
    plane, side = plane.float().contiguous(), math.isqrt(taps.shape[0])
    height, width = (length + 2 * pad - side + 1 for length in plane.shape[2:])
    fixed: dict[str, Any] = {"SIDE": side, "PAD": pad, "NO": _power_of_two(taps.shape[2])}
    weights = (taps, bias, slope)
    return _launched(_kernels().spread, plane, weights, (height, width), 1, **ways, **fixed)


def _interleave(
    planes: Tensor, half: Tensor, least: Tensor, most: Tensor, *, scale: int, codes: int
) -> Tensor:
    planes = planes.float().contiguous()
    count, channels, height, width = planes.shape
    sizes = (count, channels // scale**2, height * scale, width * scale)
    out = torch.empty(sizes, dtype=torch.uint8 if codes else torch.float32, device=planes.device)
    _kernels().interleave[-(-width // _LONG), height * scale, count * sizes[1]](
        planes,
        half,
        least,
        most,
        out,
        height,
        width,
        SCALE=scale,
        SIDE=_power_of_two(scale),
        COLUMNS=_LONG,
    )
    return out


def _count(values: Tensor) -> Tensor:
    values, found = values.contiguous(), torch.zeros((), device=values.device)
    _kernels().count_not_finite[(-(-values.numel() // _BLOCK),)](values, found, values.numel(), BLOCK=_BLOCK)
    return found


OPERATORS: Mapping[str, Callable[..., Tensor]] = {
    "Convolve": _convolve,
    "Spread": _spread,
    "Interleave": _interleave,
    "CountNotFinite": _count,
}
"""What runs the nodes that `fuse` puts in."""
