"""Frames from the source's queue through the network in use, and whether they are still fresh when they go on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

from vsr.core.clock import SYSTEM_CLOCK, Clock
from vsr.core.frame import Frame
from vsr.live.counting import Counting
from vsr.live.frame import StreamFrame
from vsr.live.fresh_queue import LATE, FreshQueue
from vsr.live.rungs import Rungs
from vsr.live.starts import Starts
from vsr.media.live.capture import Captured

_TICK_S = 0.05
# If this number of frames in a row was late after the network, though fresh enough before it, only the newest frame is taken.
_TOO_MANY = 3
_DEFAULT_INTERVAL_S = 1 / 30
# The queue's least capacity in frames, whatever their rate: a guard for the memory, beside the budget.
_LEAST_CAPACITY = 64
_FASTEST = 60
# Times are averaged over about this number of frames.
_LATELY = 8


class Inference:
    """`put` is for the source's thread, `run` for one of its own, in order, with one frame at a time. The rest is for any.

    budget_s: how old a frame may be when it goes out. hand_on: takes a frame and its enlargement, on `run`'s thread; False
    where no more are wanted. goes_on: whether it would take another frame at once. idle: called now and then while no frame
    comes, on `run`'s thread.
    """

    def __init__(
        self,
        rungs: Rungs,
        budget_s: float,
        counting: Counting,
        hand_on: Callable[[Captured, StreamFrame], bool],
        clock: Clock = SYSTEM_CLOCK,
        goes_on: Callable[[], bool] = lambda: True,
        idle: Callable[[], None] = lambda: None,
    ) -> None:
        self.queue: FreshQueue[Captured] = FreshQueue(
            budget_s, max(_LEAST_CAPACITY, round(_FASTEST * budget_s)), late="starting", clock=clock
        )
        self._rungs = rungs
        self._budget_s = budget_s
        self._counting = counting
        self._hand_on = hand_on
        self._goes_on = goes_on
        self._idle = idle
        self._clock = clock
        self._starts = Starts()
        self._first: Captured | None = None
        self._first_came = threading.Event()
        self._size: tuple[int, int] | None = None
        self._interval_s = _DEFAULT_INTERVAL_S
        self._late_seen = 0
        self._late_in_a_row = 0
        # Recent averages of a frame's time.
        self._infer_s = self._encode_s = 0.0

    def put(self, captured: Captured) -> None:
        """Queue a frame. The stream begins when the networks are ready: frames that come before count apart."""
        if not self._rungs.prepared:
            self._counting.frames_before += 1
            self._first = captured
            self._first_came.set()
            return
        self._counting.captured(captured)
        self.queue.put(captured, captured.at)

    def prepare(self, captured: Captured) -> None:
        """Compile and measure the networks for frames like that one."""
        rate = captured.frame_rate or self._counting.rate()
        self._interval_s = float(1 / rate) if rate else _DEFAULT_INTERVAL_S
        self._rungs.prepare(captured.frame, self._interval_s)

    def run(self) -> None:
        """Until the queue is closed and empty, or no more are wanted."""
        self._prepare_first()
        while not self.queue.finished:
            if not len(self.queue):
                self._rungs.share.withdraw()
            if not self.queue.wait(_TICK_S):
                self._idle()
                continue
            upscaled = None
            with self._turn():
                # A frame is taken when it can be computed: until then a newer one may take its place.
                captured = self.queue.take(0.0, newest=self._late_in_a_row >= _TOO_MANY)
                if captured is not None and self._size in (None, _size_of(captured)):
                    self._size = _size_of(captured)
                    upscaled = self._upscaled(captured)
            if captured is None or (upscaled is None and not self._prepared_again(captured)):
                continue
            if upscaled is None:
                with self._turn():
                    upscaled = self._upscaled(captured)
            if not self.is_late(captured) and not self._hand_on(captured, upscaled):
                return

    def is_late(self, captured: Captured) -> bool:
        """Whether an upscaled frame would be too old once it is encoded. It is counted as dropped then."""
        # After several late frames in a row one is encoded, however long the last ones took: otherwise vsr would never see that
        # encoding is quick again.
        encode_s = self._encode_s if self._late_in_a_row < _TOO_MANY else 0.0
        late = self._clock.now() + encode_s - captured.at > self._budget_s
        if late:
            self._late_in_a_row += 1
            self.queue.lose(self.queue.late)
        return late

    def encoded(self, frame: Frame, seconds: float) -> None:
        """Note that this frame of the source was sent, and the time that encoding took: the encoder for its size works."""
        if (frame.width, frame.height) == self._size:
            self.queue.late = LATE
        self._late_in_a_row = 0
        self._encode_s += (seconds - self._encode_s) / _LATELY
        self._tell_work()

    def watch(self) -> None:
        """Change the network where that is called for. Call it a few times a second."""
        late = self.queue.drops[LATE]
        if late > self._late_seen:
            self._rungs.dropped(late - self._late_seen)
            self._late_seen = late
        rate = self._counting.rate()
        self._interval_s = float(1 / rate) if rate else self._interval_s
        step = self._rungs.step(self._interval_s)
        if step is not None:
            self._counting.stepped(*step)

    def _prepare_first(self) -> None:
        """Make the networks for the first frame."""
        while not self._rungs.prepared and not self.queue.closed:
            if self._clock.wait(self._first_came, _TICK_S):
                assert self._first is not None
                self.prepare(self._first)

    def _turn(self) -> AbstractContextManager[None]:
        """The device. The next turn is wanted at once if a frame waits, and the encoder does not."""
        return self._rungs.share.turn(lambda: len(self.queue) > 0 and self._goes_on())

    def _prepared_again(self, captured: Captured) -> bool:
        """Prepare the networks for another size. False where that took so long that the frame is too old."""
        self._size = None
        self.queue.late = "size changed"
        self.prepare(captured)
        self._size = _size_of(captured)
        if self._clock.now() - captured.at <= self._budget_s:
            return True
        # The frames that came meanwhile would be late, and so would all after them: continue with the next new frame.
        self.queue.empty(self.queue.late)
        self.queue.lose(self.queue.late)
        return False

    def _upscaled(self, captured: Captured) -> StreamFrame:
        captured.frame.starts = self._starts.of(captured)
        with self._counting.infer.busy():
            large, model, seconds = self._rungs.upscale(captured.frame)
        # The first time is the best guess there is: an average that began at 0 would take frames that are too old for long.
        self._infer_s += (seconds - self._infer_s) / (_LATELY if self._infer_s else 1)
        self._tell_work()
        return StreamFrame(large, model, captured.at)

    def _tell_work(self) -> None:
        self.queue.work_s = self._infer_s + self._encode_s


def _size_of(captured: Captured) -> tuple[int, int]:
    return captured.frame.width, captured.frame.height
