"""Networks of others: an ONNX file that makes pictures from pictures, and the facts found by running it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
import safetensors.numpy
from onnx import TensorProto, helper, numpy_helper, version_converter

from vsr.core.errors import WeightsError, reason
from vsr.models.graphs.builder import OPSET, GraphBuilder
from vsr.models.graphs.chroma import CHROMA_REACH

Array = npt.NDArray[np.float32]

# Sides of the first test pictures: multiples of all factors that networks need, the usual ones before the rare.
_SIDES = (64, 96, 80, 112, 120, 192)
_LARGEST_MULTIPLE = 64
_FARTHEST = 256
# Largest mean change, as a part of white, that a network which keeps the size may make to a picture with noise.
_NEARLY = 0.05
# Least change that counts as an influence, as a part of white: a 400th of an 8-bit code. Hundreds of layers reach further, but
# matter less there.
_FELT = 1e-5
# Arrays below this stay in the graphs; the others go to the file that all graphs share.
_SMALL = 32
# Prefix for the names in a foreign network: they may be anything, vsr's own names included.
_FOREIGN = "net/of/"
# Halo, in input pixels, of a network that depends on the whole picture: pixels further off matter little.
WHOLE_HALO = 64


@dataclass(frozen=True)
class Examined:
    """Facts found by running an ONNX network.

    domain: "luma" for one channel, "rgb" for three. peak: the value of white, 1 or 255. size_multiple: of width and height,
    64 at most. halo: input pixels around an output pixel that it depends on; `whole` where that is the whole picture.
    """

    domain: Literal["luma", "rgb"]
    scale: int
    peak: float
    size_multiple: int
    halo: int
    whole: bool
    macs_per_pixel: int
    parameters: int


class Runner:
    """An ONNX network on pictures of any size: float32 [n, channels, h, w]."""

    def __init__(self, model: onnx.ModelProto) -> None:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # The runtime's exceptions have no common base class.
            raise WeightsError(f"ONNX Runtime cannot load it: {reason(error)}") from error
        (self._input,) = (port.name for port in self._session.get_inputs())

    def __call__(self, picture: Array) -> Array:
        (result,) = self.all(picture)
        found: Array = result
        return found

    def all(self, picture: Array) -> list[npt.NDArray[Any]]:
        """The outputs of a graph with any number of them."""
        try:
            found: list[npt.NDArray[Any]] = self._session.run(None, {self._input: picture})
        except Exception as error:
            raise WeightsError(
                f"it does not run on {picture.shape[3]}x{picture.shape[2]} pixels: {reason(error)}"
            ) from error
        return found


def load_onnx(path: Path) -> onnx.ModelProto:
    """The network of an ONNX file, at the opset of frame graphs, its sizes and batch set free.

    Raises WeightsError where it isn't one that takes pictures and gives pictures, in float32, by standard operators.
    """
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {reason(error)}") from error
    except Exception as error:  # protobuf, onnx and the file system each have their own exceptions.
        raise WeightsError(f"{path} is not a whole ONNX network: {reason(error)}") from error
    return generalised(model, path)


def generalised(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    """The same of a network in memory, which came from `path`."""
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [port for port in model.graph.input if port.name not in stored]
    if len(inputs) != 1 or len(model.graph.output) != 1:
        raise WeightsError(
            f"{path} has {len(inputs)} inputs and {len(model.graph.output)} outputs, not a picture each"
        )
    _require_pictures(inputs[0], f"{path} takes")
    _require_pictures(model.graph.output[0], f"{path} gives")
    foreign = sorted({node.domain for node in model.graph.node} - {"", "ai.onnx"})
    if foreign or model.functions:
        raise WeightsError(f"{path} has operators outside the standard: {', '.join(foreign) or 'functions'}")
    if any(a.type == onnx.AttributeProto.GRAPH for node in model.graph.node for a in node.attribute):
        raise WeightsError(f"{path} has branches or loops", hint="export it without control flow")
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            require_finite(numpy_helper.to_array(tensor), f"{path}: {tensor.name}")
    for port in (inputs[0], model.graph.output[0]):
        for number, name in ((0, "n"), (2, "h"), (3, "w")):
            if port.type.tensor_type.shape.dim:
                port.type.tensor_type.shape.dim[number].dim_param = f"{name}_{port.name}"
    channels = inputs[0].type.tensor_type.shape.dim[1]
    if not channels.dim_value:
        channels.dim_value = _channels(model, path)
    del model.graph.value_info[:]
    try:
        return version_converter.convert_version(model, OPSET)
    except Exception as error:
        raise WeightsError(f"{path} cannot be brought to opset {OPSET}: {reason(error)}") from error


def require_finite(tensor: npt.NDArray[Any], which: str) -> None:
    """Raise WeightsError where a tensor, named by `which`, holds NaN or infinity, of which only black pictures come."""
    # Masks contain minus infinity, and a limit without effect is infinite.
    if np.isnan(tensor).any() or (tensor.size > 1 and np.isposinf(tensor).any()):
        raise WeightsError(f"{which} has values that are not finite", hint="train or export it again")


def _require_pictures(port: onnx.ValueInfoProto, who: str) -> None:
    """Raise WeightsError unless a graph's input or output may be float32 [n, 1 or 3, h, w]; `who` begins the sentence."""
    kind = port.type.tensor_type
    if kind.elem_type != TensorProto.FLOAT:
        found = TensorProto.DataType.Name(kind.elem_type).lower()
        raise WeightsError(f"{who} {found}, not float32", hint="export it in fp32")
    if not kind.HasField("shape"):  # An output without a stated shape.
        return
    sizes = [dim.dim_value for dim in kind.shape.dim]
    shape = [dim.dim_value or dim.dim_param or "?" for dim in kind.shape.dim]
    if len(sizes) != 4:
        raise WeightsError(f"{who} {shape}, not pictures [n, channels, h, w]", hint="export it as NCHW")
    if sizes[1] not in (1, 3) and sizes[3] in (1, 3):
        raise WeightsError(f"{who} {shape}, channels last", hint="export it as NCHW")
    if sizes[1] not in (0, 1, 3):
        raise WeightsError(f"{who} {sizes[1]} channels: only networks of one or three channels can be used")


def _channels(model: onnx.ModelProto, path: Path) -> int:
    """The number of channels of a network that leaves it open: three if it runs on three, else one."""
    run = Runner(model)
    for channels in (3, 1):
        for side in _SIDES:
            try:
                if run(probe(channels, side)).shape[:2] == (1, channels):
                    return channels
            except WeightsError:
                continue
    raise WeightsError(
        f"{path} leaves its channels open, and runs on neither three nor one",
        hint="export it with a fixed number of channels",
    )


def examine(model: onnx.ModelProto, peak: float | None = None) -> Examined:
    """Find the facts of a network by running it; `peak` may be known already.

    Raises WeightsError for a network that neither keeps the size nor enlarges two to eight times, or does not take every size.
    """
    run = Runner(model)
    channels = input_of(model).type.tensor_type.shape.dim[1].dim_value
    side, scale = _first_run(run, channels)
    multiple = _multiple(run, channels, scale, side)
    peak = peak or _peak(run, channels, scale, side)
    halo = _halo(run, channels, scale, peak, side)
    return Examined(
        domain="luma" if channels == 1 else "rgb",
        scale=scale,
        peak=peak,
        size_multiple=multiple,
        # A network that works on blocks of pixels may take a block that begins this much earlier.
        halo=WHOLE_HALO if halo is None else halo + multiple - 1,
        whole=halo is None,
        macs_per_pixel=_macs(model, channels, side) // side**2,
        parameters=sum(
            int(np.prod(tensor.dims)) for tensor in model.graph.initializer if len(tensor.dims) > 0
        ),
    )


class OnnxNetwork:
    """An examined network; its weights in `weights_file`. See `Network` in `vsr.models.graphs`."""

    def __init__(self, model: onnx.ModelProto, facts: Examined, weights_file: Path) -> None:
        self._model, self._facts = model, facts
        self.domain = facts.domain
        self.scale, self.parameters = facts.scale, facts.parameters
        self.halo = facts.halo + (CHROMA_REACH if facts.domain == "rgb" else 0)
        # Chroma of half or a quarter of the width goes through an RGB network at full width.
        self.size_multiple = (
            math.lcm(facts.size_multiple, 4) if facts.domain == "rgb" else facts.size_multiple
        )
        self.macs_per_pixel = facts.macs_per_pixel
        tensors = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        self._shared = {
            f"{_FOREIGN}{name}": np.ascontiguousarray(tensor)
            for name, tensor in tensors.items()
            if tensor.dtype == np.float32 and tensor.size >= _SMALL
        }
        safetensors.numpy.save_file(self._shared, weights_file)
        self.weights_file = weights_file

    def table(self) -> Mapping[str, Any]:
        """The content of `[network]` in the spec."""
        return {"arch": "onnx", "peak": self._facts.peak, "whole_picture": self._facts.whole}

    def add_to(self, graph: GraphBuilder, luma: str) -> str:
        large = self.enlarged(graph, luma)
        if self.scale > 1:
            large = graph.add("SpaceToDepth", [large], "net/packed", blocksize=self.scale)
        return graph.add("Sub", [large, luma], "net/residual")

    def enlarged(self, graph: GraphBuilder, picture: str) -> str:
        """Add the nodes: float32 [N, channels, h, w] in 0..1 to [N, channels, h*scale, w*scale]."""
        peak = graph.constant("net/peak", self._facts.peak)
        given = graph.add("Mul", [picture, peak], "net/in") if self._facts.peak != 1 else picture
        names = {input_of(self._model).name: given, "": ""}
        for tensor in self._model.graph.initializer:
            names[tensor.name] = (
                graph.weight(_FOREIGN + tensor.name)
                if _FOREIGN + tensor.name in self._shared
                else graph.tensor(tensor, _FOREIGN + tensor.name)
            )
        for node in self._model.graph.node:
            for output in node.output:
                names[output] = _FOREIGN + output if output else ""
            graph.node(node, [names[name] for name in node.input], [names[name] for name in node.output])
        result = names[self._model.graph.output[0].name]
        return graph.add("Div", [result, peak], "net/out") if self._facts.peak != 1 else result


def input_of(model: onnx.ModelProto) -> onnx.ValueInfoProto:
    """The picture that a network takes."""
    stored = {tensor.name for tensor in model.graph.initializer}
    port: onnx.ValueInfoProto = next(port for port in model.graph.input if port.name not in stored)
    return port


def probe(channels: int, side: int) -> Array:
    """A smooth picture with some noise, in 0..1."""
    rng = np.random.default_rng(0)
    axis = np.linspace(0, 3, side)
    waves = 0.5 + 0.3 * np.sin(axis)[:, None] * np.cos(axis * 1.3)[None]
    noise = rng.normal(0, 0.02, (channels, side, side))
    return np.clip(waves[None] + noise, 0, 1).astype(np.float32)[None]


def _first_run(run: Runner, channels: int) -> tuple[int, int]:
    """The first of the sides that it runs on, and its scale."""
    refused: WeightsError | None = None
    for side in _SIDES:
        picture = probe(channels, side)
        try:
            found = run(picture)
        except WeightsError as error:
            refused = refused or error
            continue
        scale = found.shape[2] // side if found.ndim == 4 else 0
        enlarges = found.shape == (1, channels, scale * side, scale * side)
        if enlarges and 1 <= scale <= 8:
            return side, scale
        unfit = WeightsError(
            f"it makes {list(found.shape)} of {list(picture.shape)}: not a picture as large, or two to eight times as large"
        )
        if enlarges:
            raise unfit
        refused = refused or unfit  # The network may have cut the side to a multiple that it needs.
    assert refused is not None
    sides = ", ".join(map(str, _SIDES[1:]))
    raise WeightsError(
        f"{refused.message} (nor does it serve with sides of {sides})",
        hint="it must take pictures of any size, or of any multiple of a size up to 64",
    )


def _peak(run: Runner, channels: int, scale: int, side: int) -> float:
    """The value of white, 1 or 255, with which the network's output is closest to its input enlarged. Raises WeightsError if
    neither is close."""
    picture = probe(channels, side)
    wanted = picture[0, 0].repeat(scale, axis=0).repeat(scale, axis=1)
    errors = {
        peak: float(np.abs(run(picture * np.float32(peak))[0, 0] / peak - wanted).mean())
        for peak in (1.0, 255.0)
    }
    best = min(errors, key=errors.__getitem__)
    # 1 if both are about as good, as for a network of convolutions without biases.
    best = 1.0 if errors[1.0] < 1.5 * errors[best] else best
    if scale == 1 and errors[1.0] < _NEARLY:  # A network that changes little may change even less at 255.
        best = 1.0
    if not errors[best] < 0.15:
        raise WeightsError("it makes no such picture of a picture: white is neither 1 nor 255 there")
    return best


def _multiple(run: Runner, channels: int, scale: int, first: int) -> int:
    """The least factor of the side `first` that, added to it, gives another side the network runs on."""
    for multiple in (size for size in range(1, _LARGEST_MULTIPLE + 1) if first % size == 0):
        side = first + multiple
        try:
            if run(probe(channels, side)).shape[2:] == (side * scale, side * scale):
                return multiple
        except WeightsError:
            continue
    raise WeightsError(
        f"it runs on {first}x{first} pixels and on no other size", hint="export it with dynamic sizes"
    )


def _halo(run: Runner, channels: int, scale: int, peak: float, side: int) -> int | None:
    """The distance, in input pixels, up to which a change around the middle of a picture has an effect in it; None for any
    distance."""
    while side <= _FARTHEST:
        edge, middle = side // 4, slice(side // 4, 3 * side // 4)
        before = probe(channels, side) * np.float32(peak)
        after = peak - before
        after[..., middle, middle] = before[..., middle, middle]
        inside = slice(edge * scale, 3 * edge * scale)
        changed = np.abs(run(after) - run(before))[0, :, inside, inside].max(axis=0) > _FELT * peak
        # The distance of each pixel of the middle from its nearest side, in input pixels.
        along = np.arange(changed.shape[0]) // scale
        along = np.minimum(along, along[::-1])
        reach = int((np.minimum.outer(along, along) + 1)[changed].max(initial=0))
        if reach < edge:
            return reach
        side *= 2
    return None


def _macs(model: onnx.ModelProto, channels: int, side: int) -> int:
    """Multiply-adds of the convolutions and matrix products for one picture of `side` x `side`, by the shapes in a run."""
    shaped = onnx.ModelProto()
    shaped.CopyFrom(model)
    graph = shaped.graph
    counted = [
        node for node in model.graph.node if node.op_type in ("Conv", "ConvTranspose", "MatMul", "Gemm")
    ]
    names = list(dict.fromkeys(name for node in counted for name in (*node.input[:2], node.output[0])))
    del graph.output[:]
    for number, name in enumerate(names):
        graph.node.append(helper.make_node("Shape", [name], [f"shape/of/{number}"]))
        graph.output.append(helper.make_tensor_value_info(f"shape/of/{number}", TensorProto.INT64, None))
    shapes = dict(zip(names, Runner(shaped).all(probe(channels, side)), strict=True)) if names else {}
    total = 0
    for node in counted:
        given, weight, made = (shapes[name] for name in (*node.input[:2], node.output[0]))
        if node.op_type == "Conv":
            total += math.prod(made) * math.prod(weight[1:])
        elif node.op_type == "ConvTranspose":
            total += math.prod(given) * math.prod(weight[1:])
        else:
            transposed = any(a.name == "transA" and a.i for a in node.attribute)
            total += math.prod(made) * int(given[0 if transposed else -1])
    return int(total)
