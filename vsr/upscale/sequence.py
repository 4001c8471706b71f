"""The frames of one stream, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from vsr.backends.process import OfProcess
from vsr.core.frame import Frame, Reset
from vsr.upscale.planes import Kind
from vsr.upscale.recurrent import StreamMemory

# A function of frames of one kind, and of the number of such runs that may be in progress.
Upscale = Callable[[list[Frame], int], list[Frame]]
# Most threads; they are started when they are needed.
_MOST_THREADS = 256


class Sequence:
    """One stream through an Upscaler, made by `Upscaler.sequence`. A context manager; for one thread.

    Frames come out as they went in: as many, in the same order. A frame comes out of the push that completed its batch, or of a
    later one: several batches are under way at a time where the backend wants that, on threads that end with the Sequence.
    With `batch` and `in_flight` of 1, each push returns the frame it was given. So it is with a network that has a memory: each
    frame waits for the result of the one before. The memory is this Sequence's; no other run of the network touches it.

    An error ends the Sequence. The frames before it still come out; then each push and flush raises it.
    """

    def __init__(
        self,
        upscale: Upscale,
        batch: Callable[[Frame], int],
        in_flight: Callable[[Frame], int],
        memory: StreamMemory | None = None,
    ) -> None:
        """upscale: see Upscale. batch: the number of frames like this one in a run. in_flight: the number of batches that may
        be in progress, the batch that begins with this frame included. Both are 1 with a memory, which `upscale` uses."""
        self._memory = memory
        self._upscale, self._size, self._in_flight = upscale, batch, in_flight
        self._kind: Kind | None = None
        self._batch: list[Frame] = []
        self._largest = 0  # Largest batch of this kind so far.
        self._begun: deque[Future[list[Frame]]] = deque()
        self._done: list[Frame] = []
        self._failed: Exception | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False
        self._process = OfProcess()

    def __enter__(self) -> Sequence:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def push(self, frame: Frame) -> list[Frame]:
        """Take the next frame, and return the finished frames. If the frame has `Frame.starts`, the stream starts again with
        it. With a memory, it also starts again at scene cuts and where the kind of frames changes, and each frame with which it
        started comes out with the reason in `starts`.

        Raises the errors of `Upscaler.upscale`, RuntimeError after `close`, InferenceError in a forked process.
        """
        if self._failed is None:
            self._check_open()
            if self._memory is not None:
                frame = self._memory.coming(frame)
            elif frame.starts is not None:
                self._begin()
            kind = Kind.of(frame)
            if kind != self._kind:
                self._begin()
                self._kind, self._largest = kind, 0
            self._batch.append(frame)
            if len(self._batch) >= self._size(frame):
                self._begin()
        return self._given()

    def flush(self) -> list[Frame]:
        """Return all frames that have not come out yet, when they are done. More may be pushed afterwards. Raises as `push`."""
        if self._failed is None:
            self._check_open()
            self._begin()
            self._collect(0)
        return self._given()

    def reset(self, why: Reset) -> None:
        """Start again: no later frame depends on an earlier one. Frames pushed before are still returned.

        A network without memory forgets nothing, whatever the reason; its next frame begins a batch.
        """
        self._begin()
        if self._memory is not None:
            self._memory.forget(why)

    def stream(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Push all, then flush. Raises as `push`."""
        for frame in frames:
            yield from self.push(frame)
        yield from self.flush()

    def close(self) -> None:
        """End the threads; frames that have not come out are dropped. Closing twice does nothing."""
        self._closed = True
        if self._threads:
            self._threads.shutdown(cancel_futures=True)
        self._batch, self._done = [], []
        self._begun.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the sequence is closed")
        self._process.check("a Sequence")

    def _begin(self) -> None:
        """Upscale the batched frames, here or on a thread. If the most batches are in progress, wait for the first."""
        if not self._batch:
            return
        in_flight = self._in_flight(self._batch[0])
        self._collect(in_flight - 1)  # For another kind of frames, more may have been in progress.
        if self._failed is not None:
            return
        if in_flight == 1:
            try:
                self._done += self._upscale(self._batch, in_flight)
            except Exception as error:
                self._failed = error
        else:
            self._threads = self._threads or ThreadPoolExecutor(_MOST_THREADS, "infer")
            self._largest = max(self._largest, len(self._batch))
            begun = self._threads.submit(_filled_up, self._batch, self._largest, in_flight, self._upscale)
            self._begun.append(begun)
            self._collect(in_flight - 1)
        self._batch = []

    def _collect(self, most: int) -> None:
        """Wait for the first batches, until only this many are in progress."""
        while len(self._begun) > most and self._failed is None:
            try:
                self._done += self._begun[0].result()
            except Exception as error:
                self._failed = error
            self._begun.popleft()

    def _given(self) -> list[Frame]:
        """The finished frames; if there are none, raise the error, if there was one."""
        done, self._done = self._done, []
        if self._failed is not None and not done:
            raise self._failed
        return done


def _filled_up(batch: list[Frame], size: int, in_flight: int, upscale: Upscale) -> list[Frame]:
    """A batch upscaled as if it had `size` frames, by repeating its last: a GPU wants a graph for each size of a batch, and
    graphs there are slow to make. For networks without memory only."""
    return upscale([*batch, *batch[-1:] * (size - len(batch))], in_flight)[: len(batch)]
