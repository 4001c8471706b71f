"""Networks that give the middle of a picture alone, as their convolutions do not pad: given the picture with more around it."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

from vsr.convert.foreign import Runner, input_of, probe
from vsr.core.errors import WeightsError

# Sides of the test pictures: multiples of all usual factors, and larger than the border that such networks leave out.
_SIDES = 128, 192
_PADDED = "with/border"


def bordered(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network; if it leaves out an equal border of every picture, a network that repeats the picture's edges by that
    border first, and so gives whole pictures."""
    given = input_of(model)
    channels = given.type.tensor_type.shape.dim[1].dim_value
    run = Runner(model)
    try:
        made = [run(probe(channels, side)).shape[2:] for side in _SIDES]
    except WeightsError:
        return model  # The next run of the network reports the reason.
    (first, second), apart = made, _SIDES[1] - _SIDES[0]
    scale, rest = divmod(second[0] - first[0], apart)
    if rest or scale < 1 or any(height != width for height, width in made):
        return model
    lost = scale * _SIDES[0] - first[0]
    if lost <= 0 or lost % (2 * scale):
        return model
    border = lost // (2 * scale)
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    for node in graph.node:
        node.input[:] = [_PADDED if name == given.name else name for name in node.input]
    sides = np.array([0, 0, border, border, 0, 0, border, border], np.int64)
    graph.initializer.append(numpy_helper.from_array(sides, f"{_PADDED}/sides"))
    graph.node.insert(0, helper.make_node("Pad", [given.name, f"{_PADDED}/sides"], [_PADDED], mode="edge"))
    return changed
