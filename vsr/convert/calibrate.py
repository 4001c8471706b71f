"""What a network's convolutions take, measured on pictures: int8 needs to know how far it reaches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import Arrays
from vsr.backends.guarded import extremes
from vsr.core.errors import ConfigError
from vsr.media.frames.planes import av_from_frame, frame_from_av
from vsr.media.frames.resize import Converter
from vsr.media.inputs import MEDIA_SUFFIXES, files_below
from vsr.media.read.open import open_source
from vsr.models.spec import GraphLayout, ModelSpec
from vsr.upscale.graph_inputs import small_inputs

# So many pictures of those given, and so many samples a side of each, reduced to half first: no picture is sharper than that.
_PICTURES, _SIDE = 32, 256
_GRAY = GraphLayout("gray", 1)


def calibration(spec: ModelSpec, pictures: Sequence[Path]) -> dict[str, tuple[float, float]]:
    """The least and the largest value of all that the convolutions of a network take but those whose input is the picture:
    midway from the mean of the pictures' extremes to the extreme of all. At the mean the edges of text are off by 20 codes,
    at the extreme of all every sample is rounded more coarsely.

    pictures: folders, with those below, or files. Raises ConfigError where there is none, and what a picture that cannot be
    read raises.
    """
    import onnx

    model = onnx.load(str(spec.graph(_GRAY)), load_external_data=False)
    channels = {tensor.name: tensor.dims[1] for tensor in model.graph.initializer if len(tensor.dims) == 4}
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    taken = {node.input[0] for node in convolutions if channels.get(node.input[1], 1) > 1}
    found = [extremes(spec, _GRAY, inputs) for inputs in _inputs(pictures, spec.size_multiple)]
    if not found:
        raise ConfigError("there is no picture to calibrate with", hint="name a folder with pictures in it")
    ends = {name: np.array([one[name] for one in found]) for name in found[0] if name in taken}
    return {name: (_midway(both[:, 0], np.min), _midway(both[:, 1], np.max)) for name, both in ends.items()}


def _midway(values: NDArray[np.float64], extreme: Callable[[NDArray[np.float64]], float]) -> float:
    return round(float(values.mean() + extreme(values)) / 2, 4)


def _inputs(pictures: Sequence[Path], unit: int) -> Iterator[Arrays]:
    files = [
        file for path in pictures for file in (files_below(path, MEDIA_SUFFIXES) if path.is_dir() else [path])
    ]
    for at in np.linspace(0, len(files) - 1, min(_PICTURES, len(files))).astype(int) if files else ():
        yield _input(str(files[at]), unit)


def _input(file: str, unit: int) -> Arrays:
    """The middle of a picture, or of a video's first frame, at half its size."""
    with open_source(file) as source:
        frame = next(iter(source))
    given, color = av_from_frame(frame), frame.color
    size = max(unit, frame.width // 2), max(unit, frame.height // 2)
    convert = Converter(given.format.name, (frame.width, frame.height), color, "gray", size, color)
    gray = frame_from_av(convert(given))
    left, top = (max(0, side - _SIDE) // 2 for side in size)
    width, height = (min(side, _SIDE) // unit * unit for side in size)
    luma = np.asarray(gray.planes[0])[top : top + height, left : left + width]
    return {"y": np.ascontiguousarray(luma)[None, None], **small_inputs(gray.format, gray.color)}
