"""The precision in which a network runs fastest on this machine, measured at its first use and kept in the user's cache.

There is one JSON file for each network and set of conditions that its speed depends on, `measured/KEY.json`. If nothing can be
kept, nothing is measured, because each run would spend the time again.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from math import lcm, sqrt
from pathlib import Path
from typing import Protocol, get_args, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import Arrays, Backend, CompileOptions, Engine
from vsr.backends.guarded import MIN_PSNR_DB
from vsr.backends.kept_graphs import key_of
from vsr.backends.memory import memory_of_a_still
from vsr.core.errors import ConfigError, VsrError
from vsr.core.tables import filled
from vsr.files.checks import make_folder
from vsr.files.ordinary import read_ordinary
from vsr.files.user import cache_folder
from vsr.files.whole import write_whole
from vsr.models import GraphLayout, ModelSpec, Precision

BUDGET_S = 0.3
"""For the runs; a run of each at least, however long it takes."""
_MOST_TURNS = 5
# A less exact precision must be faster by this factor, which is more than measurements differ.
_LEAST_GAIN = 1.1
# The size of a run: enough work for all cores, and a few hundredths of a second.
_MACS, _LEAST_SIDE, _MOST_SIDE = 1.5e9, 48, 160
_LAYOUT = GraphLayout("gray", 1)
# The small inputs for gray in limited range, as in `vsr.models.spec`.
_SMALL_INPUTS = {
    "gain": np.float32(1 / 255),
    "bias": np.float32(0),
    "max_code": np.float32(255),
    "luma_weights": np.array([0.587, 0.114, 0.299], np.float32),
    "chroma_gain": np.float32(1 / 224),
    "strength": np.float32(1),
}
_BY_EXACTNESS: Sequence[Precision] = get_args(Precision)


@runtime_checkable
class Measurable(Protocol):
    """A backend with several precisions to choose from; see `vsr.backends.openvino`."""

    def precisions(self, spec: ModelSpec) -> Sequence[Precision]: ...
    def facts(self) -> Mapping[str, object]: ...
    def compile(
        self,
        spec: ModelSpec,
        layout: GraphLayout,
        plane_shapes: Mapping[str, tuple[int, ...]],
        options: CompileOptions,
        /,
    ) -> Engine: ...


@dataclass(frozen=True, slots=True)
class Measured:
    """model: its id. precision: the fastest. run_ms: milliseconds of a run on a small picture, by precision. left_out:
    precisions whose picture differs from that of the most exact one."""

    model: str
    precision: Precision
    run_ms: Mapping[str, float]
    left_out: tuple[str, ...] = ()

    def __str__(self) -> str:
        runs = [f"{name} {ms:.1f} ms" for name, ms in self.run_ms.items()]
        return f"{self.precision} ({', '.join([*runs, *(f'{name} differs' for name in self.left_out)])})"


def precision_for(spec: ModelSpec, backend: Backend) -> tuple[Precision | None, Measured | None]:
    """The precision to run a network in, None if the backend should choose; and the new measurement, or None."""
    if not isinstance(backend, Measurable) or not (names := backend.precisions(spec)):
        return None, None
    if len(names) > 1:
        with contextlib.suppress(OSError, RuntimeError, VsrError):
            path = _path(spec, backend, names)
            if kept := _read(path):
                return kept.precision, None
            make_folder(path.parent)
            found = _measure(spec, backend, names)
            write_whole(path, json.dumps(asdict(found), indent=2).encode())
            return found.precision, found
    return names[0], None


def seconds_a_pixel(spec: ModelSpec, backend: Backend) -> float | None:
    """The time of a network here for each LR pixel, in its fastest precision, as it was measured at the first use; None if it
    was not."""
    if isinstance(backend, Measurable):
        with contextlib.suppress(OSError, RuntimeError, VsrError):
            if kept := _read(_path(spec, backend, backend.precisions(spec))):
                return kept.run_ms[kept.precision] / 1000 / _side(spec) ** 2
    return None


def measured_here(specs: Sequence[ModelSpec], backend: Backend) -> list[Measured]:
    """The kept measurements of these networks. Never raises."""
    found: list[Measured] = []
    if not isinstance(backend, Measurable):
        return found
    for spec in specs:
        with contextlib.suppress(OSError, RuntimeError, ImportError, VsrError):
            if kept := _read(_path(spec, backend, backend.precisions(spec))):
                found.append(kept)
    return found


def best_of(
    run: Callable[[Precision], float], names: Sequence[Precision], budget_s: float = BUDGET_S
) -> dict[Precision, float]:
    """The shortest run of each, in seconds. run: runs once, and returns the seconds. The first run of each does not count.
    The runs take turns, so that other load affects all alike."""
    spent = sum(run(name) for name in names)
    turns: list[dict[Precision, float]] = []
    while not turns or (len(turns) < _MOST_TURNS and spent + sum(turns[-1].values()) <= budget_s):
        turns.append({name: run(name) for name in names})
        spent += sum(turns[-1].values())
    return {name: min(turn[name] for turn in turns) for name in names}


def chosen(seconds: Mapping[Precision, float]) -> Precision:
    """The most exact one, unless another is faster by more than measurements differ."""
    first, *others = sorted(seconds, key=_BY_EXACTNESS.index)
    for name in others:
        if seconds[first] >= _LEAST_GAIN * seconds[name]:
            first = name
    return first


def _measure(spec: ModelSpec, backend: Measurable, names: Sequence[Precision]) -> Measured:
    """Raises as `Backend.compile` and `Engine.run`."""
    picture = _picture(spec)
    small = {name: np.asarray(value) for name, value in _SMALL_INPUTS.items()}
    inputs: Arrays = {"y": picture, **small, **memory_of_a_still(spec, _LAYOUT, {"y": picture})}

    def compiled(name: Precision) -> Engine:
        return backend.compile(spec, _LAYOUT, {"y": picture.shape}, CompileOptions(precision=name))

    with ThreadPoolExecutor(len(names), "measure") as threads:
        engines = dict(zip(names, threads.map(compiled, names), strict=True))
    pictures: dict[Precision, NDArray[np.uint8]] = {}

    def run(name: Precision) -> float:
        begun = time.perf_counter()
        pictures[name] = engines[name].run(inputs)["y_out"]
        return time.perf_counter() - begun

    try:
        seconds = best_of(run, names)
    finally:
        for engine in engines.values():
            engine.close()
    exact = pictures[min(names, key=_BY_EXACTNESS.index)]
    holding = {name: seconds[name] for name in names if _is_near(pictures[name], exact, MIN_PSNR_DB[name])}
    return Measured(
        spec.id,
        chosen(holding),
        {name: round(1000 * each, 2) for name, each in holding.items()},
        tuple(name for name in names if name not in holding),
    )


def _is_near(found: NDArray[np.uint8], exact: NDArray[np.uint8], limit_db: int) -> bool:
    return bool(np.square((found.astype(float) - exact) / 255).mean() <= 10 ** (-limit_db / 10))


def _picture(spec: ModelSpec) -> NDArray[np.uint8]:
    """A plane with the spectrum of natural pictures, and always the same."""
    side = _side(spec)
    frequencies = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequencies[0, 0] = 1
    noise = np.fft.rfft2(np.random.default_rng(0).standard_normal((side, side)))
    plane = np.fft.irfft2(noise / frequencies, (side, side))
    codes: NDArray[np.uint8] = np.clip(128 + 40 * plane / plane.std(), 0, 255).astype(np.uint8)
    return codes[None, None]


def _side(spec: ModelSpec) -> int:
    """Of the picture that a network is measured on."""
    step = lcm(8, spec.size_multiple)
    side = min(_MOST_SIDE, max(_LEAST_SIDE, sqrt(_MACS / max(1, spec.macs_per_pixel))))
    return -(-int(side) // step) * step


def _read(path: Path) -> Measured | None:
    """None for a missing or damaged file."""
    with contextlib.suppress(OSError, ValueError, TypeError, AttributeError, RecursionError, ConfigError):
        return filled(Measured, json.loads(read_ordinary(path)))
    return None


def _path(spec: ModelSpec, backend: Measurable, names: Sequence[Precision]) -> Path:
    facts = {**backend.facts(), "package": spec.numbers_hash, "precisions": names}
    return cache_folder() / "measured" / f"{key_of(facts)}.json"
