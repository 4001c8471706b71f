"""The networks a stream may use, compiled and measured, and which of them is in use."""

from __future__ import annotations

import statistics
import threading
from dataclasses import dataclass, replace

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.errors import ConfigError
from vsr.core.frame import Frame, Reset
from vsr.live.config import StreamConfig
from vsr.live.ladder import Ladder, Step
from vsr.models.registry import find_model
from vsr.models.spec import CALIBRATED, Precision
from vsr.upscale.options import NetworkOptions
from vsr.upscale.pool import UpscalerPool

# From the heaviest to the one that always keeps up.
_FAMILIES = ("quality", "balanced", "fast", "bicubic")
# Each network is measured for so long, and at least so many times.
_MEASURE_S = 0.25
_LEAST_RUNS = 3
# The part of the time between two frames that a network may take at the start. Decoding, encoding and other programs need the
# rest.
_ROOM = 0.6
# A network that would, by its size, take this many times the time between two frames is not tried.
_HOPELESS = 3.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A network and what a frame costs on it, in milliseconds; None where it was not tried."""

    model: str
    cost_ms: float | None


class Rungs:
    """Upscalers of one scale, heaviest first. `upscale` is for one thread, the rest for any.

    The stream goes through a Sequence of each network; measuring does not touch it.
    """

    def __init__(self, config: StreamConfig, clock: Clock = SYSTEM_CLOCK) -> None:
        """Raises ConfigError where there is no network of that scale, and what Upscaler raises."""
        self._clock = clock
        network = config.network
        names = _FAMILIES if network.model == "auto" else (network.model,)
        self._pool = UpscalerPool()
        made = [
            self._pool.upscaler(replace(network, model=name, precision=_precision(name, network)))
            for name in names
        ]
        scale = network.scale or made[0].scale
        self._upscalers = [upscaler for upscaler in made if upscaler.scale == scale]
        if not self._upscalers:
            raise ConfigError(
                f"{network.model} enlarges by {made[0].scale}, not by {scale:g}",
                hint=f"--scale {made[0].scale}, or another --model",
            )
        self._sequences = [upscaler.sequence(batch=1, in_flight=1) for upscaler in self._upscalers]
        self.backend = made[0].backend
        self.notes = list(made[0].notes)
        self.measured = [Measured(upscaler.spec.id, None) for upscaler in self._upscalers]
        self.pinned = len(self._upscalers) == 1
        self._ladder: Ladder | None = None
        self._top = 0
        self._lock = threading.Lock()
        self._rung = 0
        # The one that upscaled the last frame.
        self._last: int | None = None

    @property
    def model(self) -> str:
        """The one in use."""
        return self._upscalers[self._rung].spec.id

    @property
    def precision(self) -> str:
        return self._upscalers[self._rung].precision

    @property
    def prepared(self) -> bool:
        return self._ladder is not None

    def prepare(self, frame: Frame, interval_s: float) -> None:
        """Compile for frames like that one, and choose the heaviest network that leaves room, by measuring."""
        costs: dict[int, float] = {}
        for place in reversed(range(len(self._upscalers))):
            if costs and self._guess(place, costs) > _HOPELESS * interval_s:
                break
            costs[place] = self._measure(place, frame, _HOPELESS * interval_s)
            if costs[place] > _ROOM * interval_s:
                break
        fitting = [place for place, cost in costs.items() if cost <= _ROOM * interval_s]
        first = min(fitting, default=len(self._upscalers) - 1)
        self._top = min(costs)
        self.measured = [
            Measured(upscaler.spec.id, round(1000 * costs[place], 2) if place in costs else None)
            for place, upscaler in enumerate(self._upscalers)
        ]
        with self._lock:
            self._ladder = Ladder([costs[place] for place in sorted(costs)], first - self._top)
            self._rung = first

    def _guess(self, place: int, costs: dict[int, float]) -> float:
        known = min(costs)
        ratio = self._upscalers[place].spec.macs_per_pixel / self._upscalers[known].spec.macs_per_pixel
        # Small networks are not bound by their multiply-adds.
        return costs[known] * ratio / 4 if known < len(self._upscalers) - 1 else 0.0

    def _measure(self, place: int, frame: Frame, hopeless_s: float) -> float:
        """Seconds a frame takes. One that takes longer than `hopeless_s` is measured once."""
        upscaler = self._upscalers[place]
        upscaler.upscale(frame)  # compiles
        times: list[float] = []
        # For a single network a few runs are enough: the stream waits for it.
        end = self._clock.now() + (0.0 if self.pinned else _MEASURE_S)
        while len(times) < _LEAST_RUNS or self._clock.now() < end:
            started = self._clock.now()
            upscaler.upscale(frame)
            times.append(self._clock.now() - started)
            if times[0] > hopeless_s:
                break
        return statistics.median(times)

    def upscale(self, frame: Frame) -> tuple[Frame, str, float]:
        """(the larger frame, the model's name, seconds it took) for the stream's next frame."""
        rung = self._rung
        if rung != self._last and self._last is not None and frame.starts is None:
            frame.starts = Reset.NETWORK
        self._last = rung
        started = self._clock.now()
        (large,) = self._sequences[rung].push(frame)
        seconds = self._clock.now() - started
        with self._lock:
            if self._ladder is not None:
                self._ladder.worked(self._clock.now(), seconds)
        return large, self._upscalers[rung].spec.id, seconds

    def dropped(self, count: int) -> None:
        """Report that so many frames were too late."""
        with self._lock:
            if self._ladder is not None:
                self._ladder.dropped(self._clock.now(), count)

    def step(self, interval_s: float) -> tuple[str, str, str] | None:
        """Change the network where that is called for: (the one before, the one now, why)."""
        with self._lock:
            step: Step | None = self._ladder.step(self._clock.now(), interval_s) if self._ladder else None
            if step is None:
                return None
            self._rung = self._top + step.after
        return self.measured[self._top + step.before].model, self.model, step.why

    def close(self) -> None:
        for sequence in self._sequences:
            sequence.close()
        self._pool.close()


def _precision(name: str, network: NetworkOptions) -> Precision | None:
    """The precision asked for. None, the fastest, for a network of the ladder that does not have it."""
    spec = find_model(name, network.scale or 2.0)
    cannot = spec.precision == "fp32" or (network.precision in CALIBRATED and not spec.calibration)
    return None if network.model == "auto" and cannot else network.precision
