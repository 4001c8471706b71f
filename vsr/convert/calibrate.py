"""The ranges of the inputs of a network's convolutions, measured on pictures, for int8."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import Arrays
from vsr.backends.guarded import extremes
from vsr.backends.memory import memory_of_a_still
from vsr.convert.examples import middle_of_file
from vsr.core.errors import ConfigError
from vsr.media.inputs import MEDIA_SUFFIXES, files_below
from vsr.models.spec import GraphLayout, ModelSpec

# Number of pictures, and samples a side of each.
_PICTURES, _SIDE = 32, 256
_GRAY = GraphLayout("gray", 1)


Ends = dict[str, tuple[float, float]]


def calibration(spec: ModelSpec, pictures: Sequence[Path]) -> Ends:
    """The least and the largest value of each input of a network's convolutions, except those whose input is the picture:
    midway from the mean of the pictures' extremes to the extreme of all. At the mean the edges of text are off by 20 codes, at
    the extreme of all every sample is rounded more coarsely.

    pictures: folders, with those below, or files. Raises ConfigError where there is none, and what a picture that cannot be
    read raises.
    """
    files = [
        file for path in pictures for file in (files_below(path, MEDIA_SUFFIXES) if path.is_dir() else [path])
    ]
    if not files:
        raise ConfigError("no picture to calibrate with was found", hint="name a folder with pictures in it")
    chosen = np.linspace(0, len(files) - 1, min(_PICTURES, len(files))).astype(int)
    middles = [middle_of_file(str(files[at]), _GRAY, spec.size_multiple, _SIDE) for at in chosen]
    examples = [{**inputs, **memory_of_a_still(spec, _GRAY, inputs)} for inputs in middles]
    return {
        name: (_midway(least, np.min), _midway(most, np.max))
        for name, (least, most) in _extremes(spec, _GRAY, examples).items()
    }


def widest(spec: ModelSpec, layout: GraphLayout, examples: Sequence[Arrays]) -> Ends:
    """The same, at the extremes of all: for a network whose tolerance is unknown."""
    found = _extremes(spec, layout, examples)
    return {
        name: (round(float(least.min()), 4), round(float(most.max()), 4))
        for name, (least, most) in found.items()
        if np.isfinite([least, most]).all()
    }


def _extremes(
    spec: ModelSpec, layout: GraphLayout, examples: Sequence[Arrays]
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The least and the largest value in each example, by tensor: all inputs of convolutions except pictures."""
    import onnx

    model = onnx.load(str(spec.graph(layout)), load_external_data=False)
    channels = {tensor.name: tensor.dims[1] for tensor in model.graph.initializer if len(tensor.dims) == 4}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    of_a_picture = 1 if spec.domain == "luma" else 3
    taken = {node.input[0] for node in convolutions if channels.get(node.input[1], 1) > of_a_picture}
    found = [extremes(spec, layout, inputs) for inputs in examples]
    ends = {name: np.array([one[name] for one in found]) for name in found[0] if name in taken}
    return {name: (both[:, 0], both[:, 1]) for name, both in ends.items()}


def _midway(values: NDArray[np.float64], extreme: Callable[[NDArray[np.float64]], float]) -> float:
    return round(float(values.mean() + extreme(values)) / 2, 4)
