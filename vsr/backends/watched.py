"""Devices that no test has run on: the first frames of each engine are compared with float32, on the processor."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import DEFAULTS, Arrays, Availability, Backend, CompileOptions, Engine
from vsr.backends.guarded import MIN_PSNR_DB, GuardedEngine, compare
from vsr.core.errors import DeviceMemoryError, EngineBuildError, VsrError
from vsr.models.spec import GraphLayout, ModelSpec


class WatchedBackend:
    """`first`, and from the moment it does not compile, or the first frames of an engine fail or differ, `behind`.

    notes: gets a sentence then, with the reason. Without one behind it, that is an error. See vsr.backends.base.Backend.
    """

    def __init__(self, first: Backend, behind: Backend | None, notes: list[str]) -> None:
        self._first, self._behind, self._notes = first, behind, notes
        self._in_use = first
        self.name, self.kinds = first.name, first.kinds

    @property
    def device(self) -> str:
        return self._in_use.device

    @property
    def in_flight(self) -> int:
        return self._in_use.in_flight

    @property
    def batch(self) -> int:
        return self._in_use.batch

    def devices(self) -> dict[str, str]:
        return self._first.devices()

    def on(self, device: str) -> Backend:
        return WatchedBackend(self._first.on(device), self._behind, self._notes)

    def takes_any_size(self, spec: ModelSpec, options: CompileOptions) -> bool:
        return self._in_use.takes_any_size(spec, options)

    def probe(self) -> Availability:
        return self._in_use.probe()

    def compile(
        self,
        spec: ModelSpec,
        layout: GraphLayout,
        plane_shapes: Mapping[str, tuple[int, ...]],
        options: CompileOptions = DEFAULTS,
    ) -> Engine:
        def instead(error: VsrError) -> Engine:
            """Raises the error where there is nothing behind."""
            if self._behind is None or isinstance(error, DeviceMemoryError):
                raise error
            if self._in_use is self._first:
                self._in_use = self._behind
                self._notes.append(f"{self._first.device} not used: {error.message}")
            return self._behind.compile(spec, layout, plane_shapes, options)

        if self._in_use is not self._first:
            return self._in_use.compile(spec, layout, plane_shapes, options)
        try:
            engine = self._first.compile(spec, layout, plane_shapes, options)
        except VsrError as error:
            return instead(error)
        return _WatchedEngine(engine, spec, layout, self._first.device, options, instead)


class _WatchedEngine(GuardedEngine):
    def __init__(
        self,
        engine: Engine,
        spec: ModelSpec,
        layout: GraphLayout,
        device: str,
        options: CompileOptions,
        instead: Callable[[VsrError], Engine],
    ) -> None:
        super().__init__(spec, layout, engine.precision)
        self._engine, self._device, self._say, self._instead = engine, device, options.say, instead
        self._comparing, self._compared = threading.Lock(), False

    def outputs(self, inputs: Arrays) -> dict[str, NDArray[np.uint8]]:
        return dict(self._engine.run(inputs))

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.uint8]]:
        if not self._compared:
            with self._comparing:
                if not self._compared:
                    self._compare(inputs)
                    self._compared = True
        return super().run(inputs)

    def _compare(self, inputs: Arrays) -> None:
        self._say(f"comparing {self._device} with float32 on the processor, on the first frames")
        try:
            if fault := compare(self, [inputs]).fault(MIN_PSNR_DB[self.precision]):
                raise EngineBuildError(
                    f"{self.spec.id} in {self.precision} on {self._device} {fault}", hint="--device cpu"
                )
        except VsrError as error:
            other = self._instead(error)
            self._engine.close()
            self._engine, self.precision = other, other.precision
        finally:
            self._say("")

    def close(self) -> None:
        self._engine.close()
