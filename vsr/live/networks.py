"""Compiled networks that the streams of a process share, and the devices they run on."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.frame import Frame
from vsr.live.batches import Batches
from vsr.live.turns import Turns
from vsr.upscale.options import NetworkOptions
from vsr.upscale.upscaler import Upscaler


class Networks:
    """Upscalers by options, each as long as a stream uses it. For any thread.

    weights: of the streams. A stream computes one frame at a time, so no more are computed at once on a processor than let the
    stream of the greatest weight have its share.
    """

    def __init__(self, weights: Sequence[float] = (1.0,), clock: Clock = SYSTEM_CLOCK) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._shared: dict[NetworkOptions, SharedNetwork] = {}
        self._turns: dict[str, Turns] = {}
        self.weigh(weights)

    def weigh(self, weights: Sequence[float]) -> None:
        """The streams have these weights from now on. Networks that are compiled stay as they are."""
        with self._lock:
            self._streams = len(weights)
            self._at_once = max(1, int(sum(weights) / max(weights, default=1.0)))
            for shared in self._shared.values():
                shared.fit(self._streams, self._at_once)
            for device, turns in self._turns.items():
                those = (one.at_once for one in self._shared.values() if one.upscaler.device == device)
                turns.at_once = min(those, default=turns.at_once)

    def take(self, options: NetworkOptions) -> SharedNetwork:
        """The network for these options, compiled once for all who take it. Raises the errors of Upscaler."""
        with self._lock:
            if options not in self._shared:
                self._shared[options] = SharedNetwork(Upscaler(options), self._streams, self._at_once)
            shared = self._shared[options]
            shared.users += 1
            shared.upscaler.network.expect(shared.users)
            return shared

    def give_back(self, options: NetworkOptions) -> None:
        """A stream that took it uses it no longer."""
        with self._lock:
            shared = self._shared[options]
            shared.users -= 1
            if not shared.users:
                del self._shared[options]
                shared.upscaler.close()

    def turns(self, network: SharedNetwork) -> Turns:
        """The turns on its device."""
        device = network.upscaler.device
        with self._lock:
            if device not in self._turns:
                self._turns[device] = Turns(network.at_once, self._clock)
            return self._turns[device]


class SharedNetwork:
    """An Upscaler, and how many streams use it. at_once: frames that its device computes at a time."""

    def __init__(self, upscaler: Upscaler, streams: int, at_once: int) -> None:
        """streams: of the process. at_once: most frames at a time on a processor."""
        self.upscaler = upscaler
        self.users = 0
        # On a processor, one frame less is computed at a time than is in progress: its planes are prepared meanwhile.
        self._most = 1 if upscaler.on_gpu else max(1, min(upscaler.device_in_flight - 1, at_once))
        self._in_flight = self._most + 1 if self._most > 1 else 1
        self._batches: Batches | None = None
        self.fit(streams, at_once)

    def fit(self, streams: int, at_once: int) -> None:
        """Go on beside that number of streams. at_once: as at the beginning."""
        if not self.upscaler.on_gpu:
            self.at_once = min(self._most, at_once)
            return
        self.at_once = streams
        if streams > 1 and self._batches is None and not self.upscaler.spec.states:
            self._batches = Batches(self.upscaler)

    def lane(self) -> Lane:
        """The way of one stream through it."""
        return Lane(self)

    def upscale(self, frame: Frame) -> tuple[Frame, float | None]:
        """(the larger frame, its seconds of the device if not all the time was its own)."""
        if self._batches is not None:
            return self._batches.upscale(frame)
        return self.upscaler.upscale_batch([frame], in_flight=self._in_flight)[0], None


class Lane:
    """One stream through a shared network. For one thread."""

    def __init__(self, network: SharedNetwork) -> None:
        self._network = network
        self._seconds: float | None = None
        shared = None if network.upscaler.spec.states else self._shared
        self._sequence = network.upscaler.sequence(batch=1, in_flight=1, upscale=shared)

    def push(self, frame: Frame) -> tuple[Frame, float | None]:
        """The stream's next frame: see `SharedNetwork.upscale`."""
        self._seconds = None
        (large,) = self._sequence.push(frame)
        return large, self._seconds

    def close(self) -> None:
        self._sequence.close()

    def _shared(self, frames: list[Frame], _in_flight: int) -> list[Frame]:
        large, self._seconds = self._network.upscale(frames[0])
        return [large]
