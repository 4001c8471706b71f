"""The interface of every backend."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from vsr.backends.devices import listed
from vsr.core import errors
from vsr.core.errors import ConfigError, DeviceMemoryError
from vsr.models.spec import CALIBRATED, GraphLayout, ModelSpec, Precision

Arrays = Mapping[str, NDArray[np.generic]]


Steps = Mapping[str, Callable[[], float | None]]
"""The existing steps of "copy in", "compute" and "copy out", in this order. Each may be repeated, and runs to its end. It
returns the milliseconds that a GPU took, None where none was at work or none were measured."""

NOT_FINITE = "not_finite"
"""An output that counts samples of a network that are infinite or not a number; see vsr.backends.guarded."""

# Frames in progress on a GPU: one is copied in, one computed, one copied out.
IN_FLIGHT = 3


class Engine(ABC):
    """A frame graph compiled for planes of fixed shapes, or of any; a context manager. Used by as many threads at a time as its
    backend says: on a GPU, one frame is copied while another is computed. No engine remembers anything: the memory of a network
    that has one belongs to the stream (`vsr.upscale.recurrent`), and any number of streams may share an engine."""

    precision: Precision

    @abstractmethod
    def run(self, inputs: Arrays) -> dict[str, NDArray[np.uint8]]:
        """Planes, memory and small inputs in, as `vsr.models.spec` names them; new arrays out, the caller's to keep. Raises
        InferenceError, DeviceMemoryError."""

    @contextmanager
    def steps(self, inputs: Arrays) -> Generator[Steps]:
        """The steps of `run` with these inputs, to be timed one by one: see Steps. None if they cannot be separated. Raises
        as `run`."""
        yield {}

    def close(self) -> None:  # noqa: B027 - most runtimes let go by themselves
        """Free the resources of the runtime."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Availability:
    """Whether a backend can run here; `reason` says why not, or names its device; `remedy` says how to make it run;
    `on_gpu`: whether it runs on a GPU."""

    usable: bool
    reason: str
    remedy: str = ""
    on_gpu: bool = False


def not_there(device: str, devices: Mapping[str, str]) -> Availability:
    """The answer of a backend that sees `devices`, but not the requested `device`."""
    return Availability(False, f"it sees no {device}", f"it sees {listed(devices)}")


@dataclass(frozen=True, slots=True)
class CompileOptions:
    """How a graph is compiled.

    threads: 0 for all cores. precision: of the network, None for the device's fastest. build: whether a missing engine may be
    built, for backends that store engines. say: gets the name of a long step, and "" at its end. in_flight: number of threads
    that will run the engine at once; a processor is divided among them. stills: for pictures, which may have any number of
    sizes.
    """

    threads: int = 0
    precision: Precision | None = None
    build: bool = True
    say: Callable[[str], None] = lambda _doing: None
    in_flight: int = 1
    stills: bool = False


DEFAULTS = CompileOptions()


def chosen_precision(spec: ModelSpec, wanted: Precision | None, offered: Sequence[Precision]) -> Precision:
    """The precision among `offered`, the fastest first, for a network. Raises ConfigError if the wanted one is not possible."""
    if spec.precision == "fp32":
        if wanted not in (None, "fp32"):
            raise ConfigError(f"{spec.id} needs fp32, not {wanted}", hint="--precision fp32")
        if "fp32" not in offered:
            raise ConfigError(
                f"{spec.id} needs fp32, which this device does not compute in", hint="--device cpu"
            )
        return "fp32"
    offered = [precision for precision in offered if precision not in CALIBRATED or spec.calibration]
    if wanted in CALIBRATED and not spec.calibration:
        raise ConfigError(
            f"{spec.id} is not calibrated for {wanted}",
            hint="`vsr model export --calibrate` makes packages that are",
        )
    if wanted is not None and wanted not in offered:
        raise ConfigError(
            f"this backend does not compute in {wanted}",
            hint=f"it does in {', '.join(offered)}; `vsr doctor` shows the other backends",
        )
    return wanted or unasked_precisions(spec, offered)[0]


def unasked_precisions(spec: ModelSpec, offered: Sequence[Precision]) -> list[Precision]:
    """The precisions in `offered` that a network may be computed in if the user names none."""
    if spec.precision == "fp32":
        return [precision for precision in offered if precision == "fp32"]
    if spec.precision == "shown":
        return [precision for precision in offered if precision in ("fp32", *spec.holds)]
    return [precision for precision in offered if precision not in CALIBRATED or spec.calibration]


def out_of_memory(where: str = "here") -> DeviceMemoryError:
    """The error to raise where there is none left; smaller tiles are tried then, and it is shown where none are left to try."""
    return errors.out_of_memory(f"{where} to run the network, even on small tiles")


class Backend(Protocol):
    """One runtime, on one device. kinds: of the devices that it can run on anywhere, the one it prefers first."""

    name: str
    kinds: tuple[str, ...]

    @property
    def device(self) -> str:
        """The device it runs on, by its full name: cpu, gpu:0, cuda:1, npu."""

    @property
    def in_flight(self) -> int:
        """The number of threads that should run one of its engines at once, and the most that may."""

    @property
    def batch(self) -> int:
        """How many frames should go in one run, of a size up to 1280x720."""

    def devices(self) -> dict[str, str]:
        """The devices here that it sees, by their full names, and what each is. Never raises."""

    def on(self, device: str) -> Backend:
        """The same runtime on another device, of one of its kinds, by its full name; whether it is here, `probe` says."""

    def takes_any_size(self, spec: ModelSpec, options: CompileOptions) -> bool:
        """Whether an engine for stills may be compiled for any size, and makes the codes of one for the size itself."""

    def probe(self) -> Availability:
        """Look whether it runs here. Never raises, imports the runtime only if it is there."""

    def compile(
        self,
        spec: ModelSpec,
        layout: GraphLayout,
        plane_shapes: Mapping[str, tuple[int, ...]],
        options: CompileOptions = DEFAULTS,
    ) -> Engine:
        """Compile one graph for input planes of these shapes (N, 1, h, w x bytes); h and w are -1 for any.

        Raises ConfigError for a precision that is not to be had, WeightsError, MissingDependencyError, EngineBuildError,
        FileError for an engine that cannot be kept, DeviceMemoryError;
        EngineNotFoundError and EngineStaleError where there is none and none may be built.
        """
