"""Whether the network of a job has a memory, where the user leaves that open."""

from __future__ import annotations

from dataclasses import replace

from vsr.core.video import VideoInfo
from vsr.jobs.outlook import infer_s
from vsr.models.auto import Rule
from vsr.models.registry import with_memory
from vsr.upscale.options import NetworkOptions
from vsr.upscale.pool import UpscalerPool
from vsr.upscale.upscaler import Upscaler

# The part of the time between two frames that the network may take: decoding and encoding need the rest.
_ROOM = 0.7


def network_for(
    pool: UpscalerPool, options: NetworkOptions, info: VideoInfo, rule: Rule | None = None
) -> tuple[Upscaler, tuple[str, ...]]:
    """(the network for an input, notes about it). rule: for the look of the input. Raises the errors of Upscaler.

    Where `temporal` is "auto", a video gets the network with memory that belongs to the named one, if there is one and it
    enlarges the video at least as fast as it plays.
    """
    if info.is_picture:
        return pool.upscaler(options, "picture", rule), ()
    named = pool.upscaler(options, rule=rule)
    if options.temporal != "auto" or named.spec.states or with_memory(named.spec) is None:
        return named, ()
    remembering = pool.upscaler(replace(options, temporal="on"), rule=rule)
    if not _keeps_up(remembering, info):
        return named, ()
    said = f"model {remembering.spec.id}, which has a memory, for {named.spec.id}: fast enough here"
    return remembering, (f"{said}; --temporal off leaves it out",)


def _keeps_up(upscaler: Upscaler, info: VideoInfo) -> bool:
    if upscaler.on_gpu or not info.frame_rate:
        return upscaler.on_gpu
    frame_s = upscaler.seconds_a_frame(info.width, info.height)
    if frame_s is None:
        frame_s = infer_s(upscaler.spec, upscaler.passes, info.width * info.height, on_gpu=False)
    return frame_s * info.frame_rate <= _ROOM
