"""The frames of one stream, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from vsr.core.frame import Frame
from vsr.upscale import Upscaler


def batched(frames: Iterator[Frame], size: int) -> Iterator[list[Frame]]:
    """Runs of up to `size` frames that can go through one graph together."""
    batch: list[Frame] = []
    for frame in frames:
        if batch and (len(batch) == size or _shape(frame) != _shape(batch[0])):
            yield batch
            batch = []
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def inferred(batches: Iterator[list[Frame]], upscaler: Upscaler) -> Iterator[Frame]:
    """Every frame of every batch, upscaled, in order."""
    if upscaler.in_flight == 1:
        for batch in batches:
            yield from upscaler.upscale_batch(batch)
        return
    whole = 0
    with ThreadPoolExecutor(upscaler.in_flight, "infer") as pool:
        begun: deque[Future[list[Frame]]] = deque()
        for batch in batches:
            whole = max(whole, len(batch))
            begun.append(pool.submit(_filled_up, batch, whole, upscaler))
            if len(begun) == upscaler.in_flight:
                yield from begun.popleft().result()
        while begun:
            yield from begun.popleft().result()


def _filled_up(batch: list[Frame], whole: int, upscaler: Upscaler) -> list[Frame]:
    """A batch upscaled as if it were whole: on a GPU, each size of a batch is compiled for."""
    return upscaler.upscale_batch([*batch, *batch[-1:] * (whole - len(batch))])[: len(batch)]


def _shape(frame: Frame) -> tuple[Any, ...]:
    return frame.width, frame.height, frame.format, frame.color
