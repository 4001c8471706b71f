"""PyTorch: runs the same frame graphs where it is installed anyway, on a CUDA device if there is one."""

from __future__ import annotations

import importlib.util
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import (
    DEFAULTS,
    IN_FLIGHT,
    Arrays,
    Availability,
    CompileOptions,
    Steps,
    chosen_precision,
    not_there,
    out_of_memory,
)
from vsr.backends.host_buffers import HostBuffers
from vsr.backends.on_device import DeviceEngine, inference
from vsr.backends.pool import Pool
from vsr.backends.process import first_user
from vsr.backends.resident import Resident
from vsr.core.cuda import agree_on_context
from vsr.core.errors import EngineBuildError, is_out_of_memory, reason
from vsr.models.spec import GraphLayout, ModelSpec, Precision, check_ports

if TYPE_CHECKING:
    import torch

    from vsr.backends.torch.captured import Captured
    from vsr.backends.torch.ops import Step, Values

# On a GPU this batch is faster than single frames: docs/gpu.md has the figures.
_BATCH = 4
_NEEDED = ("torch", "onnx")


class TorchEngine(DeviceEngine):
    """One graph's nodes, run one after another."""

    def __init__(
        self,
        spec: ModelSpec,
        layout: GraphLayout,
        graph: tuple[Values, list[Step]],
        outputs: list[str],
        device: torch.device,
        precision: Precision,
        threads: int,
    ) -> None:
        super().__init__(spec, layout, precision)
        self._constants, self._steps = graph
        self._outputs = outputs
        self._device = device
        self._threads = threads
        self.dlpack_device = (2, device.index or 0) if device.type == "cuda" else (1, 0)
        self._captures: Pool[Captured] = Pool(IN_FLIGHT)
        self._buffers = HostBuffers(_pinned)
        self._resident: Resident[torch.Tensor] = Resident()

    def outputs(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        with self._ours():
            if self._device.type == "cuda":
                with self.captured(inputs) as captured:
                    return captured(inputs, self._resident, self.spec.remembered(self.layout).values())
            return {name: output.numpy() for name, output in self._run(_tensors(inputs)).items()}

    @contextmanager
    def steps(self, inputs: Arrays) -> Generator[Steps]:
        """See Engine.steps. On a processor results stay where they are."""
        with self._ours():
            if self._device.type == "cuda":
                with self.captured(inputs) as captured:
                    yield captured.steps(inputs)
            else:
                given = _tensors(inputs)

                def copy_in() -> None:
                    _tensors(inputs)

                def compute() -> None:
                    self._run(given)

                yield {"copy in": copy_in, "compute": compute}

    def tensors(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        with self._ours():
            if self._device.type == "cuda":
                with self.captured(inputs) as captured:
                    return captured.on_device(inputs)
            return self._run(dict(inputs))

    def close(self) -> None:
        self._constants, self._steps = {}, []
        self._captures, self._buffers, self._resident = Pool(IN_FLIGHT), HostBuffers(_pinned), Resident()

    def _run(self, inputs: Values) -> Values:
        values = self._constants | inputs
        for step in self._steps:
            step(values)
        return {name: values[name].contiguous() for name in self._outputs}

    def captured(self, like: Mapping[str, Any]) -> AbstractContextManager[Captured]:
        """The engine's captured steps for inputs shaped as `like`, for one thread at a time. CUDA only."""
        from vsr.backends.torch.captured import Captured

        def capture() -> Captured:
            with self._ours():
                return Captured(self._run, like, self._device, self._buffers)

        return self._captures.taken(capture)

    @contextmanager
    def _ours(self) -> Generator[None]:
        import torch

        if self._threads and torch.get_num_threads() != self._threads:
            torch.set_num_threads(self._threads)
        with inference():
            yield


class TorchBackend:
    """See vsr.backends.base.Backend."""

    name, kinds = "torch", ("cuda", "cpu")

    def __init__(self, device: str | None = None) -> None:
        self._named = device

    @property
    def device(self) -> str:
        import torch

        return self._named or ("cuda:0" if torch.cuda.is_available() else "cpu")

    @property
    def in_flight(self) -> int:
        return 1 if self.device == "cpu" else IN_FLIGHT

    @property
    def batch(self) -> int:
        return 1 if self.device == "cpu" else _BATCH

    def devices(self) -> dict[str, str]:
        if any(importlib.util.find_spec(name) is None for name in _NEEDED):
            return {}
        import torch

        there = range(torch.cuda.device_count())
        if there:
            agree_on_context()
        return {f"cuda:{number}": torch.cuda.get_device_name(number) for number in there} | {"cpu": ""}

    def on(self, device: str) -> TorchBackend:
        return TorchBackend(device)

    def takes_any_size(self, spec: ModelSpec, options: CompileOptions) -> bool:
        return self.device == "cpu"  # On a GPU a capture takes one size.

    def probe(self) -> Availability:
        missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            return Availability(
                False, f"{' and '.join(missing)} not installed", f"pip install {' '.join(missing)}"
            )
        import torch

        if self._named and self._named not in (devices := self.devices()):
            return not_there(self._named, devices)
        device = _opened(self.device)
        if device.type == "cuda" and (why := _unusable(device)):
            return Availability(False, f"torch {torch.__version__} cannot use the GPU: {why}")
        runs_on = f"torch {torch.__version__} on {device}, {_precisions(device)[0]}"
        if device.type == "cuda" and (why := _unfused(device)):
            runs_on += f"; slower than it could be, for Triton compiles nothing here: {why}"
        return Availability(True, runs_on, on_gpu=device.type == "cuda")

    def compile(
        self,
        spec: ModelSpec,
        layout: GraphLayout,
        plane_shapes: Mapping[str, tuple[int, ...]],
        options: CompileOptions = DEFAULTS,
    ) -> TorchEngine:
        import onnx
        import torch

        from vsr.backends.graphs.precision import guarded
        from vsr.backends.torch.ops import compiled

        first_user(self.name).check("PyTorch")
        path = spec.graph(layout)
        device = _opened(self.device)
        precision = chosen_precision(spec, options.precision, _precisions(device))
        dtype = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[precision]
        try:
            model = onnx.load(path)
            if device.type == "cuda":
                model = guarded(model)
            fused = device.type == "cuda" and precision != "fp32" and not _unfused(device)
            graph = compiled(model.graph, dtype, device, fused=fused)
        except Exception as error:  # exceptions of protobuf, onnx and torch share no base class
            if is_out_of_memory(error):
                raise out_of_memory() from error
            raise EngineBuildError(
                f"torch cannot run {spec.id} ({layout.name}): {reason(error)}",
                hint="use another backend; if the package was copied, its files may be damaged",
            ) from error
        inputs, outputs = (
            [value.name for value in ports] for ports in (model.graph.input, model.graph.output)
        )
        check_ports(path, layout, inputs, outputs, spec.memory_shapes(layout, plane_shapes))
        return TorchEngine(spec, layout, graph, outputs, device, precision, options.threads)


def _tensors(inputs: Arrays) -> Values:
    """Copies: torch warns of arrays that may not be written to."""
    import torch

    return {name: torch.from_numpy(np.array(array)) for name, array in inputs.items()}


def _opened(device: str) -> torch.device:
    import torch

    if device != "cpu":
        agree_on_context()
    return torch.device(device)


def _pinned(size: int) -> NDArray[np.uint8]:
    """A buffer of this number of bytes, page-locked in the context of the current device."""
    import torch

    found: NDArray[np.uint8] = torch.empty(size, dtype=torch.uint8, pin_memory=True).numpy()
    return found


def _unusable(device: torch.device) -> str:
    """Why nothing runs on a CUDA device; empty where it does. It may be older than this torch was made for, or full."""
    import torch

    try:
        torch.ones(1, device=device).add_(1).item()
    except RuntimeError as error:
        return reason(error)
    return ""


def _unfused(device: torch.device) -> str:
    """Why nodes run one by one on this CUDA device; empty where several go in one kernel."""
    from vsr.backends.torch.fused import trouble

    return trouble(device)


def _precisions(device: torch.device) -> list[Precision]:
    """The precisions the device multiplies natively, the fastest first."""
    import torch

    if device.type == "cuda":
        return ["fp16", "bf16", "fp32"]
    return ["bf16", "fp32"] if torch.ops.mkldnn._is_mkldnn_bf16_supported() else ["fp32"]


BACKEND = TorchBackend()
