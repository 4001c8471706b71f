"""The networks a stream may use, compiled and measured, and which of them is in use."""

from __future__ import annotations

import statistics
import threading
from collections import Counter
from dataclasses import dataclass

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.errors import ConfigError, VsrError
from vsr.core.frame import Frame, Reset
from vsr.live.choices import choices
from vsr.live.config import StreamConfig
from vsr.live.ladder import Ladder
from vsr.live.networks import Networks, SharedNetwork
from vsr.upscale.options import NetworkOptions

# Each network is measured for this time, and at least this number of times.
_MEASURE_S = 0.25
_LEAST_RUNS = 3
# The part of the frame interval that a network may take: decoding, encoding and other programs need the rest. At the start
# networks are measured while nothing else runs, later beside the stream.
_ROOM_AT_START = 0.6
_ROOM = 0.7
# A network that would, by its size, take this many times the time between two frames is not tried.
_HOPELESS = 3.0
# How long the end waits for a network that is being compiled.
_END_S = 5.0


@dataclass(frozen=True, slots=True)
class Measured:
    """A network and its time for a frame, in milliseconds; None if it was not measured."""

    model: str
    cost_ms: float | None


@dataclass(frozen=True, slots=True)
class _Found:
    """The result of measuring beside the stream: the heaviest rung that fits, and the seconds of all runs."""

    ladder: Ladder
    best: int
    took_s: float


class Rungs:
    """Upscalers of one scale, heaviest first. `upscale` is for one thread, the rest for any.

    The stream goes through a Lane of each network; measuring does not touch it. share: the stream's share of the device, which
    `upscale` is called with.
    """

    def __init__(
        self,
        config: StreamConfig,
        networks: Networks | None = None,
        clock: Clock = SYSTEM_CLOCK,
        *,
        weight: float = 1.0,
    ) -> None:
        """networks: shared with other streams. weight: of this stream beside them.

        Raises ConfigError where there is no network of that scale, and what Upscaler raises.
        """
        self._clock = clock
        self._networks = networks or Networks(clock=clock)
        network = config.network
        self._taken: list[NetworkOptions] = []
        try:
            made = [self._take(options) for options in choices(network)]
            scale = network.scale or made[0].upscaler.scale
            self._shared = [shared for shared in made if shared.upscaler.scale == scale]
            if not self._shared:
                raise ConfigError(
                    f"{network.model} enlarges by {made[0].upscaler.scale}, not by {scale:g}",
                    hint=f"--scale {made[0].upscaler.scale}, or another --model",
                )
        except BaseException:
            self._give_back()
            raise
        self._upscalers = [shared.upscaler for shared in self._shared]
        self._lanes = [shared.lane() for shared in self._shared]
        self.share = self._networks.turns(self._shared[0]).join(weight)
        self.backend = made[0].upscaler.backend
        self._notes: list[str] = []
        self.measured = [Measured(upscaler.spec.id, None) for upscaler in self._upscalers]
        self.pinned = len(self._upscalers) == 1
        self.resets = Counter[str]()
        """How often the memory of a network began again, by reason."""
        self._budget_s = config.max_latency_s
        # The shortest time a frame took, by network.
        self._least_s: dict[int, float] = {}
        self._ladder: Ladder | None = None
        self._found: _Found | None = None
        self._measurer: threading.Thread | None = None
        self._closing = False
        # The stream's last frame, to measure with.
        self._frame: Frame | None = None
        self._lock = threading.Lock()
        self._rung = 0
        # The network that upscaled the last frame.
        self._last: int | None = None

    @property
    def model(self) -> str:
        """The id of the network in use."""
        return self._upscalers[self._rung].spec.id

    @property
    def notes(self) -> list[str]:
        """How backend and device were chosen, why they were changed, and why no heavier network is tried."""
        said = [note for upscaler in self._upscalers for note in upscaler.notes]
        return list(dict.fromkeys([*said, *self._notes]))

    @property
    def device(self) -> str:
        """The device of the network in use."""
        return self._upscalers[self._rung].device

    @property
    def precision(self) -> str:
        return self._upscalers[self._rung].precision

    @property
    def prepared(self) -> bool:
        return self._ladder is not None

    def prepare(self, frame: Frame, interval_s: float) -> None:
        """Compile for frames like that one, and choose the heaviest network that leaves room, by measuring.

        Raises ConfigError where, at the start, every frame would be too old when it goes out.
        """
        lightest = len(self._upscalers) - 1
        self.measured = [Measured(upscaler.spec.id, None) for upscaler in self._upscalers]
        first, _ = self._measure_up(lightest + 1, frame, interval_s * self.share.part, _ROOM_AT_START)
        chosen = min(first, lightest)
        if self._ladder is None and self._least_s.get(chosen, 0.0) > self._budget_s:
            raise ConfigError(
                f"{self._upscalers[chosen].spec.id} needs {1000 * self._least_s[chosen]:.0f} ms for a frame here, and no "
                f"picture may be older than {1000 * self._budget_s:.0f} ms",
                hint="give a longer --max-latency" + (" or a lighter --model" if self.pinned else ""),
            )
        spec = self._upscalers[chosen].spec
        if spec.states and not self.pinned:
            self._notes.append(f"model {spec.id}, which has a memory: measured to be fast enough")
        with self._lock:
            self._ladder = Ladder(len(self._upscalers), chosen)
            self._rung = self._ladder.rung
            self._tell_needs(interval_s)

    def _tell_needs(self, interval_s: float) -> None:
        """Tell the other streams on the device how much of it this one needs."""
        assert self._ladder is not None
        cost_s, measured = self._ladder.cost_s, self.measured[self._rung].cost_ms
        if cost_s is None and measured is not None:
            cost_s = measured / 1000
        if cost_s is not None:
            self.share.needs = cost_s / interval_s

    def _measure_up(self, above: int, frame: Frame, interval_s: float, room: float) -> tuple[int, float]:
        """Measure the networks heavier than number `above`, lightest first, up to one that takes more than `room` of the
        interval, the time that there is for a frame: (the heaviest that fits, else `above`; seconds all runs took)."""
        best, spent_s, cost_s = above, 0.0, 0.0
        for place in reversed(range(above)):
            hopeless_s = _HOPELESS * interval_s
            if self._closing or self._guess(place, cost_s) > hopeless_s:
                break
            times = self._times(place, frame, hopeless_s)
            spent_s, cost_s = spent_s + sum(times), statistics.median(times)
            self._least_s[place] = min(times)
            self.measured[place] = Measured(self._upscalers[place].spec.id, round(1000 * cost_s, 2))
            if cost_s > room * interval_s:
                break
            best = place
        return best, spent_s

    def _guess(self, place: int, cost_s: float) -> float:
        """The least seconds for a frame, by the time of the next lighter network; 0 if unknown."""
        known = place + 1
        if not cost_s or known >= len(self._upscalers) - 1:
            return 0.0
        # The time of small networks does not follow their multiply-adds.
        ratio = self._upscalers[place].spec.macs_per_pixel / self._upscalers[known].spec.macs_per_pixel
        return cost_s * ratio / 4

    def _times(self, place: int, frame: Frame, hopeless_s: float) -> list[float]:
        """Seconds of some runs. One of several networks, if it takes longer than `hopeless_s`, runs once."""
        shared = self._shared[place]
        shared.upscale(frame)  # compiles the network
        times: list[float] = []
        # For a single network a few runs are enough: the stream waits for it.
        end = self._clock.now() + (0.0 if self.pinned else _MEASURE_S)
        while len(times) < _LEAST_RUNS or self._clock.now() < end:
            with self.share.turn():
                started = self._clock.now()
                _, own_s = shared.upscale(frame)
                times.append(self._clock.now() - started if own_s is None else own_s)
            if (times[0] > hopeless_s and not self.pinned) or self._closing:
                break
        return times

    def upscale(self, frame: Frame) -> tuple[Frame, str, float]:
        """(the larger frame, the model's name, seconds it took) for the stream's next frame. The stream has its turn."""
        rung = self._rung
        if rung != self._last and self._last is not None and frame.starts is None:
            frame.starts = Reset.NETWORK
        self._last, self._frame = rung, frame
        started = self._clock.now()
        large, own_s = self._lanes[rung].push(frame)
        if large.starts is not None and self._upscalers[rung].spec.states:
            self.resets[large.starts.value] += 1
        seconds = self._clock.now() - started
        with self._lock:
            if self._ladder is not None:
                self._ladder.worked(self._clock.now(), seconds if own_s is None else own_s)
        return large, self._upscalers[rung].spec.id, seconds

    def dropped(self, count: int) -> None:
        """Report a number of frames that were too late."""
        with self._lock:
            if self._ladder is not None:
                self._ladder.dropped(self._clock.now(), count)

    def step(self, interval_s: float) -> tuple[str, str, str] | None:
        """Change the network if needed: (the previous network, the new one, the reason). Heavier networks are measured beside
        the stream, on a thread of their own."""
        now = self._clock.now()
        with self._lock:
            ladder, found = self._ladder, self._found
            if ladder is None:
                return None
            available_s = interval_s * self.share.part
            step = ladder.step(now, available_s)
            if found is not None:
                self._found = None
                if found.ladder is ladder:
                    step = step or ladder.measured(now, found.best, found.took_s)
            if step is not None:
                self._rung = step.after
            self._tell_needs(interval_s)
            if (
                step is None
                and ladder.wants_measuring(now)
                and not (self._measurer and self._measurer.is_alive())
            ):
                self._measurer = threading.Thread(
                    target=self._measure_above, args=(ladder, available_s), name="vsr-measure", daemon=True
                )
                self._measurer.start()
        return None if step is None else (self._name(step.before), self._name(step.after), step.why)

    def _name(self, place: int) -> str:
        return self._upscalers[place].spec.id

    def _measure_above(self, ladder: Ladder, interval_s: float) -> None:
        """Measure the networks heavier than the current one, for the next `step`."""
        best, took_s = ladder.rung, 0.0
        assert self._frame is not None
        try:
            best, took_s = self._measure_up(best, self._frame, interval_s, _ROOM)
        except VsrError as error:  # The stream goes on with the network that works.
            note = f"no heavier network than {self._name(best)}: {error.message}"
            if note not in self._notes:
                self._notes.append(note)
        finally:
            with self._lock:
                self._found = _Found(ladder, best, took_s)

    def close(self) -> None:
        self._closing = True
        self.share.leave()
        if self._measurer is not None:
            self._measurer.join(_END_S)
            if self._measurer.is_alive():  # Compiling cannot be interrupted.
                threading.Thread(target=self._release, name="vsr-release", daemon=True).start()
                return
        self._release()

    def _release(self) -> None:
        """Let go of the networks once they are not measured any more."""
        if self._measurer is not None:
            self._measurer.join()
        for lane in self._lanes:
            lane.close()
        self._give_back()

    def _take(self, options: NetworkOptions) -> SharedNetwork:
        shared = self._networks.take(options)
        self._taken.append(options)
        return shared

    def _give_back(self) -> None:
        while self._taken:
            self._networks.give_back(self._taken.pop())
