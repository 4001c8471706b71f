"""The Upscaler: frames in, larger frames out."""

from __future__ import annotations

import threading
from collections import abc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, overload

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import CompileOptions
from vsr.backends.choose import choose_backend
from vsr.backends.on_device import on_host
from vsr.core.errors import ConfigError
from vsr.core.frame import Fetched, Frame, PixelFormat, Plane, SemiPlanar
from vsr.machine.measured import precision_for, seconds_a_pixel
from vsr.machine.tuned import Tuned, tuned_for
from vsr.models import Precision, find_model
from vsr.models.auto import Rule, Use, auto_family
from vsr.models.registry import Temporal, for_use
from vsr.upscale.alpha import extended_colour
from vsr.upscale.memory import MAX_RUN_PIXELS, Portion
from vsr.upscale.network import Network
from vsr.upscale.on_device import LeavesDevice
from vsr.upscale.options import NetworkOptions
from vsr.upscale.pictures import frame_from_picture, picture_from_frame
from vsr.upscale.planes import Kind
from vsr.upscale.recurrent import Memory, StreamMemory
from vsr.upscale.sequence import Sequence, Upscale

if TYPE_CHECKING:
    import av


class Upscaler:
    """One model on one backend. A context manager. Any number of threads may use it; `in_flight` of them run at a time.

    model: NetworkOptions, or the name of a model, with the other fields of NetworkOptions as keywords. The model runs as often
    as the scale needs; `Upscaler.scale` is the resulting factor. use: the purpose for which `auto` chooses; "picture" expects
    pictures of many sizes. rule: the one that fits a look at the input, for `auto`. `notes` describes the choices, `doing`
    names a long step in progress. `wanted_precision` is the requested precision, or the fastest one found on this machine; None
    leaves it to the backend. `network` enlarges the planes of pictures; alpha has another Network.

    Raises UnknownModelError, WeightsError, ConfigError, MissingDependencyError.
    """

    @overload
    def __init__(self, model: NetworkOptions, *, use: Use = "video", rule: Rule | None = None) -> None: ...
    @overload
    def __init__(
        self,
        model: str = "auto",
        *,
        scale: float | None = None,
        backend: str = "auto",
        device: str = "auto",
        tile: int | None = None,
        batch: int | None = None,
        threads: int = 0,
        precision: Precision | None = None,
        build: bool = True,
        temporal: Temporal = "auto",
        strength: float | None = None,
        use: Use = "video",
        rule: Rule | None = None,
    ) -> None: ...
    def __init__(
        self,
        model: NetworkOptions | str = "auto",
        *,
        use: Use = "video",
        rule: Rule | None = None,
        **others: Any,
    ) -> None:
        options = replace(model if isinstance(model, NetworkOptions) else NetworkOptions(model), **others)
        self._backend, self.notes = choose_backend(options.backend, options.device)
        self.on_gpu = self._backend.probe().on_gpu
        named = find_model(options.model, options.scale or 2.0, use, on_gpu=self.on_gpu, rule=rule)
        self.spec = for_use(named, options.temporal, use)
        if named.states and use == "picture" and options.temporal != "off":
            self.notes.append(
                f"model {self.spec.id} for pictures: {named.id} has a memory, which is for video"
            )
        self.tuned = self._kept(options)
        if options.model == "auto":
            strength = self._strength(options, rule)
            at = f" at strength {strength:g}" if strength != self.spec.strength else ""
            self.notes.append(
                f"model {self.spec.id}{at}, {auto_family(use, on_gpu=self.on_gpu, rule=rule)[1]}"
            )
        wanted = options.precision
        if self.spec.precision == "shown" and wanted not in (None, "fp32", *self.spec.holds):
            self.notes.append(
                f"nothing shows that {self.spec.id} holds in {wanted}: look at it beside --precision fp32"
            )
        if options.strength is not None and self.spec.domain != "ycbcr":
            if options.model != "auto":
                able = "no chain has" if "parts" in self.spec.network else "restore and anime have"
                raise ConfigError(f"{self.spec.id} has no strength", hint=f"{able}, or leave --strength out")
            self.notes.append(f"strength has no effect: {self.spec.id} has none")
        self.passes = options.passes(self.spec)
        self.scale = self.spec.scale**self.passes
        self.doing = ""
        self._batch = options.batch or self.tuned.batch
        self.wanted_precision = options.precision or self.tuned.precision or self._measured()
        self._compiling = CompileOptions(
            options.threads or self.tuned.threads,
            self.wanted_precision,
            options.build,
            self._say,
            stills=use == "picture",
        )
        self._portion = Portion(options.tile, self.notes)
        self.network = Network(
            self.spec,
            self._backend,
            self._compiling,
            self._portion,
            self.tuned.in_flight,
            self._strength(options, rule),
        )
        self._alpha: Network | None = None
        self._lock = threading.Lock()

    @property
    def backend(self) -> str:
        """Name of the chosen backend."""
        return self._backend.name

    @property
    def device(self) -> str:
        """The device that runs the model: cpu, gpu:0, cuda:1, npu. After a failure in its first frames this may change to the
        processor."""
        return self._backend.device

    def _strength(self, options: NetworkOptions, rule: Rule | None) -> float:
        """What was asked for, else what `auto` takes for such an input, else the network's own."""
        of_rule = rule.strength if rule is not None and options.model == "auto" else None
        return next(each for each in (options.strength, of_rule, self.spec.strength) if each is not None)

    @property
    def in_flight(self) -> int:
        """The best number of threads that upscale at a time; of one stream, if the network has a memory."""
        return 1 if self.spec.states else self.device_in_flight

    @property
    def device_in_flight(self) -> int:
        """The best number of runs that the device has in progress, of one stream or of several."""
        return self.tuned.in_flight or self._backend.in_flight

    def seconds_a_frame(self, width: int, height: int) -> float | None:
        """About how long the network takes here for a frame of a size, if this was measured at its first use."""
        pixel_s = seconds_a_pixel(self.spec, self._backend)
        times = sum(self.spec.scale ** (2 * number) for number in range(self.passes))
        return None if pixel_s is None else pixel_s * width * height * times

    def batch(self, width: int, height: int, *, on_device: bool = False) -> int:
        """The best number of frames of a size for `upscale_batch`: more than one for small frames on a GPU, unless they lie in
        its memory, or the network has one."""
        if self.spec.states:
            return 1
        best = 1 if on_device else max(1, min(self._backend.batch, MAX_RUN_PIXELS // (width * height)))
        return self._batch or best

    @property
    def precision(self) -> str:
        """The precision of the convolutions: fp32, bf16, fp16, int8 or fp8; empty before the first picture."""
        return self.network.precision

    def __enter__(self) -> Upscaler:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the compiled graphs. Closing twice does nothing."""
        self.network.close()
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
        """Enlarge one picture by `scale`; the result has the type of the picture.

        A picture is a Frame; a PyAV VideoFrame of any pixel format; or a NumPy array, uint8 0..255 or uint16 0..65535, of shape
        (height, width) for gray, (height, width, 3) for RGB, (height, width, 4) for RGB with straight alpha.
        Where alpha is 0, the colour around it is used. A network with memory takes it as the first frame of a stream.
        Raises UnsupportedInputError for anything else, InferenceError, DeviceMemoryError; for the first picture of a size also
        the errors of `Backend.compile`.
        """
        return picture_from_frame(self.upscale_batch([frame_from_picture(picture)])[0], picture)

    def stream(self, pictures: Iterable[Any]) -> Iterator[Any]:
        """Enlarge each picture of an iterable, in order, as `upscale` does; each result is yielded before the next picture is
        read."""
        with self.sequence(batch=1, in_flight=1) as sequence:
            for picture in pictures:
                for frame in sequence.push(frame_from_picture(picture)):
                    yield picture_from_frame(frame, picture)

    def sequence(
        self, *, batch: int | None = None, in_flight: int | None = None, upscale: Upscale | None = None
    ) -> Sequence:
        """One stream of frames, to be pushed in order. Any number of sequences may share this Upscaler.

        batch: frames in a run, None for the Upscaler's own. in_flight: most batches at a time, None for as many as the backend
        wants and memory holds. upscale: enlarges the frames in place of `upscale_batch`. A network with memory takes frame by
        frame, whatever these are; planes of its results are read-only.
        """
        if self.spec.states:
            memory = StreamMemory(self.passes)

            def next_one(frames: list[Frame], in_flight: int) -> list[Frame]:
                return self._upscaled(frames, in_flight, memory.passes)

            return Sequence(next_one, lambda _frame: 1, lambda _frame: 1, memory)

        def size(frame: Frame) -> int:
            return batch or self.batch(frame.width, frame.height, on_device=frame.on_device is not None)

        first: set[Kind] = set()

        def at_once(frame: Frame) -> int:
            kind = Kind.of(frame)
            if in_flight is not None or self.on_gpu:
                return in_flight or self.network.at_once(kind)
            if kind not in first:  # With all cores it is done sooner.
                first.add(kind)
                return 1
            return self.network.at_once(kind)

        def directly(frames: list[Frame], in_flight: int) -> list[Frame]:
            return self.upscale_batch(frames, in_flight=in_flight)

        return Sequence(upscale or directly, size, at_once)

    def upscale_batch(self, frames: abc.Sequence[Frame], *, in_flight: int = 1) -> list[Frame]:
        """Enlarge frames of one size, format and colour in one run. in_flight: number of threads that call this at a time.
        Raises as `upscale`."""
        return self._upscaled(frames, in_flight, [None] * self.passes)

    def _upscaled(
        self, frames: abc.Sequence[Frame], in_flight: int, memories: abc.Sequence[Memory | None]
    ) -> list[Frame]:
        """memories: of each pass."""
        large = list(frames)
        for memory in memories if large else ():
            large = self._one_pass(large, in_flight, memory)
        return large

    def make_ready(self, kind: Kind) -> None:
        """Compile the graphs for a picture of this kind. Raises the errors of `Backend.compile`."""
        for _ in range(self.passes):
            self.network.make_ready(replace(kind, format=replace(kind.format, alpha=False)))
            if kind.format.alpha and self.spec.scale > 1:
                gray = PixelFormat("gray", kind.format.bits)
                self._alpha_network().make_ready(replace(kind, format=gray))
            width, height = kind.width * self.spec.scale, kind.height * self.spec.scale
            kind = replace(kind, width=width, height=height)

    def _kept(self, options: NetworkOptions) -> Tuned:
        """The settings that `vsr bench tune` found. If neither device nor backend is named, their device is used."""
        any_device = (options.backend, options.device) == ("auto", "auto")
        try:
            tuned = tuned_for(self.spec, self._backend.name, None if any_device else self._backend.device)
        except ConfigError as error:  # Everything works without a tuning, if slower.
            self.notes.append(f"{error.message}; not used")
            return Tuned()
        if any_device and tuned.device not in ("", self._backend.device):
            self._backend, self.notes = choose_backend(measured=tuned.device)
        return tuned if tuned.device in ("", self._backend.device) else Tuned()

    def _measured(self) -> Precision | None:
        """The fastest precision on this machine, measured now or earlier."""
        precision, measured = precision_for(self.spec, self._backend)
        if measured:
            self.notes.append(f"measured once for {self.spec.id} on this machine, and kept: {measured}")
        return precision

    def _say(self, doing: str) -> None:
        self.doing = doing

    def _one_pass(self, frames: list[Frame], in_flight: int, memory: Memory | None) -> list[Frame]:
        """Frames, larger by the model's scale."""
        kind = Kind.of(frames[0])
        pictures = [frame.on_device for frame in frames if frame.on_device]
        if len(pictures) == len(frames):
            try:
                there = self.network.run_on_device(pictures, kind, in_flight)
            except LeavesDevice as why:
                self._note_once(f"frames on the GPU pass through the host: {why}")
            else:
                return [
                    self._larger(frame, Fetched(partial(on_host, picture)), picture)
                    for frame, picture in zip(frames, there, strict=True)
                ]
        opaque = replace(kind.format, alpha=False)
        colour = [extended_colour(frame) if kind.format.alpha else frame.planes for frame in frames]
        large: list[list[Plane]] = [
            [*planes] for planes in self.network.run(colour, replace(kind, format=opaque), in_flight, memory)
        ]
        if kind.format.alpha:
            gray = replace(kind, format=PixelFormat("gray", kind.format.bits))
            small = [frame.planes[-1:] for frame in frames]
            alpha = self._alpha_network().run(small, gray, in_flight) if self.spec.scale > 1 else small
            large = [[*planes, *more] for planes, more in zip(large, alpha, strict=True)]
        return [self._larger(frame, planes) for frame, planes in zip(frames, large, strict=True)]

    def _alpha_network(self) -> Network:
        """Alpha goes through cubic enlargement: a network would draw detail into it."""
        with self._lock:
            if self._alpha is None:
                spec = find_model(f"bicubic-x{self.spec.scale}")
                # Share this Upscaler's progress callback and its `build` permission.
                compiling = replace(self._compiling, precision=None)
                self._alpha = Network(spec, self._backend, compiling, self._portion)
            return self._alpha

    def _larger(
        self, frame: Frame, planes: abc.Sequence[Plane], on_device: SemiPlanar | None = None
    ) -> Frame:
        return replace(
            frame,
            planes=planes,
            width=frame.width * self.spec.scale,
            height=frame.height * self.spec.scale,
            side=dict(frame.side),
            on_device=on_device,
        )

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)
