"""A network: planes in, larger planes out."""

from __future__ import annotations

import math
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import Backend, CompileOptions, Steps
from vsr.backends.memory import memory_of_a_still
from vsr.core.errors import WeightsError
from vsr.core.frame import PixelFormat, Plane, SemiPlanar
from vsr.media.frames.enlarge import enlarged_chroma, is_enlarged_closely
from vsr.models import GraphLayout, ModelSpec
from vsr.models.spec import KEEP
from vsr.upscale.engine_cache import EngineCache, Shapes
from vsr.upscale.graph_inputs import small_inputs
from vsr.upscale.memory import Portion, most_at_once
from vsr.upscale.on_device import LeavesDevice, run_on_device
from vsr.upscale.planes import Kind, cut, padded, paste, stacked
from vsr.upscale.recurrent import Memory
from vsr.upscale.tiles import TilePlan, Window

# A frame of more LR pixels is cut into tiles: the widest shipped network then needs about a gigabyte.
_MAX_PIXELS = 2_500_000
_DEFAULT_TILE = 1024
# A side that becomes longer than this is cut, too, however narrow the picture: grids of GPU kernels end at 65535 rows.
_MAX_ROWS = 64_000


class Network:
    """One model on one backend, whose engines it compiles as planes need them. For any number of threads.

    portion: how much goes through at a time; shared by networks that learn from each other where memory is short. in_flight:
    pictures that should be under way, None for as many as the backend wants. strength: 0..1, of a network in colour.
    """

    def __init__(
        self,
        spec: ModelSpec,
        backend: Backend,
        options: CompileOptions,
        portion: Portion,
        in_flight: int | None = None,
        strength: float = 1.0,
    ) -> None:
        self.spec = spec
        self._strength = strength
        self._portion = portion
        self._wanted_in_flight = in_flight
        self._backend = backend
        self._engines = EngineCache(backend, spec, options)
        portion.when_short(self._engines.drop_idle)

    @property
    def precision(self) -> str:
        """The precision of the convolutions, empty before the first run."""
        return self._engines.precision

    @property
    def compile_s(self) -> float:
        """Seconds that compiling engines took so far."""
        return self._engines.compile_s

    @property
    def compiled(self) -> list[Shapes]:
        """Shapes of the planes that each engine there is takes."""
        return self._engines.compiled

    def expect(self, streams: int) -> None:
        """Keep engines for that number of streams, which may all have different sizes."""
        self._engines.expect(streams)

    def at_once(self, kind: Kind) -> int:
        """The number of pictures that should be in progress: as many as the backend wants, if memory holds them."""
        width, height = self._plan(kind).window_size
        bytes_per_pixel = kind.format.num_planes * kind.format.bytes_per_sample
        wanted = self._wanted_in_flight or self._backend.in_flight
        larger = kind.width * kind.height * self.spec.scale**2
        return most_at_once(wanted, width * height, larger * bytes_per_pixel)

    def close(self) -> None:
        """Free the engines. Closing twice does nothing."""
        self._engines.close()

    def run(
        self,
        pictures: Sequence[Sequence[Plane]],
        kind: Kind,
        in_flight: int = 1,
        memory: Memory | None = None,
    ) -> list[list[NDArray[np.uint8]]]:
        """The planes of each picture, `spec.scale` times as wide and as high; see Plane.

        kind: of all pictures, without alpha. in_flight: number of threads that call this at a time. memory: for a network with
        memory and the next frame of a stream, which is a single picture; it holds that frame afterwards, unless an error is
        raised. Without it, a sequence begins with each picture. Large pictures are cut into tiles, and sides are padded as the
        network needs it; neither is visible. Raises WeightsError for a package with another scale, InferenceError,
        DeviceMemoryError; for the first picture of a size what `Backend.compile` raises.
        """
        if not self._enlarges_chroma_apart(kind):
            return self._portion.run(
                lambda part: self._run(part, kind, in_flight, memory), pictures, kind, self._plan
            )
        luma = self.run([planes[:1] for planes in pictures], _luma(kind), in_flight, memory)
        return [
            large + self._large_chroma(planes[1:], kind) for large, planes in zip(luma, pictures, strict=True)
        ]

    def run_on_device(
        self, pictures: Sequence[SemiPlanar], kind: Kind, in_flight: int = 1
    ) -> list[SemiPlanar]:
        """The same for pictures that stay on their device. Raises also LeavesDevice, where they cannot."""
        if self.spec.states:
            raise LeavesDevice(f"the memory of {self.spec.id} lies there")
        return self._portion.run(
            lambda part: run_on_device(
                self._engines, self._plan(kind), part, kind, in_flight, self._strength
            ),
            pictures,
            kind,
            self._plan,
        )

    def make_ready(self, kind: Kind) -> None:
        """Compile what `run` takes for a single picture that is under way alone. Raises what `Backend.compile` raises."""
        if self._enlarges_chroma_apart(kind):
            kind = _luma(kind)
        plan, unit = self._plan(kind), kind.format.bytes_per_sample
        layout = GraphLayout.of(kind.format, kind.color)
        width, height = plan.window_size
        shapes = {
            name: (1, 1, height >> shift[1], (width >> shift[0]) * unit)
            for name, shift in zip(layout.plane_names, _shifts(kind.format), strict=True)
        }
        with self._engines.taken(layout, shapes, 1 if plan.whole else self.at_once(kind)):
            pass

    def _run(
        self, pictures: Sequence[Sequence[Plane]], kind: Kind, in_flight: int, memory: Memory | None
    ) -> list[list[NDArray[np.uint8]]]:
        scale, unit, plan = self.spec.scale, kind.format.bytes_per_sample, self._plan(kind)
        names = (layout := GraphLayout.of(kind.format, kind.color)).plane_names
        shifts = _shifts(kind.format)
        whole = _whole(pictures, plan, kind)
        if memory is not None and "input" in self.spec.states:  # The caller's planes may change.
            whole |= {name: np.array(whole[name]) for name in layout.luma_names}
        before = (memory or Memory()).inputs(self.spec, layout, whole, kind)
        small = small_inputs(kind.format, kind.color, self._strength)

        def enlarged(window: tuple[Window, Window], at_once: int) -> list[NDArray[np.uint8]]:
            parts = _parts(whole, window, kind)
            shapes = {name: part.shape for name, part in parts.items()}
            with self._engines.taken(layout, shapes, at_once) as engine:
                outputs = engine.run({**small, **parts, **_memory_parts(before, window, unit, scale)})
            larger = [outputs[f"{name}_out"] for name in names]
            self._check_scale(layout, parts, larger)
            return larger

        def fill_in(window: tuple[Window, Window], at_once: int) -> None:
            for result, part, shift in zip(large, enlarged(window, at_once), shifts, strict=True):
                paste(result, part, *window, shift, unit, scale)

        if plan.whole:
            (window,) = plan
            large = enlarged(window, in_flight)
        else:
            large = [
                np.empty((len(p), 1, p.shape[2] * scale, p.shape[3] * scale), np.uint8)
                for p in whole.values()
            ]
            # If only one picture is in progress, its tiles are computed side by side.
            together = 1 if in_flight > 1 else self.at_once(kind)
            with ThreadPoolExecutor(together, "tile") as tiles:
                for _ in tiles.map(lambda window: fill_in(window, max(in_flight, together)), plan):
                    pass
        if memory is not None:
            memory.keep(self.spec, layout, whole, dict(zip(names, large, strict=True)), kind)
            large = [_read_only(plane) for plane in large]
        sizes = [
            kind.format.plane_size(number, kind.width * scale, kind.height * scale)
            for number in range(len(names))
        ]
        return [
            [
                plane[number, 0, :height, : width * unit]
                for plane, (width, height) in zip(large, sizes, strict=True)
            ]
            for number in range(len(pictures))
        ]

    @contextmanager
    def steps(self, planes: Sequence[Plane], kind: Kind) -> Generator[Steps]:
        """The steps of `run` for one picture, to be timed one by one: the steps of `Engine.steps`, and "chroma" if it is
        enlarged beside the network. None for pictures that are cut into tiles. Raises as `run`."""
        plan = self._plan(kind)
        if not plan.whole:
            yield {}
            return
        if self._enlarges_chroma_apart(kind):

            def chroma() -> None:
                self._large_chroma(planes[1:], kind)

            with self.steps(planes[:1], _luma(kind)) as steps:
                yield {**steps, "chroma": chroma} if steps else {}
            return
        (window,) = plan

        def taken_up() -> dict[str, NDArray[np.uint8]]:
            return _parts(_whole([planes], plan, kind), window, kind)

        layout, inputs = GraphLayout.of(kind.format, kind.color), taken_up()
        with (
            self._engines.taken(layout, {name: part.shape for name, part in inputs.items()}, 1) as engine,
            engine.steps(
                {
                    **small_inputs(kind.format, kind.color, self._strength),
                    **inputs,
                    **memory_of_a_still(self.spec, layout, inputs),
                }
            ) as steps,
        ):

            def copy_in() -> float | None:
                taken_up()
                return steps["copy in"]()

            yield {**steps, "copy in": copy_in} if "copy in" in steps else {}

    def _enlarges_chroma_apart(self, kind: Kind) -> bool:
        """Whether chroma goes through swscale, beside a network on luma: on a processor, where that is close enough."""
        return (
            self.spec.domain == "luma"
            and self._backend.device == "cpu"
            and kind.format.kind == "yuv"
            and is_enlarged_closely(kind.format.bits, self.spec.scale)
        )

    def _large_chroma(self, planes: Sequence[Plane], kind: Kind) -> list[NDArray[np.uint8]]:
        scale, siting = self.spec.scale, GraphLayout.of(kind.format, kind.color).siting
        large = enlarged_chroma(planes, kind.format.bits, scale, (siting != "center", siting == "topleft"))
        # The last sample of chroma may belong to a single sample of luma; the larger picture then needs only a part of it.
        width, height = kind.format.plane_size(1, kind.width * scale, kind.height * scale)
        return [plane[:height, : width * kind.format.bytes_per_sample] for plane in large]

    def _check_scale(
        self, layout: GraphLayout, parts: Mapping[str, NDArray[np.uint8]], larger: Sequence[NDArray[np.uint8]]
    ) -> None:
        for (name, part), result in zip(parts.items(), larger, strict=True):
            expected = (*part.shape[:2], part.shape[2] * self.spec.scale, part.shape[3] * self.spec.scale)
            if result.shape != expected:
                raise WeightsError(
                    f"model package {self.spec.id}: {layout.name}.onnx makes {name}_out of {_by(result)} samples from "
                    f"{_by(part)}; expected {self.spec.scale} times as many a side, as its model.toml says",
                    hint="correct scale in model.toml, or make the package again",
                )

    def _plan(self, kind: Kind) -> TilePlan:
        log2_chroma = kind.format.log2_chroma
        multiple = math.lcm(self.spec.size_multiple, *(1 << log2 for log2 in log2_chroma))
        width, height = -(-kind.width // multiple) * multiple, -(-kind.height // multiple) * multiple
        # The resize of chroma reaches two chroma samples to each side.
        halo = max(self.spec.halo, 2 << max(log2_chroma))
        tile, longest, most = self._portion.tile, max(width, height), _MAX_ROWS // self.spec.scale
        if tile is None:
            tile = _DEFAULT_TILE if width * height > _MAX_PIXELS or longest > most else 0
        return TilePlan(width, height, min(tile or longest, most), halo, multiple)


def _luma(kind: Kind) -> Kind:
    return replace(kind, format=PixelFormat("gray", kind.format.bits))


def _shifts(format: PixelFormat) -> list[tuple[int, int]]:
    """(log2 of width, log2 of height) by which each plane except alpha is smaller than the first."""
    chroma = format.log2_chroma
    return {"gray": [(0, 0)], "rgb": [(0, 0)] * 3, "yuv": [(0, 0), chroma, chroma]}[format.kind]


def _whole(pictures: Sequence[Sequence[Plane]], plan: TilePlan, kind: Kind) -> dict[str, NDArray[np.uint8]]:
    """The planes of all pictures, by name, stacked and padded."""
    names = GraphLayout.of(kind.format, kind.color).plane_names
    return {
        name: padded(
            stacked([picture[number] for picture in pictures]),
            plan.width >> shift[0],
            plan.height >> shift[1],
            kind.format.bytes_per_sample,
        )
        for number, (name, shift) in enumerate(zip(names, _shifts(kind.format), strict=True))
    }


def _parts(
    whole: Mapping[str, NDArray[np.uint8]], window: tuple[Window, Window], kind: Kind
) -> dict[str, NDArray[np.uint8]]:
    """The parts of the planes inside a window."""
    return {
        name: np.ascontiguousarray(cut(plane, *window, shift, kind.format.bytes_per_sample))
        for (name, plane), shift in zip(whole.items(), _shifts(kind.format), strict=True)
    }


def _memory_parts(
    before: Mapping[str, NDArray[Any]], window: tuple[Window, Window], unit: int, scale: int
) -> dict[str, NDArray[Any]]:
    """The parts of a memory inside a window, by input of the graph."""
    return {
        name: plane
        if name == KEEP
        else np.ascontiguousarray(
            cut(plane, *window, (0, 0), unit, scale if name.endswith("_out_before") else 1)
        )
        for name, plane in before.items()
    }


def _read_only(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A view for the caller of a plane that is remembered."""
    view = plane.view()
    view.flags.writeable = False
    return view


def _by(plane: NDArray[np.uint8]) -> str:
    return f"{plane.shape[3]}x{plane.shape[2]}"
