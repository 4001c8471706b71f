"""The inputs of a network with memory: what `vsr.models.spec` names beside the planes and small inputs."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import Arrays
from vsr.models.spec import KEEP, GraphLayout, ModelSpec


def no_memory(
    spec: ModelSpec, layout: GraphLayout, planes: Mapping[str, NDArray[np.generic]]
) -> dict[str, NDArray[np.generic]]:
    """The memory where a sequence begins with each of these planes, by input; none for a network without memory."""
    shapes = spec.memory_shapes(layout, {name: planes[name].shape for name in layout.plane_names})
    return {name: np.zeros(shape, np.float32 if name == KEEP else np.uint8) for name, shape in shapes.items()}


def memory_of_a_still(spec: ModelSpec, layout: GraphLayout, inputs: Arrays) -> Arrays:
    """The memory that makes a network with one do all its work on a single picture: the last frame was the same, and its
    result had each sample repeated. For measuring, comparing and calibrating; no stream is involved.

    inputs: at least the planes. None for a network without memory.
    """
    found = no_memory(spec, layout, {name: inputs[name] for name in layout.plane_names})
    for name, was in spec.remembered(layout).items():
        plane = inputs[was.removesuffix("_out")]
        if was not in inputs:
            samples = plane.reshape(*plane.shape[:3], -1, layout.bytes_per_sample)
            large = samples.repeat(spec.scale, axis=2).repeat(spec.scale, axis=3)
            plane = large.reshape(*large.shape[:3], -1)
        found[name] = plane
        found[KEEP] = np.ones_like(found[KEEP])
    return found
