"""TensorRT or TensorRT-RTX on an NVIDIA GPU: engines from the store, built where they are first needed.

Planes go in and out by pinned memory and PyCUDA, in the primary context, which torch shares.
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
import threading
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import (
    DEFAULTS,
    IN_FLIGHT,
    Arrays,
    Availability,
    CompileOptions,
    chosen_precision,
)
from vsr.backends.devices import gpu_number
from vsr.backends.guarded import Parity, compare
from vsr.backends.host_buffers import HostBuffers
from vsr.backends.on_device import DeviceEngine
from vsr.backends.pool import Pool
from vsr.backends.process import first_user
from vsr.backends.resident import Resident
from vsr.backends.tensorrt.build import build_engine, serving_engine
from vsr.backends.tensorrt.cuda_graph import CapturedWork, captured
from vsr.backends.tensorrt.gpu import gpu_here, gpus_here, on_gpu
from vsr.backends.tensorrt.library import TensorRT, installed_library
from vsr.backends.tensorrt.recipe import Library, recipe_for, recipe_from_dict
from vsr.backends.tensorrt.store import EngineStore, Manifest
from vsr.core.errors import EngineBuildError, EngineNotFoundError, InferenceError, VsrError
from vsr.core.extras import install
from vsr.models.spec import GraphLayout, ModelSpec

if TYPE_CHECKING:
    import torch

_DTYPES = {"uint8": np.uint8, "float": np.float32}


class TensorRTEngine(DeviceEngine):
    """One engine of the store. Each thread that runs it has a context, a stream and buffers of its own meanwhile.

    Its results for the first frames are compared with float32, unless that was done before. Raises EngineStaleError.
    """

    def __init__(
        self,
        manifest: Manifest,
        spec: ModelSpec,
        store: EngineStore,
        say: Callable[[str], None] = lambda _doing: None,
        *,
        gpu: int = 0,
    ) -> None:
        """gpu: the one to run on, as CUDA counts them."""
        recipe = recipe_from_dict(manifest.identity.recipe)
        super().__init__(spec, recipe.graph_layout, recipe.concrete_precision)
        self.manifest, self._say = manifest, say
        self._gpu, self.dlpack_device = gpu, (2, gpu)
        self._limit_db, self._store = recipe.psnr_limit_db, store
        self._runtime_cache = store.folder / manifest.identity.key / "runtime.cache"
        self._library = installed_library(recipe.library)
        self._slots: Pool[_Slot] = Pool(IN_FLIGHT)
        self._buffers = HostBuffers(_pinned)
        self._resident: Resident[Any] = Resident()
        self._verifying = threading.Lock()
        with on_gpu(gpu):
            self._engine = self._library.load(store.plan(manifest.identity))

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.uint8]]:
        self._verify_once(lambda: inputs)
        return super().run(inputs)

    def _verify_once(self, inputs: Callable[[], Arrays]) -> None:
        if self.manifest.parity is None:
            with self._verifying:
                if self.manifest.parity is None:
                    self._say("comparing the new engine with float32, once")
                    try:
                        self.verify([inputs()])
                    finally:
                        self._say("")

    def verify(self, batches: Iterable[Arrays]) -> Parity:
        """Compare with float32, and write the result into the manifest.

        Raises EngineBuildError where the engine makes another picture; then it is removed from the store.
        """
        parity = compare(self, batches)
        if fault := parity.fault(self._limit_db):
            with contextlib.suppress(EngineNotFoundError):  # Another thread has refused the engine, too.
                self._store.remove(self.manifest.identity.key)
            raise EngineBuildError(
                f"the engine of {self.spec.id} in {self.precision} {fault}, and was removed",
                hint=self.more_exact(),
            )
        self.manifest = replace(self.manifest, parity=parity)
        self._store.record(self.manifest)
        return parity

    def outputs(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        with on_gpu(self._gpu), self._slots.taken(lambda: self._slot(inputs)) as slot:
            return slot(inputs, self._resident, self.spec.remembered(self.layout).values())

    def tensors(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        self._verify_once(lambda: {name: tensor.cpu().numpy() for name, tensor in inputs.items()})
        with on_gpu(self._gpu), self._slots.taken(lambda: self._slot(inputs)) as slot:
            return slot.on_device(inputs)

    def _slot(self, inputs: Mapping[str, Any]) -> _Slot:
        with on_gpu(self._gpu), _making:  # Translates CUDA's errors.
            try:
                return _Slot(
                    self._library, self._engine, inputs, self._runtime_cache, self._gpu, self._buffers
                )
            except BaseException as error:
                # Memory is freed here, in the context that allocated it, and not later with the traceback.
                traceback.clear_frames(error.__traceback__)
                raise

    def close(self) -> None:
        with on_gpu(self._gpu):  # Buffers are freed in the context they were made in.
            self._library.save_runtime_cache(self._runtime_cache)
            self._slots, self._buffers, self._engine = Pool(IN_FLIGHT), HostBuffers(_pinned), None
            self._resident = Resident()


def _pinned(size: int) -> NDArray[np.uint8]:
    """A buffer of this number of bytes, page-locked in the context that is pushed."""
    import pycuda.driver as cuda

    found: NDArray[np.uint8] = cuda.pagelocked_empty(size, np.uint8)
    return found


# One thread at a time makes a slot and captures its work: TensorRT's other calls might disturb the capture.
_making = threading.Lock()
_NON_BLOCKING = 1


class _Slot:
    """The memory of one run, for inputs with the shapes of `example`. The constructor runs the work once on blank frames,
    and captures it as a CUDA graph if that is possible."""

    def __init__(
        self,
        library: TensorRT,
        engine: Any,
        example: Mapping[str, Any],
        runtime_cache: Path,
        gpu: int,
        buffers: HostBuffers,
    ) -> None:
        """buffers: for the results."""
        import pycuda.driver as cuda

        self._gpu, self._buffers = gpu, buffers
        # This stream does not wait for the default one, on which FFmpeg and torch work.
        self._stream = cuda.Stream(_NON_BLOCKING)
        self._graph: CapturedWork | None = None
        self._context = library.context(engine, runtime_cache)
        self._library = (
            library  # Its cache must outlive the context: attributes are deleted in reverse order.
        )
        ports = library.ports(engine)
        self._inputs = [port.name for port in ports if port.is_input]
        for name in self._inputs:
            if not self._context.set_input_shape(name, np.shape(example[name])):
                raise InferenceError(f"the engine does not take {name} of shape {np.shape(example[name])}")
        self._host: dict[str, NDArray[Any]] = {}
        self._device: dict[str, Any] = {}
        self._made: dict[str, tuple[tuple[int, ...], Any]] = {}
        for port in ports:
            shape, kind = tuple(self._context.get_tensor_shape(port.name)), _DTYPES[port.dtype]
            if port.is_input:
                # PyCUDA makes no arrays without dimensions, as some inputs are.
                self._host[port.name] = cuda.pagelocked_zeros(shape or (1,), kind).reshape(shape)
            else:
                self._made[port.name] = shape, kind
            self._device[port.name] = cuda.mem_alloc(math.prod(shape) * np.dtype(kind).itemsize)
            self._context.set_tensor_address(port.name, int(self._device[port.name]))
        for name in self._inputs:
            cuda.memcpy_htod_async(self._device[name], self._host[name], self._stream)
        self._enqueue()
        self._stream.synchronize()  # From here on all kernels are chosen and all memory is allocated.
        if not library.captures:
            self._graph = captured(self._stream.handle, self._enqueue)

    def __call__(
        self, inputs: Arrays, resident: Resident[Any], remembered: Iterable[str]
    ) -> dict[str, NDArray[Any]]:
        """resident: inputs that are on the GPU already, and those to stay there: the `remembered` planes of this run."""
        import pycuda.driver as cuda

        for name in self._inputs:
            there = resident.find(inputs[name])
            if there is not None:
                cuda.memcpy_dtod_async(self._device[name], there, inputs[name].nbytes, self._stream)
                continue
            self._host[name][...] = inputs[name]
            cuda.memcpy_htod_async(self._device[name], self._host[name], self._stream)
        self._execute()
        found = {name: self._buffers.array(*made) for name, made in self._made.items()}
        for name, array in found.items():
            cuda.memcpy_dtoh_async(array, self._device[name], self._stream)
        for name in remembered:
            self._stay(name, found.get(name, inputs.get(name)), resident)
        self._stream.synchronize()
        return found

    def _stay(self, name: str, array: Any, resident: Resident[Any]) -> None:
        import pycuda.driver as cuda

        def fill(place: Any) -> None:
            cuda.memcpy_dtod_async(place, self._device[name], array.nbytes, self._stream)

        resident.keep(array, lambda: cuda.mem_alloc(array.nbytes), fill)

    def on_device(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Arrays in the engine's context, which torch shares."""
        import pycuda.driver as cuda
        import torch

        there = torch.device("cuda", self._gpu)
        found = {
            name: torch.empty(shape, dtype=getattr(torch, kind.__name__), device=there)
            for name, (shape, kind) in self._made.items()
        }
        # Inputs come from the default stream, and the memory of outputs may still be in use there.
        ours = torch.cuda.ExternalStream(self._stream.handle, there)  # type: ignore[no-untyped-call]
        ours.wait_stream(torch.cuda.default_stream(there))
        for name in self._inputs:
            size = self._host[name].nbytes
            cuda.memcpy_dtod_async(self._device[name], inputs[name].data_ptr(), size, self._stream)
        self._execute()
        for name, tensor in found.items():
            cuda.memcpy_dtod_async(tensor.data_ptr(), self._device[name], tensor.nbytes, self._stream)
        self._stream.synchronize()
        return found

    def _execute(self) -> None:
        if self._graph:
            self._graph.launch()
        else:
            self._enqueue()

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._stream.handle):
            raise self._library.refusal()


class TensorRTBackend:
    """See vsr.backends.base.Backend."""

    name, kinds = "tensorrt", ("cuda",)
    in_flight = IN_FLIGHT
    batch = 1  # Each batch size needs an engine of its own, and larger ones were never measured.

    def __init__(self, device: str = "cuda:0") -> None:
        self.device, self._gpu = device, gpu_number(device)

    def devices(self) -> dict[str, str]:
        try:
            return {f"cuda:{number}": name for number, name in enumerate(gpus_here())}
        except VsrError:
            return {}

    def on(self, device: str) -> TensorRTBackend:
        return TensorRTBackend(device)

    def takes_any_size(self, spec: ModelSpec, options: CompileOptions) -> bool:
        return False

    def probe(self) -> Availability:
        if not any(importlib.util.find_spec(name) for name in get_args(Library)):
            return Availability(False, "TensorRT is not installed", f"{install('rtx')} pycuda")
        try:
            library = installed_library()
            name, capability, _ = gpu_here(self._gpu)
        except VsrError as error:
            return Availability(False, error.message, error.hint or "")
        runs_on = f"{library.name} {library.version} on {name} ({capability})"
        if not library.knows(capability):
            return Availability(
                False, f"{library.name} {library.version} does not run on {name} ({capability})"
            )
        return Availability(True, runs_on, on_gpu=True)

    def compile(
        self,
        spec: ModelSpec,
        layout: GraphLayout,
        plane_shapes: Mapping[str, tuple[int, ...]],
        options: CompileOptions = DEFAULTS,
    ) -> TensorRTEngine:
        first_user(self.name).check("TensorRT")
        precision = chosen_precision(spec, options.precision, ["fp16", "bf16", "fp32", "int8", "fp8"])
        recipe, store = recipe_for(spec, layout, plane_shapes, precision), EngineStore()
        manifest = serving_engine(recipe, store, gpu=self._gpu)
        if manifest is None:
            built = build_engine(recipe, store, gpu=self._gpu, may_build=options.build, say=options.say)
            manifest = built.manifest
        return TensorRTEngine(manifest, spec, store, options.say, gpu=self._gpu)


BACKEND = TensorRTBackend()
