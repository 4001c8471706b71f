"""Frames of several streams in one run of a network."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from tests.support.sessions import until
from vsr.bench.synthetic import synthetic_frames
from vsr.core.errors import InferenceError
from vsr.core.frame import Frame
from vsr.live.batches import Batches
from vsr.upscale.upscaler import Upscaler


class Device:
    """An Upscaler for a GPU whose first run ends when the test says so. It returns the frames."""

    def __init__(self) -> None:
        self.runs: list[list[Frame]] = []
        self.held = threading.Event()
        self.bad: list[Frame] = []

    def batch(self, width: int, height: int) -> int:
        return 4

    def upscale_batch(self, frames: list[Frame]) -> list[Frame]:
        self.runs.append(frames)
        if len(self.runs) == 1:
            self.held.wait(60)
        elif any(frame is bad for frame in frames for bad in self.bad):
            raise InferenceError("broken")
        return frames


def all_at_once(device: Device, frames: list[Frame]) -> dict[int, Frame | Exception]:
    """The results by place. The first frame is in progress when the others come."""
    batches = Batches(cast("Upscaler", device))
    results: dict[int, Frame | Exception] = {}

    def stream(place: int) -> None:
        try:
            results[place] = batches.upscale(frames[place])[0]
        except InferenceError as error:
            results[place] = error

    threads = [threading.Thread(target=stream, args=(place,)) for place in range(len(frames))]
    threads[0].start()
    until(lambda: bool(device.runs), every_s=0.001)
    for thread in threads[1:]:
        thread.start()
    until(lambda: len(batches._waiting) == len(frames) - 1, every_s=0.001)
    device.held.set()
    for thread in threads:
        thread.join(60)
    return results


def test_frames_that_come_during_a_run_go_together_by_their_kind() -> None:
    device = Device()
    small, large = list(synthetic_frames(32, 16, 7)), list(synthetic_frames(64, 32, 2))
    frames = [*small, *large]
    results = all_at_once(device, frames)
    assert [results[place] is frame for place, frame in enumerate(frames)] == [True] * 9
    sizes = sorted(len(run) for run in device.runs)
    assert sizes == [1, 2, 2, 4], "1 alone; 6 small ones as 4 and 2, 2 large ones"
    assert all(len({frame.width for frame in run}) == 1 for run in device.runs)


def test_a_batch_is_filled_up_to_a_size_that_there_is_a_graph_for() -> None:
    device = Device()
    results = all_at_once(device, list(synthetic_frames(32, 16, 4)))
    assert len(results) == 4
    assert [len(run) for run in device.runs] == [1, 4]


@pytest.mark.timeout(60)
def test_an_error_reaches_only_the_stream_whose_frame_fails() -> None:
    device = Device()
    frames = list(synthetic_frames(32, 16, 5))
    device.bad = [frames[2]]
    results = all_at_once(device, frames)
    assert isinstance(results.pop(2), InferenceError)
    assert all(results[place] is frames[place] for place in (0, 1, 3, 4))
    assert len(device.runs[1]) == 4, "they were together before"


@pytest.mark.timeout(60)
def test_where_every_frame_fails_each_stream_has_the_error_and_the_next_run_works() -> None:
    device = Device()
    frames = list(synthetic_frames(32, 16, 3))
    device.bad = frames[1:]
    results = all_at_once(device, frames)
    assert [isinstance(results[place], InferenceError) for place in range(3)] == [False, True, True]
    (frame,) = synthetic_frames(32, 16, 1)
    assert Batches(cast("Upscaler", device)).upscale(frame)[0] is frame
