"""The Upscaler: frames in, larger frames out."""

from __future__ import annotations

import importlib.util
import math
import threading
from collections import abc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from vsr.backends import choose_backend
from vsr.backends.base import CompileOptions
from vsr.backends.on_device import DeviceEngine, on_host
from vsr.core.errors import DeviceMemoryError
from vsr.core.frame import Fetched, Frame, PixelFormat
from vsr.models import GraphLayout, Precision, find_model
from vsr.models.registry import Use, auto_family
from vsr.upscale.engine_cache import EngineCache
from vsr.upscale.graph_inputs import small_inputs
from vsr.upscale.options import NetworkOptions
from vsr.upscale.pictures import frame_from_picture, picture_from_frame
from vsr.upscale.planes import cut, padded, paste, stacked
from vsr.upscale.sequence import Sequence
from vsr.upscale.tiles import TilePlan

if TYPE_CHECKING:
    import av

# Above this many LR pixels a frame is cut into tiles: the widest shipped network then takes about a gigabyte.
_MAX_PIXELS = 2_500_000
# Of smaller ones, no more than so many go in one run.
_MAX_RUN_PIXELS = 4 * 1280 * 720
_DEFAULT_TILE = 1024
# Sides that make more than this are cut too, however narrow the picture: grids of GPU kernels end at 65535 rows of a result.
_MAX_ROWS = 64_000
# Where memory is short, tiles become smaller, down to this.
_MIN_TILE = 128


class Upscaler:
    """One model on one backend. A context manager; for any number of threads, of which `in_flight` get on at a time.

    model: NetworkOptions, or the name of a model, with the other fields of NetworkOptions as keywords. The model is run as
    often as it takes to reach the scale; `Upscaler.scale` says what that comes to. use: what `auto` chooses for. `notes` tells
    what was chosen, `doing` what takes long just now.

    Raises UnknownModelError, WeightsError, ConfigError, MissingDependencyError.
    """

    @overload
    def __init__(self, model: NetworkOptions, *, use: Use = "video") -> None: ...
    @overload
    def __init__(
        self,
        model: str = "auto",
        *,
        scale: float | None = None,
        backend: str = "auto",
        tile: int | None = None,
        batch: int | None = None,
        threads: int = 0,
        precision: Precision | None = None,
        build: bool = True,
        use: Use = "video",
    ) -> None: ...
    def __init__(self, model: NetworkOptions | str = "auto", *, use: Use = "video", **options: Any) -> None:
        network = replace(model if isinstance(model, NetworkOptions) else NetworkOptions(model), **options)
        self._backend, self.notes = choose_backend(network.backend)
        self.on_gpu = self._backend.probe().on_gpu
        self.spec = find_model(network.model, network.scale or 2.0, use, on_gpu=self.on_gpu)
        if network.model == "auto":
            self.notes.append(f"model {self.spec.id}, {auto_family(use, on_gpu=self.on_gpu)[1]}")
        steps = math.log(network.scale, self.spec.scale) if network.scale is not None else 1
        self.passes = max(1, math.ceil(steps - 1e-9))
        self.scale = self.spec.scale**self.passes
        self._tile, self._batch = network.tile, network.batch
        self._most_frames = 64  # In one go; fewer where memory is short.
        self.doing = ""
        compiling = CompileOptions(network.threads, network.precision, network.build, self._say)
        self._engines = EngineCache(self._backend, self.spec, compiling)
        self._alpha: Upscaler | None = None
        self._lock = threading.Lock()

    @property
    def backend(self) -> str:
        """Name of the backend that was chosen."""
        return self._backend.name

    @property
    def in_flight(self) -> int:
        """How many threads may upscale at once, and should: more than one on a GPU."""
        return self._backend.in_flight

    def batch(self, width: int, height: int) -> int:
        """How many frames of a size `upscale_batch` should be given: more than one of small ones on a GPU."""
        return self._batch or max(1, min(self._backend.batch, _MAX_RUN_PIXELS // (width * height)))

    @property
    def precision(self) -> str:
        """What the convolutions are computed in: fp32, bf16, fp16, int8 or fp8; empty before the first picture."""
        return self._engines.precision

    def __enter__(self) -> Upscaler:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the compiled graphs. Closing twice does nothing."""
        self._engines.close()
        if self._alpha:
            self._alpha.close()

    @overload
    def upscale(self, picture: Frame) -> Frame: ...
    @overload
    def upscale(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]: ...
    @overload
    def upscale(self, picture: NDArray[np.uint16]) -> NDArray[np.uint16]: ...
    @overload
    def upscale(self, picture: av.VideoFrame) -> av.VideoFrame: ...
    def upscale(self, picture: Any) -> Any:
        """One picture, larger by `scale`, as what it came as.

        A Frame; a PyAV VideoFrame of any pixel format; or a NumPy array, uint8 0..255 or uint16 0..65535, of shape
        (height, width) for gray, (height, width, 3) for RGB, (height, width, 4) for RGB with straight alpha.
        Raises UnsupportedInputError for anything else, InferenceError, DeviceMemoryError; for the first picture of a size also
        what `Backend.compile` raises.
        """
        return picture_from_frame(self.upscale_batch([frame_from_picture(picture)])[0], picture)

    def stream(self, pictures: Iterable[Any]) -> Iterator[Any]:
        """Each picture of an iterable, upscaled, in order, as `upscale` does; each comes before the next is asked for."""
        with self.sequence(batch=1, in_flight=1) as sequence:
            for picture in pictures:
                for frame in sequence.push(frame_from_picture(picture)):
                    yield picture_from_frame(frame, picture)

    def sequence(self, *, batch: int | None = None, in_flight: int | None = None) -> Sequence:
        """One stream of frames, to be pushed in order; any number may share this Upscaler.

        batch: frames in a run, None for what the Upscaler was made with. in_flight: most batches at a time, None likewise.
        """

        def size(frame: Frame) -> int:
            # What stays on the GPU goes frame by frame.
            return batch or self._batch or (1 if frame.on_device else self.batch(frame.width, frame.height))

        return Sequence(self.upscale_batch, size, in_flight or self.in_flight)

    def upscale_batch(self, frames: abc.Sequence[Frame]) -> list[Frame]:
        """Frames of one size, format and colour, in one go."""
        for _ in range(self.passes):
            frames = self._one_pass(frames)
        return list(frames)

    def _one_pass(self, frames: abc.Sequence[Frame]) -> list[Frame]:
        """Frames, larger by the model's scale; in smaller parts, from here on, where memory is too short for them."""
        while True:
            tile, most = self._tile, self._most_frames
            try:
                together = self._together(frames)
                parts = [frames[begin : begin + together] for begin in range(0, len(frames), together)]
                return [large for part in parts for large in self._at_once(part)]
            except DeviceMemoryError as error:
                with self._lock:
                    if (tile, most) == (self._tile, self._most_frames):  # Else another thread saw to it.
                        self._take_less(frames, error)

    def _together(self, frames: abc.Sequence[Frame]) -> int:
        """How many of these go at a time."""
        pixels = max((frame.width * frame.height for frame in frames), default=1)
        return max(1, min(len(frames), self._most_frames, _MAX_RUN_PIXELS // pixels))

    def _take_less(self, frames: abc.Sequence[Frame], error: DeviceMemoryError) -> None:
        """Fewer frames at a time, then smaller tiles. Raises the error where neither is left."""
        frame, together = frames[0], self._together(frames)
        if together > 1:
            self._most_frames = together // 2
            what, now = f"{together} frames at a time", f"{self._most_frames}"
        else:
            plan = self._plan(frame.width, frame.height, frame.format)
            side = min(plan.tile, max(frame.width, frame.height))
            if side <= _MIN_TILE:
                raise error
            self._tile = max(_MIN_TILE, 1 << (side - 1).bit_length() - 1)
            what, now = ("a whole frame" if plan.whole else f"tiles of {side}"), f"tiles of {self._tile}"
        self.notes.append(f"not enough memory for {what}; going on with {now}")
        self._engines.drop_idle()
        if self._alpha:
            self._alpha._engines.drop_idle()

    def _say(self, doing: str) -> None:
        self.doing = doing

    def _at_once(self, frames: abc.Sequence[Frame]) -> list[Frame]:
        first = frames[0]
        if all(frame.on_device for frame in frames) and (there := self._on_device(frames)):
            return there
        opaque = replace(first.format, alpha=False)
        layout = GraphLayout.of(opaque, first.color)
        colour_planes = [
            stacked([frame.planes[plane] for frame in frames]) for plane in range(opaque.num_planes)
        ]
        large = self._run(layout, opaque, colour_planes, first)
        if first.format.alpha:
            large.append(self._enlarged_alpha(frames))
        scale = self.spec.scale
        return [
            replace(
                frame,
                planes=[plane[number, 0] for plane in large],
                width=frame.width * scale,
                height=frame.height * scale,
                side=dict(frame.side),
                on_device=None,
            )
            for number, frame in enumerate(frames)
        ]

    def _on_device(self, frames: abc.Sequence[Frame]) -> list[Frame]:
        """Frames that stay where they lie; none where they must pass through the host, which is noted."""
        first, scale = frames[0], self.spec.scale
        if importlib.util.find_spec("torch") is None:
            return self._through_host("torch, which takes them up, is not installed")
        plan = self._plan(first.width, first.height, first.format)
        if not plan.whole or (plan.width, plan.height) != (first.width, first.height):
            return self._through_host(
                "they are cut into tiles" if not plan.whole else "their sides are padded"
            )
        layout, unit = GraphLayout.of(first.format, first.color), first.format.bytes_per_sample
        sizes = [first.format.plane_size(number, first.width, first.height) for number in range(3)]
        shapes: dict[str, tuple[int, ...]] = {
            name: (1, 1, height, width * unit)
            for name, (width, height) in zip(layout.plane_names, sizes, strict=True)
        }
        small = small_inputs(first.format, first.color)
        with self._engines.taken(layout, shapes) as engine:
            if not isinstance(engine, DeviceEngine):
                return self._through_host(f"{self.backend} runs there")
            pictures = [picture for frame in frames if (picture := frame.on_device)]
            if any(picture.luma.__dlpack_device__() != engine.dlpack_device for picture in pictures):
                return self._through_host("they lie on another device")
            if not engine.reached_by_torch():
                return self._through_host("torch, which takes them up, sees no GPU")
            large = [engine.run_on_device(picture, small) for picture in pictures]
        return [
            replace(
                frame,
                planes=Fetched(partial(on_host, picture)),
                on_device=picture,
                width=frame.width * scale,
                height=frame.height * scale,
                side=dict(frame.side),
            )
            for frame, picture in zip(frames, large, strict=True)
        ]

    def _through_host(self, why: str) -> list[Frame]:
        note = f"frames on the GPU pass through the host: {why}"
        if note not in self.notes:
            self.notes.append(note)
        return []

    def _enlarged_alpha(self, frames: abc.Sequence[Frame]) -> NDArray[np.uint8]:
        """Alpha goes through cubic enlargement: a network would draw detail into it."""
        with self._lock:
            if self._alpha is None:
                self._alpha = Upscaler(f"bicubic-x{self.spec.scale}", backend=self.backend)
                # It speaks for this one, and may build what this one may.
                self._alpha._engines.options = replace(self._engines.options, precision=None)
            self._alpha._tile = self._tile
        gray = PixelFormat("gray", frames[0].format.bits)
        alpha = [stacked([frame.planes[-1] for frame in frames])]
        return self._alpha._run(GraphLayout.of(gray, frames[0].color), gray, alpha, frames[0])[0]

    def _run(
        self, layout: GraphLayout, format: PixelFormat, planes: list[NDArray[np.uint8]], like: Frame
    ) -> list[NDArray[np.uint8]]:
        """Planes [N, 1, h, w x bytes] through the graph, tiled where they are large; cropped to scale x the size."""
        scale, unit = self.spec.scale, format.bytes_per_sample
        log2 = [
            format.log2_chroma if plane in (1, 2) and format.kind == "yuv" else (0, 0)
            for plane in range(len(planes))
        ]
        plan = self._plan(like.width, like.height, format)
        small = small_inputs(format, like.color)
        whole = [
            padded(plane, plan.width >> shift[0], plan.height >> shift[1], unit)
            for plane, shift in zip(planes, log2, strict=True)
        ]
        results: list[NDArray[np.uint8]] = []
        if not plan.whole:
            results = [np.empty((len(p), 1, p.shape[2] * scale, p.shape[3] * scale), np.uint8) for p in whole]
        for horizontal, vertical in plan:
            inputs: dict[str, NDArray[np.generic]] = dict(small)
            for name, plane, shift in zip(layout.plane_names, whole, log2, strict=True):
                part = cut(plane, horizontal, vertical, shift, unit)
                inputs[name] = np.ascontiguousarray(part)
            with self._engines.taken(
                layout, {name: inputs[name].shape for name in layout.plane_names}
            ) as engine:
                outputs = engine.run(inputs)
            larger = [outputs[f"{name}_out"] for name in layout.plane_names]
            if plan.whole:
                results = larger
                break
            for result, part, shift in zip(results, larger, log2, strict=True):
                paste(result, part, horizontal, vertical, shift, unit, scale)
        sizes = [
            format.plane_size(plane, like.width * scale, like.height * scale) for plane in range(len(planes))
        ]
        return [
            result[:, :, :height, : width * unit]
            for result, (width, height) in zip(results, sizes, strict=True)
        ]

    def _plan(self, width: int, height: int, format: PixelFormat) -> TilePlan:
        multiple = math.lcm(self.spec.size_multiple, *(1 << log2 for log2 in format.log2_chroma))
        width, height = -(-width // multiple) * multiple, -(-height // multiple) * multiple
        # Chroma looks two of its own samples around.
        halo = max(self.spec.halo, 2 << max(format.log2_chroma))
        tile, longest, most = self._tile, max(width, height), _MAX_ROWS // self.spec.scale
        if tile is None:
            tile = _DEFAULT_TILE if width * height > _MAX_PIXELS or longest > most else 0
        return TilePlan(width, height, min(tile or longest, most), halo, multiple)
