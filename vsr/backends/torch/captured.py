"""A graph's steps on a CUDA device: captured once for planes of one shape, and replayed.

Launching hundreds of small kernels takes longer than running them; a replayed capture launches them all at once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vsr.backends.base import Steps
from vsr.backends.host_buffers import HostBuffers
from vsr.backends.resident import Resident

Run = Callable[[dict[str, Tensor]], dict[str, Tensor]]

_WARM_UPS = 3
# The types of planes, and of a count.
_KINDS = {torch.uint8: np.uint8, torch.float32: np.float32}
# Beginning a capture waits for the whole device, which breaks another capture in progress.
_capturing = threading.Lock()


class Captured:
    """`run` for inputs shaped as `example`, on a stream of its own; frames go in and out by pinned memory, or stay on the
    device."""

    def __init__(
        self,
        run: Run,
        example: Mapping[str, NDArray[np.generic] | Tensor],
        device: torch.device,
        buffers: HostBuffers,
    ) -> None:
        """buffers: for the results."""
        self._buffers = buffers
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._inputs = {name: _tensor(array).to(device, copy=True) for name, array in example.items()}
        with torch.cuda.device(device):  # Memory is pinned in the context of the current one.
            self._host = {name: tensor.cpu().pin_memory() for name, tensor in self._inputs.items()}
        # float32 means float32 here, not TF32, the shorter form for matrix units.
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=False)
        with _capturing, exact, torch.cuda.stream(self._stream):
            self._stream.wait_stream(torch.cuda.default_stream(device))
            # Algorithms are chosen and workspaces allocated before anything is recorded.
            for _ in range(_WARM_UPS):
                run(self._inputs)
            self._stream.synchronize()
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph, stream=self._stream, capture_error_mode="thread_local"):
                self._outputs = run(self._inputs)
            self._stream.synchronize()

    def __call__(
        self,
        inputs: Mapping[str, NDArray[np.generic]],
        resident: Resident[Tensor] | None = None,
        remembered: Iterable[str] = (),
    ) -> dict[str, NDArray[Any]]:
        """resident: inputs that are on the device already, and those to stay there: the `remembered` planes of this run."""
        resident = resident or Resident()
        with torch.cuda.stream(self._stream):
            self.copy_in(inputs, resident)
            self.compute()
            found = self.copy_out()
            for name in remembered:
                array = found[name] if name in found else inputs[name]
                there = self._outputs[name] if name in found else self._inputs[name]
                resident.keep(array, partial(torch.empty_like, there), partial(_fill, there))
            self._stream.synchronize()
        return found

    def steps(self, inputs: Mapping[str, NDArray[np.generic]]) -> Steps:
        """The steps of a call with these inputs, each run to its end; events on the stream time them."""

        def whole(begin: Callable[[], object]) -> Callable[[], float]:
            def step() -> float:
                begun = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
                ended = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
                with torch.cuda.stream(self._stream):
                    begun.record(self._stream)
                    found = begin()
                    ended.record(self._stream)
                    self._stream.synchronize()
                del found
                return float(begun.elapsed_time(ended))

            return step

        begun = {"copy in": lambda: self.copy_in(inputs), "compute": self.compute, "copy out": self.copy_out}
        return {name: whole(begin) for name, begin in begun.items()}

    def copy_in(
        self, inputs: Mapping[str, NDArray[np.generic]], resident: Resident[Tensor] | None = None
    ) -> None:
        """The first step, begun on the current stream."""
        for name, array in inputs.items():
            there = resident.find(array) if resident is not None else None
            if there is not None:
                self._inputs[name].copy_(there, non_blocking=True)
                continue
            self._host[name].numpy()[...] = array
            self._inputs[name].copy_(self._host[name], non_blocking=True)

    def compute(self) -> None:
        """The second step, begun on the current stream."""
        self._graph.replay()

    def copy_out(self) -> dict[str, NDArray[Any]]:
        """The last step, begun on the current stream: arrays that are filled once it is done."""
        found = {}
        for name, output in self._outputs.items():
            found[name] = self._buffers.array(tuple(output.shape), _KINDS[output.dtype])
            torch.from_numpy(found[name]).copy_(output, non_blocking=True)
        return found

    def on_device(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Arrays that are ready, or will be on the default stream; the results are finished."""
        self._stream.wait_stream(torch.cuda.default_stream(self._stream.device))
        with torch.cuda.stream(self._stream):
            for name, tensor in inputs.items():
                self._inputs[name].copy_(tensor, non_blocking=True)
            self._graph.replay()
            found = {name: output.clone() for name, output in self._outputs.items()}
            self._stream.synchronize()
        for tensor in found.values():  # The tensor was made on this stream, and is used on the other one.
            tensor.record_stream(torch.cuda.default_stream(self._stream.device))
        return found


def _fill(content: Tensor, place: Tensor) -> None:
    place.copy_(content, non_blocking=True)


def _tensor(array: NDArray[np.generic] | Tensor) -> Tensor:
    # Copied, because torch warns of read-only arrays.
    return array if isinstance(array, Tensor) else torch.from_numpy(np.array(array))
