"""Pictures that lie on a GPU, as its decoder left them, and stay there."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from vsr.backends.on_device import DeviceEngine
from vsr.core.frame import SemiPlanar
from vsr.models import GraphLayout
from vsr.upscale.engine_cache import EngineCache
from vsr.upscale.graph_inputs import small_inputs
from vsr.upscale.planes import Kind
from vsr.upscale.tiles import TilePlan


class LeavesDevice(Exception):
    """Pictures must pass through the host; the message says why."""


def run_on_device(
    engines: EngineCache,
    plan: TilePlan,
    pictures: Sequence[SemiPlanar],
    kind: Kind,
    in_flight: int,
    strength: float = 1.0,
) -> list[SemiPlanar]:
    """Each picture enlarged, one by one. kind: 4:2:0 planes of 8 or 10 bits.

    Raises LeavesDevice, InferenceError, DeviceMemoryError, and what `Backend.compile` raises.
    """
    if importlib.util.find_spec("torch") is None:
        raise LeavesDevice("torch, which would read them, is not installed")
    if not plan.whole:
        raise LeavesDevice("they are cut into tiles")
    if (plan.width, plan.height) != (kind.width, kind.height):
        raise LeavesDevice("their sides are padded")
    layout, unit = GraphLayout.of(kind.format, kind.color), kind.format.bytes_per_sample
    sizes = [kind.format.plane_size(number, kind.width, kind.height) for number in range(3)]
    shapes: dict[str, tuple[int, ...]] = {
        name: (1, 1, height, width * unit)
        for name, (width, height) in zip(layout.plane_names, sizes, strict=True)
    }
    small = small_inputs(kind.format, kind.color, strength)
    with engines.taken(layout, shapes, in_flight) as engine:
        if not isinstance(engine, DeviceEngine):
            raise LeavesDevice(f"{engines.backend} runs there")
        if any(picture.luma.__dlpack_device__() != engine.dlpack_device for picture in pictures):
            raise LeavesDevice("they lie on another device")
        if not engine.reached_by_torch():
            raise LeavesDevice("torch, which would read them, sees no GPU")
        return [engine.run_on_device(picture, small) for picture in pictures]
