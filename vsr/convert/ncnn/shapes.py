"""Layers of ncnn that move numbers or pool them: cutting, joining, resizing and reordering.

Definitions are those of ncnn's `docs/developer-guide/operators.md` and of its plain C++ layers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from vsr.convert.ncnn.graph import Blob, Graph, Translate, axis_of, one, pads, sides
from vsr.convert.ncnn.read import REST, Layer

_END = 1 << 31


def _concat(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    if not taken:
        raise layer.refused("it takes nothing")
    axis = axis_of(layer, layer.whole(0), taken[0])
    made = net.add("Concat", [blob.tensor for blob in taken], axis=axis)
    channels = sum(blob.channels for blob in taken) if axis == 1 else taken[0].channels
    return [Blob(made, channels, all(blob.vector for blob in taken))]


def _split(_net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    return [one(layer, taken)] * len(layer.outputs)


def _slice(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    blob, sizes = one(layer, taken), [int(size) for size in layer.several(0)]
    count = len(layer.outputs)
    if axis_of(layer, layer.whole(1), blob) != 1 or len(sizes) != count:
        raise layer.refused("only channels can be cut, in as many parts as it gives")
    made, at = [], 0
    for number, asked in enumerate(sizes):
        size = (blob.channels - at) // (count - number) if asked == REST else asked
        if size < 1 or at + size > blob.channels:
            raise layer.refused(f"parts {sizes} of {blob.channels} channels")
        made.append(Blob(net.slices(blob.tensor, [at], [at + size], [1]), size, blob.vector))
        at += size
    return made


def _crop(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    blob = taken[0] if taken else one(layer, taken)
    if blob.vector:
        raise layer.refused("a vector is cropped")
    if starts := layer.several(9):
        one(layer, taken)
        ends, axes = layer.several(10), layer.several(11) or tuple(range(len(starts)))
        if not len(starts) == len(ends) == len(axes):
            raise layer.refused("starts, ends and axes differ in number")
        last = [_END if end in (REST, 0) else int(end) for end in ends]
        return _cropped(net, layer, blob, [int(start) for start in starts], last, axes)
    offsets = [layer.whole(at) for at in (2, 1, 0)]
    if len(taken) == 2:  # Crop to the size of the other blob.
        like = taken[1]
        begins = net.whole(offsets)
        end = net.add("Add", [begins, net.add("Shape", [like.tensor], start=1, end=4)])
        made = net.add("Slice", [blob.tensor, begins, end, net.whole([1, 2, 3])])
        return [Blob(made, like.channels)]
    one(layer, taken)
    last = []
    for begin_at, size_id, end_id in zip(offsets, (5, 4, 3), (8, 7, 6), strict=True):
        size, behind = layer.whole(size_id), layer.whole(end_id)
        if size != REST and (size < 1 or behind):
            raise layer.refused(f"a size of {size} is not known here")
        last.append((-behind if behind else _END) if size == REST else begin_at + size)
    return _cropped(net, layer, blob, offsets, last, (0, 1, 2))


def _cropped(
    net: Graph,
    layer: Layer,
    blob: Blob,
    starts: Sequence[int],
    ends: Sequence[int],
    axes: Sequence[float],
) -> list[Blob]:
    places = [axis_of(layer, axis, blob) for axis in axes]
    kept = blob.channels
    for start, end, place in zip(starts, ends, places, strict=True):
        if place == 1:
            kept = len(range(blob.channels)[start:end])
    if kept < 1:
        raise layer.refused("no channel is left")
    return [Blob(net.slices(blob.tensor, starts, ends, places), kept)]


def _interp(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    mode = {1: "nearest", 2: "linear", 3: "cubic"}.get(layer.whole(0))
    if mode is None or not taken:
        raise layer.refused(f"resizing {layer.whole(0)} is not known here")
    blob = taken[0]
    scales, size = "", ""
    if len(taken) == 2:
        parts = [
            net.add("Shape", [blob.tensor], end=2),
            net.add("Shape", [taken[1].tensor], start=2, end=4),
        ]
        size = net.add("Concat", parts, axis=0)
    elif layer.whole(3) or layer.whole(4):
        raise layer.refused("a network for pictures of any size cannot resize to a fixed one")
    else:
        down, across = layer.real(1, 1.0), layer.real(2, 1.0)
        if min(down, across) <= 0:
            raise layer.refused(f"factors {across:g} and {down:g}")
        scales = net.constant([1, 1, down, across])
    settings: dict[str, Any] = {"mode": mode}
    if mode == "nearest":
        settings |= {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    else:
        places = "align_corners" if layer.whole(6) else "half_pixel"
        settings |= {"coordinate_transformation_mode": places}
    if mode == "cubic":
        settings["cubic_coeff_a"] = -0.75
    inputs = [blob.tensor, "", scales] if scales else [blob.tensor, "", "", size]
    return [Blob(net.add("Resize", inputs, **settings), blob.channels)]


def _pixel_shuffle(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    blob, factor = one(layer, taken), layer.whole(0, 1)
    if factor < 1 or blob.channels % factor**2:
        raise layer.refused(f"{blob.channels} channels are no blocks of {factor}x{factor}")
    mode = "DCR" if layer.whole(1) else "CRD"
    made = net.add("DepthToSpace", [blob.tensor], blocksize=factor, mode=mode)
    return [Blob(made, blob.channels // factor**2)]


def _reorg(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    """The reverse. ONNX has the order of channels of mode 1."""
    blob, factor = one(layer, taken), layer.whole(0, 1)
    if factor < 1:
        raise layer.refused(f"blocks of {factor}x{factor}")
    made = net.add("SpaceToDepth", [blob.tensor], blocksize=factor)
    if layer.whole(1) == 0:
        order = np.arange(blob.channels * factor**2).reshape(factor**2, blob.channels).T.ravel()
        made = net.add("Gather", [made, net.whole(order)], axis=1)
    return [Blob(made, blob.channels * factor**2)]


def _padding(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    blob = one(layer, taken)
    top, bottom, left, right = (layer.whole(at) for at in range(4))
    mode = {0: "constant", 1: "edge", 2: "reflect"}.get(layer.whole(4))
    if mode is None or layer.whole(6) or layer.whole(7) or layer.whole(8):
        raise layer.refused("this padding is not known here")
    if min(top, bottom, left, right) < 0:
        raise layer.refused("it pads with less than nothing")
    inputs = [blob.tensor, net.whole([0, 0, top, left, 0, 0, bottom, right])]
    if mode == "constant" and layer.real(5):
        inputs.append(net.constant(layer.real(5)))
    return [Blob(net.add("Pad", inputs, mode=mode), blob.channels)]


def _pooling(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    blob, kind = one(layer, taken), "Average" if layer.whole(0) else "Max"
    if layer.whole(4) or (layer.whole(7) and sides(layer, 8, 18, 0) == [1, 1]):
        return [Blob(net.add(f"Global{kind}Pool", [blob.tensor]), blob.channels, vector=True)]
    if layer.whole(7) or layer.whole(5) not in (0, 1):
        raise layer.refused("this pooling is not known here")
    settings: dict[str, Any] = {
        "kernel_shape": sides(layer, 1, 11, 0),
        "strides": sides(layer, 2, 12, 1),
        "pads": pads(layer, 3, 13, 14, 15),
        "ceil_mode": int(layer.whole(5) == 0),
    }
    if kind == "Average":
        settings["count_include_pad"] = layer.whole(6)
    return [Blob(net.add(f"{kind}Pool", [blob.tensor], **settings), blob.channels)]


def _reduction(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    """The mean over a picture, as global pooling."""
    blob = one(layer, taken)
    axes = sorted(axis_of(layer, axis, blob) for axis in layer.several(3))
    if layer.whole(0) != 3 or layer.whole(1, 1) or axes != [2, 3] or layer.real(2, 1.0) != 1:
        raise layer.refused("only the mean over height and width is known here")
    return [Blob(net.add("GlobalAveragePool", [blob.tensor]), blob.channels, vector=True)]


def _reshape(_net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    """Reshape a vector into a picture of 1x1 pixels, or back; pass the blob on, because both have one shape here."""
    blob = one(layer, taken)
    width, height, channels = (layer.whole(at, REST) for at in (0, 1, 2))
    to_vector = (height, channels) == (REST, REST) and width in (-1, blob.channels)
    to_pixel = (width, height) == (1, 1) and channels in (-1, blob.channels)
    if not blob.vector or not (to_vector or to_pixel):
        raise layer.refused("only a vector can be reshaped, into one of 1x1 pixels")
    return [blob]


def _flatten(_net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    blob = one(layer, taken)
    if not blob.vector:
        raise layer.refused("a picture of any size cannot become a vector")
    return [blob]


def _permute(net: Graph, layer: Layer, taken: Sequence[Blob]) -> list[Blob]:
    blob, kind = one(layer, taken), layer.whole(0)
    if blob.vector or kind not in (0, 1):
        raise layer.refused(f"order {kind} makes channels of rows or columns")
    if kind == 0:
        return [blob]
    return [Blob(net.add("Transpose", [blob.tensor], perm=[0, 1, 3, 2]), blob.channels)]


def _memory_data(net: Graph, layer: Layer, _taken: Sequence[Blob]) -> list[Blob]:
    width, height, channels = (layer.whole(at) for at in (0, 1, 2))
    if channels:
        shape = (1, channels, height, width)
    elif not height:
        shape = (1, width, 1, 1)
    else:
        raise layer.refused("a table of two dimensions is not known here")
    if layer.weights[0].size != np.prod(shape):
        raise layer.refused(f"{layer.weights[0].size} numbers do not make {list(shape)}")
    return [Blob(net.constant(layer.weights[0].reshape(shape)), shape[1], vector=not channels)]


SHAPES: Mapping[str, Translate] = {
    "Input": lambda net, layer, _taken: [net.input(layer)],
    "MemoryData": _memory_data,
    "Noop": _split,
    "Split": _split,
    "Concat": _concat,
    "Slice": _slice,
    "Crop": _crop,
    "Interp": _interp,
    "PixelShuffle": _pixel_shuffle,
    "Reorg": _reorg,
    "Padding": _padding,
    "Pooling": _pooling,
    "Reduction": _reduction,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Permute": _permute,
}
