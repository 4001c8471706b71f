"""The way of frames through a CUDA device and back, on one that is pretended: its memory is the host's."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from vsr.backends.host_buffers import HostBuffers
from vsr.backends.resident import Resident
from vsr.backends.torch.captured import Captured

CPU = torch.device("cpu")
PLANE = np.arange(12, dtype=np.uint8).reshape(1, 1, 3, 4)


def inverted(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A plane twice as wide, and a count."""
    plane = 255 - inputs["y"].repeat(1, 1, 1, 2)
    return {"y_out": plane, "count": (plane == 255).sum().float()}


class _OnHost(Captured):
    def compute(self) -> None:
        for name, made in inverted(self._inputs).items():
            self._outputs[name].copy_(made)


class _Event:
    """Of a GPU on which a millisecond passes between two events."""

    def __init__(self, *, enable_timing: bool) -> None:
        assert enable_timing
        self.at_ms = -1

    def record(self, stream: SimpleNamespace) -> None:
        stream.now_ms += 1
        self.at_ms = stream.now_ms

    def elapsed_time(self, other: _Event) -> float:
        return other.at_ms - self.at_ms


@pytest.fixture
def locked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A device without CUDA; the sizes of what was page-locked for outputs."""
    stream = SimpleNamespace(wait_stream=lambda _other: None, synchronize=lambda: None, device=CPU, now_ms=0)
    for name, value in {
        "Stream": lambda _device: stream,
        "default_stream": lambda _device: stream,
        "stream": lambda _stream: nullcontext(),
        "device": lambda _device: nullcontext(),
        "graph": lambda _graph, **_settings: nullcontext(),
        "Event": _Event,
        "CUDAGraph": SimpleNamespace,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor.clone())
    return []


def test_frames_come_back_in_memory_that_is_used_again(locked: list[int]) -> None:
    def lock(size: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        locked.append(size)
        return np.full(size, 9, np.uint8)

    captured = _OnHost(inverted, {"y": PLANE}, CPU, HostBuffers(lock))
    kept = captured({"y": PLANE})["y_out"][0, 0, 1:]
    for code in range(20):
        found = captured({"y": np.full_like(PLANE, code)})
        assert found["y_out"].shape == (1, 1, 3, 8)
        assert (found["y_out"] == 255 - code).all()
        assert float(found["count"]) == (24 if code == 0 else 0)
    np.testing.assert_array_equal(kept, 255 - np.tile(PLANE[0, 0, 1:], 2))
    assert sorted(locked) == [4, 4, 24, 24, 24], "one frame is kept, one is looked at while the next is made"


def test_its_steps_are_timed_to_their_end(locked: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    captured = _OnHost(inverted, {"y": PLANE}, CPU, HostBuffers(lambda size: np.zeros(size, np.uint8)))
    waited: list[str] = []
    monkeypatch.setattr(captured._stream, "synchronize", lambda: waited.append("waited"))
    steps = captured.steps({"y": PLANE})
    assert list(steps) == ["copy in", "compute", "copy out"]
    for count, step in enumerate(steps.values(), 1):
        assert step() == 1.0
        assert len(waited) == count
    assert (captured._outputs["y_out"].numpy() == np.concatenate([255 - PLANE] * 2, 3)).all()


def test_what_is_remembered_stays_on_the_device(locked: list[int]) -> None:
    def added(inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {"y_out": inputs["y"] + inputs["y_before"] + 2 * inputs["y_out_before"]}

    class Adding(_OnHost):
        def compute(self) -> None:
            self._outputs["y_out"].copy_(added(self._inputs)["y_out"])

    def plane(code: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
        return np.full((1, 1, 2, 2), code, np.uint8)

    given = {"y": plane(1), "y_before": plane(0), "y_out_before": plane(0)}
    captured = Adding(added, given, CPU, HostBuffers(lambda size: np.zeros(size, np.uint8)))
    resident = Resident[torch.Tensor]()
    found = captured(given, resident, ["y", "y_out"])
    for name in ("y_before", "y_out_before"):
        del captured._host[name]  # Nothing goes that way any more.
    wanted, last = 1, 1
    for code in (2, 3, 4):
        assert (found["y_out"] == wanted).all()
        given = {"y": plane(code), "y_before": given["y"], "y_out_before": found["y_out"]}
        found = captured(given, resident, ["y", "y_out"])
        wanted, last = code + last + 2 * wanted, code
    assert (found["y_out"] == wanted).all()
