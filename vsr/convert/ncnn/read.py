"""Networks of ncnn: the text of a .param, and the weights of the .bin beside it.

The format is described in ncnn's `docs/developer-guide/param-and-model-file-structure.md`. The meaning of the layers stands in
`vsr.convert.ncnn_layers`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vsr.convert.foreign import require_finite
from vsr.core.errors import WeightsError, reason
from vsr.files.checks import is_special

Array = npt.NDArray[np.float32]
Value = float | tuple[float, ...]

_MAGIC = "7767517"
_ARRAY = -23300
REST = -233
"""ncnn's number for "whatever there is"."""
_FP32, _FP16, _INT8 = 0, 0x01306B47, 0x000D4B38
# More layers than any network has: a damaged number must not be obeyed.
_MOST_LAYERS = 100_000


@dataclass(frozen=True)
class Layer:
    """One line of a .param. inputs, outputs: names of blobs. values: its parameters by id. weights: in the file's order."""

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Mapping[int, Value]
    weights: list[Array] = field(default_factory=list)

    def whole(self, id: int, default: int = 0) -> int:
        """A parameter that is a whole number."""
        return int(self.real(id, default))

    def real(self, id: int, default: float = 0.0) -> float:
        value = self.values.get(id, default)
        if isinstance(value, tuple):
            raise self.refused(f"parameter {id} is a list")
        return value

    def several(self, id: int) -> tuple[float, ...]:
        """A parameter that is a list; empty where it is missing."""
        value = self.values.get(id, ())
        return value if isinstance(value, tuple) else (value,)

    def refused(self, why: str) -> WeightsError:
        """The error to raise where this layer cannot be used."""
        return WeightsError(f"layer {self.name} ({self.kind}): {why}")


def read_ncnn(param: Path, known: Iterable[str]) -> list[Layer]:
    """The layers of a .param with the weights of the .bin beside it, in fp32; fp16 is widened.

    known: kinds of layers that can be used. Raises WeightsError for a file that is missing or damaged, a layer of another
    kind, weights that are quantized or no finite numbers, and a .bin of another length than the layers take.
    """
    layers = _parsed(param)
    if unknown := sorted({layer.kind for layer in layers} - set(known)):
        raise WeightsError(
            f"{param.name} has layers that are not known here: {', '.join(unknown)}",
            hint="only networks of convolutions and the usual layers between them can be used",
        )
    weights_file = param.with_suffix(".bin")
    if is_special(weights_file):
        raise WeightsError(
            f"{weights_file} is not a regular file", hint="put the .bin of the network beside its .param"
        )
    try:
        weights = _Weights(weights_file.name, weights_file.read_bytes())
    except OSError as error:
        raise WeightsError(
            f"cannot read {weights_file}: {reason(error)}",
            hint="put the .bin of the network beside its .param",
        ) from error
    for layer in layers:
        for count, tagged in _weights_of(layer):
            layer.weights.append(weights.take(layer, count, tagged=tagged))
            require_finite(layer.weights[-1], f"{weights_file.name}: {layer.name}")
    weights.check_over(param.name)
    return layers


def _parsed(param: Path) -> list[Layer]:
    try:
        lines = param.read_bytes().decode().split("\n")
    except OSError as error:
        raise WeightsError(f"cannot read {param}: {reason(error)}") from error
    except UnicodeDecodeError:
        lines = [""]
    if lines[0].strip() != _MAGIC:
        raise WeightsError(
            f"{param} is not an ncnn network in text form: its first line is not {_MAGIC}",
            hint="a binary .param cannot be used, the text it was made of can",
        )
    try:
        count = int(lines[1].split()[0])
        layers = [_layer(line) for line in lines[2:] if line.strip()]
    except (ValueError, IndexError) as error:
        raise WeightsError(f"{param} is damaged: {error}") from error
    if count != len(layers) or not 0 < count <= _MOST_LAYERS:
        raise WeightsError(f"{param} is damaged: it announces {count} layers and has {len(layers)}")
    return layers


def _layer(line: str) -> Layer:
    """Kind, name, counts of inputs and outputs, their names, then `id=value` or `-23300-id=count,value,...`."""
    kind, name, *rest = line.split()
    try:
        ins, outs = int(rest[0]), int(rest[1])
        names, pairs = rest[2 : 2 + ins + outs], rest[2 + ins + outs :]
        values = dict(_value(pair) for pair in pairs)
        if min(ins, outs) < 0 or len(names) != ins + outs:
            raise ValueError
    except (ValueError, IndexError):
        raise ValueError(f"the line of {name} cannot be read") from None
    return Layer(kind, name, tuple(names[:ins]), tuple(names[ins:]), values)


def _value(pair: str) -> tuple[int, Value]:
    key, _, text = pair.partition("=")
    number = int(key)
    if number > _ARRAY:
        return number, _number(text)
    count, *items = text.split(",")
    if int(count) != len(items):
        raise ValueError
    return _ARRAY - number, tuple(map(_number, items))


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _convolution(layer: Layer) -> list[tuple[int, bool]]:
    if layer.whole(8) or layer.whole(19):
        raise layer.refused("weights in 8 bits, or made by another layer, cannot be used")
    return [(layer.whole(6), True), *([(layer.whole(0), False)] if layer.whole(5) else [])]


def _deconvolution(layer: Layer) -> list[tuple[int, bool]]:
    return [(layer.whole(6), True), *([(layer.whole(0), False)] if layer.whole(5) else [])]


def _inner_product(layer: Layer) -> list[tuple[int, bool]]:
    if layer.whole(8):
        raise layer.refused("weights in 8 bits cannot be used")
    return [(layer.whole(2), True), *([(layer.whole(0), False)] if layer.whole(1) else [])]


def _scale(layer: Layer) -> list[tuple[int, bool]]:
    if layer.whole(0) == REST:  # By the values of another blob.
        return []
    return [(layer.whole(0), False)] * (2 if layer.whole(1) else 1)


def _memory_data(layer: Layer) -> list[tuple[int, bool]]:
    sides = [layer.whole(at) for at in (0, 1, 2)]
    return [(math.prod(side for side in sides if side), layer.whole(21, 1) == 0)]


_WITH_WEIGHTS: Mapping[str, Callable[[Layer], list[tuple[int, bool]]]] = {
    "Convolution": _convolution,
    "ConvolutionDepthWise": _convolution,
    "Deconvolution": _deconvolution,
    "DeconvolutionDepthWise": _deconvolution,
    "InnerProduct": _inner_product,
    "PReLU": lambda layer: [(layer.whole(0), False)],
    "BatchNorm": lambda layer: [(layer.whole(0), False)] * 4,
    "Bias": lambda layer: [(layer.whole(0), False)],
    "Scale": _scale,
    "MemoryData": _memory_data,
}


def _weights_of(layer: Layer) -> list[tuple[int, bool]]:
    """For each array of a layer (number of its values, whether a tag before it states their type)."""
    counts = _WITH_WEIGHTS.get(layer.kind)
    found = counts(layer) if counts else []
    if any(count <= 0 for count, _ in found):
        raise layer.refused("it does not say how many weights it has")
    return found


class _Weights:
    """The bytes of a .bin, array by array."""

    def __init__(self, name: str, data: bytes) -> None:
        self._name, self._data, self._at = name, data, 0

    def take(self, layer: Layer, count: int, *, tagged: bool) -> Array:
        tag = int.from_bytes(self._bytes(layer, 4), "little") if tagged else _FP32
        if tag == _FP32:
            return np.frombuffer(self._bytes(layer, 4 * count), "<f4").astype(np.float32)
        if tag == _FP16:  # Arrays begin at multiples of four bytes.
            return np.frombuffer(self._bytes(layer, -(-2 * count // 4) * 4), "<f2", count).astype(np.float32)
        kind = "in 8 bits" if tag == _INT8 else "quantized by a table, or damaged"
        raise WeightsError(
            f"{self._name}: the weights of layer {layer.name} are {kind}",
            hint="take the network in fp32 or fp16",
        )

    def _bytes(self, layer: Layer, count: int) -> bytes:
        found = self._data[self._at : self._at + count]
        if len(found) < count:
            raise WeightsError(
                f"{self._name} has {len(self._data)} bytes and ends within layer {layer.name}",
                hint="take the .bin that belongs to this .param, and whole",
            )
        self._at += count
        return found

    def check_over(self, param: str) -> None:
        if self._at != len(self._data):
            raise WeightsError(
                f"{self._name} has {len(self._data)} bytes, of which the layers of {param} take {self._at}",
                hint="take the .bin that belongs to this .param",
            )
