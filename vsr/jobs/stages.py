"""The stages of a job's pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from vsr.core.control import Control
from vsr.core.errors import DecodeError
from vsr.core.frame import Frame
from vsr.media.types import Sink, Source
from vsr.media.write.encoded import Encoded
from vsr.media.write.parts import PartSink

# Batches that may wait between two stages, and the most memory they may take there.
_QUEUE_BATCHES = 4
_QUEUE_BYTES = 96 << 20


class Exhaustion:
    """The frames of a source, and whether they came to their own end, rather than being stopped. fetch: they come to the host
    here. frames: how many came that are part of the output."""

    def __init__(self, frames: Iterable[Frame], *, fetch: bool) -> None:
        self._frames, self._fetch = frames, fetch
        self.reached_end = False
        self.frames = 0

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            if self._fetch and frame.on_device:
                frame.planes, frame.on_device = list(frame.planes), None
            self.frames += not frame.warms_up
            yield frame
        self.reached_end = True


def encode_all(frames: Iterator[Frame], sink: Sink, source: Source, exhausted: Exhaustion) -> Path | None:
    """Write all frames, and end the sink as they ended. Raises DecodeError if there was no frame, and the errors of the
    sink."""
    for frame in frames:
        sink.write(frame)
    if exhausted.reached_end and not sink.counters.frames and not isinstance(sink, PartSink):
        said = f": {source.counters.first_error}" if source.counters.first_error else ""
        raise DecodeError(
            f"{source.carried.name}: no frame could be decoded{said}", hint="the file may be damaged or empty"
        )
    if exhausted.reached_end:
        return sink.finish()
    return sink.keep_part() if sink.counters.frames else None


def until_cancelled(packets: Iterator[Encoded], control: Control) -> Iterator[Encoded]:
    """The packets. Raises Cancelled after `Control.cancel`."""
    for packet in packets:
        control.check()
        yield packet


def watched(frames: Iterator[Frame], written: Callable[[Frame], None]) -> Iterator[Frame]:
    """The frames; `written` gets each as the next is asked for."""
    for frame in frames:
        yield frame
        written(frame)
        del frame


def capacity_for(width: int, height: int, bytes_per_sample: int, batch: int) -> int:
    """Frames of that size that may wait: a batch at least."""
    return max(batch, min(_QUEUE_BATCHES * batch, _QUEUE_BYTES // (2 * width * height * bytes_per_sample)))
