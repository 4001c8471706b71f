"""The memory of a stream that goes through a network with memory: the last frame, as the network had and made it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vsr.backends.memory import no_memory
from vsr.core.frame import Frame, Reset
from vsr.media.frames.cuts import Thumbnail, is_cut, thumbnail
from vsr.models.spec import KEEP, GraphLayout, ModelSpec
from vsr.upscale.planes import Kind


class Memory:
    """What one network remembers of one stream; it belongs to the stream, and engines are shared. For one thread at a time.

    The arrays of a run are kept as they are and are inputs of the next run, without a copy. They hold whole pictures, also
    where a picture is cut into tiles. On a GPU an engine knows them again (`vsr.backends.resident`).
    """

    def __init__(self) -> None:
        self._kind: Kind | None = None
        self._planes: dict[str, NDArray[np.uint8]] = {}

    def forget(self) -> None:
        """Let the next frame begin a sequence."""
        self._kind, self._planes = None, {}

    def inputs(
        self, spec: ModelSpec, layout: GraphLayout, planes: Mapping[str, NDArray[np.uint8]], kind: Kind
    ) -> dict[str, NDArray[np.generic]]:
        """The memory for one picture of a kind, by input of the graph. planes: of the picture, as they go into the graph."""
        if kind != self._kind:
            return no_memory(spec, layout, planes)
        return {**self._planes, KEEP: np.ones(1, np.float32)}

    def keep(
        self,
        spec: ModelSpec,
        layout: GraphLayout,
        planes: Mapping[str, NDArray[np.uint8]],
        large: Mapping[str, NDArray[np.uint8]],
        kind: Kind,
    ) -> None:
        """Remember a picture that is done: its planes, and the results by the same names. Nobody may change them any more."""
        run = {**planes, **{f"{name}_out": plane for name, plane in large.items()}}
        self._kind = kind
        self._planes = {name: run[was] for name, was in spec.remembered(layout).items()}


class StreamMemory:
    """The memories of one stream, one for each time that the model runs on a frame, and why they are forgotten. For one
    thread."""

    def __init__(self, passes: int) -> None:
        self.passes = [Memory() for _ in range(passes)]
        self._kind: Kind | None = None
        self._why = Reset.START
        self._seen: Thumbnail | None = None

    def forget(self, why: Reset) -> None:
        """Let the next frame begin a sequence, for this reason if the frame has none of its own."""
        self._kind, self._why = None, why
        for memory in self.passes:
            memory.forget()

    def coming(self, frame: Frame) -> Frame:
        """Prepare for the stream's next frame, and return it with the reason, if a sequence begins with it."""
        seen = _seen(frame)
        if why := frame.starts or self._starts(frame, seen):
            self.forget(why)
        self._kind, self._seen = Kind.of(frame), seen
        return frame if why is frame.starts else replace(frame, starts=why)

    def _starts(self, frame: Frame, seen: Thumbnail) -> Reset | None:
        if self._kind is None or self._seen is None:
            return self._why
        if Kind.of(frame) != self._kind:
            return Reset.SIZE
        return Reset.CUT if is_cut(self._seen, seen) else None


def _seen(frame: Frame) -> Thumbnail:
    """Of luma or, for RGB, of green."""
    return thumbnail(
        np.asarray(frame.planes[0]).view(f"<u{frame.format.bytes_per_sample}"), frame.format.bits
    )
