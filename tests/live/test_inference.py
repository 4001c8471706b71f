"""What the thread of the networks does with frames that come too late, or in another size."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import cast

from tests.support.clock import PretendedClock
from vsr.bench.synthetic import synthetic_frames
from vsr.core.frame import Frame, Reset
from vsr.live.counting import Counting
from vsr.live.frame import StreamFrame
from vsr.live.inference import Inference
from vsr.live.rungs import Rungs
from vsr.live.turns import Turns
from vsr.media.live.capture import Captured
from vsr.media.live.timeline import TICKS, TIME_BASE

BUDGET_S = 0.5


class Networks:
    """Rungs whose frames cost pretended time."""

    def __init__(self, clock: PretendedClock) -> None:
        self._clock = clock
        self.share = Turns(1, clock).join()
        self.prepared = True
        self.cost_s = self.prepare_s = 0.0
        self.sizes: list[tuple[int, int]] = []
        self.late = 0

    def prepare(self, frame: Frame, interval_s: float) -> None:
        self._clock.advance(self.prepare_s)
        self.sizes.append((frame.width, frame.height))

    def upscale(self, frame: Frame) -> tuple[Frame, str, float]:
        self._clock.advance(self.cost_s)
        return frame, "one", self.cost_s

    def dropped(self, count: int) -> None:
        self.late += count

    def step(self, interval_s: float) -> None:
        return None


class Stream:
    """An inference, run when all its frames have come but those of `when_first_is_out`."""

    def __init__(self) -> None:
        self.clock = PretendedClock()
        self.networks = Networks(self.clock)
        self.counting = Counting(self.clock)
        self.out: list[Captured] = []
        self.inference = Inference(
            cast("Rungs", self.networks), BUDGET_S, self.counting, self._take, self.clock
        )
        self.number = 0
        self.when_first_is_out: Callable[[], None] = lambda: None

    def _take(self, captured: Captured, upscaled: StreamFrame) -> bool:
        self.out.append(captured)
        self.inference.encoded(captured.frame, 0.0)
        if len(self.out) == 1:
            self.when_first_is_out()
            self.inference.queue.close()
        return True

    def put(self, *, size: tuple[int, int] = (32, 16)) -> None:
        (frame,) = synthetic_frames(*size, 1)
        frame.pts, frame.time_base = self.number * TICKS // 10, TIME_BASE
        self.number += 1
        self.inference.put(Captured(frame, self.clock.now(), Fraction(1), Fraction(10), False))

    def run(self) -> list[int]:
        """The numbers of the frames that went out."""
        self.inference.run()
        return [round(one.frame.pts / TICKS * 10) for one in self.out if one.frame.pts is not None]


def test_what_is_late_is_counted_and_the_ladder_hears_of_it() -> None:
    stream = Stream()
    stream.inference.queue.late = "late"
    for _ in range(10):
        stream.put()
        stream.clock.advance(0.125)
    assert stream.run() == [6, 7, 8, 9]
    stream.inference.watch()
    stream.inference.watch()
    assert stream.networks.late == stream.inference.queue.drops["late"] == 6
    assert [one.frame.starts for one in stream.out] == [Reset.START, None, None, None]


def test_the_stream_begins_when_the_networks_are_ready() -> None:
    stream = Stream()
    stream.networks.prepared = False
    for _ in range(3):
        stream.put()
    stream.networks.prepared = True
    stream.put()
    assert stream.counting.frames_in == 1
    assert stream.counting.frames_before == 3
    assert stream.run() == [3]


def test_before_the_first_has_gone_out_frames_are_late_for_another_reason() -> None:
    stream = Stream()
    stream.put()
    stream.clock.advance(1.0)
    stream.put()
    assert stream.run() == [1]
    assert stream.inference.queue.drops == {"starting": 1}
    assert stream.inference.queue.late == "late"


def test_how_long_a_frame_takes_is_known_after_the_first() -> None:
    stream = Stream()
    stream.networks.cost_s = 0.25

    def more() -> None:
        for _ in range(5):
            stream.put()
            stream.clock.advance(0.1)

    stream.when_first_is_out = more
    stream.put()
    assert stream.run() == [0, 4], "older ones would be late after the network"


def test_frames_dropped_in_between_are_a_gap() -> None:
    stream = Stream()
    stream.networks.cost_s = 0.45
    for _ in range(8):
        stream.put()
    # Another comes while the first is in the network.
    stream.when_first_is_out = stream.put
    assert stream.run() == [0, 8]
    assert [one.frame.starts for one in stream.out] == [Reset.START, Reset.GAP]
    assert stream.inference.queue.drops == {"late": 7}


def test_another_size_is_prepared_for_and_what_came_meanwhile_is_not_shown_late() -> None:
    stream = Stream()
    stream.put()
    stream.put(size=(64, 32))
    stream.put(size=(64, 32))
    stream.networks.prepare_s = 1.0
    assert stream.run() == [0]
    assert stream.networks.sizes == [(64, 32)]
    assert stream.inference.queue.drops == {"size changed": 2}


def test_another_size_that_is_soon_ready_loses_nothing() -> None:
    stream = Stream()
    stream.put()
    stream.put(size=(64, 32))
    stream.put(size=(64, 32))
    stream.networks.prepare_s = 0.1
    assert stream.run() == [0, 1, 2]
    assert [one.frame.starts for one in stream.out] == [Reset.START, Reset.SIZE, None]
    assert not stream.inference.queue.drops
