"""OpenVINO: the engine on processors; by its plugins also on GPUs and NPUs of Intel."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import importlib.util
import os
import platform
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vsr.backends import openvino_runtime as runtime
from vsr.backends.base import (
    DEFAULTS,
    Arrays,
    Availability,
    CompileOptions,
    Engine,
    Steps,
    chosen_precision,
    not_there,
    out_of_memory,
    unasked_precisions,
)
from vsr.backends.graphs import openvino_form
from vsr.backends.graphs.openvino_form import in_openvino_form
from vsr.backends.kept_graphs import KeptGraphs, key_of
from vsr.backends.process import first_user
from vsr.core.errors import EngineBuildError, InferenceError, is_out_of_memory
from vsr.core.limits import cores
from vsr.core.version import __version__
from vsr.models.spec import GraphLayout, ModelSpec, Precision, check_ports

if TYPE_CHECKING:
    import openvino


_FEW_CORES = 4
# If OpenVINO knows the size, it joins elementwise steps, and results are rounded differently. It keeps its code for each size,
# some 20 parts in a graph: the cache holds some tens of sizes, not thousands.
_FOR_ANY_SIZE: Mapping[str, str | int] = {"SNIPPETS_MODE": "DISABLE", "CPU_RUNTIME_CACHE_CAPACITY": 500}
_KEPT = KeptGraphs()


class OpenVinoEngine(Engine):
    """One compiled model on the CPU, and as many requests as threads run it at once."""

    def __init__(
        self, compiled: openvino.CompiledModel, precision: Precision, scale: int, in_flight: int
    ) -> None:
        self.precision, self._scale = precision, scale
        self._idle: SimpleQueue[openvino.InferRequest] = SimpleQueue()
        for _ in range(in_flight):
            self._idle.put(compiled.create_infer_request())
        # Samples of more than 8 bits may go in and come out whole.
        self._inputs = {port.get_any_name(): port.element_type.to_dtype() for port in compiled.inputs}
        self._outputs = {
            port.get_any_name(): (
                None if port.partial_shape.is_dynamic else tuple(port.shape),
                port.element_type.to_dtype(),
            )
            for port in compiled.outputs
        }

    def run(self, inputs: Arrays) -> dict[str, NDArray[np.uint8]]:
        with self._request() as request:
            _shared = self._copy_in(request, inputs)
            return self._compute(request)

    @contextmanager
    def steps(self, inputs: Arrays) -> Generator[Steps]:
        """See Engine.steps. Nothing is copied out: results are computed to where they stay, memory that is new each time."""
        with self._request() as request:
            shared = [self._copy_in(request, inputs)]

            def copy_in() -> None:
                shared[0] = self._copy_in(request, inputs)

            def compute() -> None:
                self._compute(request)

            yield {"copy in": copy_in, "compute": compute}

    @contextmanager
    def _request(self) -> Generator[openvino.InferRequest]:
        """A request that no other thread uses meanwhile; raises vsr's errors for OpenVINO's."""
        request = self._idle.get()  # A request makes one picture at a time.
        try:
            yield request
        except (MemoryError, RuntimeError) as error:
            if is_out_of_memory(error):
                raise out_of_memory() from error
            raise InferenceError(f"OpenVINO: {_last_line(error)}") from error
        finally:
            self._idle.put(request)

    def _copy_in(self, request: openvino.InferRequest, inputs: Arrays) -> list[NDArray[np.generic]]:
        """Hand the inputs over. The returned arrays must live until the run ends, because OpenVINO does not keep them alive."""
        import openvino

        shared = []
        for name, dtype in self._inputs.items():
            # OpenVINO takes no read-only arrays, and Pillow's are read-only.
            shared.append(np.require(inputs[name], requirements=["C", "W"]).view(dtype))
            request.set_tensor(name, openvino.Tensor(shared[-1], shared_memory=True))
        return shared

    def _compute(self, request: openvino.InferRequest) -> dict[str, NDArray[np.uint8]]:
        import openvino

        outputs = {}
        # vsr's own output arrays, so that they outlive the next run.
        for name, (shape, dtype) in self._outputs.items():
            large = np.empty(shape or self._larger(request, name), dtype)
            outputs[name] = large.view(np.uint8)
            request.set_tensor(name, openvino.Tensor(large, shared_memory=True))
        # Not `infer`: that holds the interpreter's lock.
        request.start_async(share_inputs=True)
        request.wait()
        return outputs

    def _larger(self, request: openvino.InferRequest, output: str) -> tuple[int, ...]:
        """The shape of an output, by the plane that was handed over."""
        *batch, height, width = request.get_tensor(output.removesuffix("_out")).shape
        return (*batch, height * self._scale, width * self._scale)


class OpenVinoBackend:
    """See vsr.backends.base.Backend."""

    name, kinds, device = "openvino", runtime.KINDS, "cpu"
    batch = 1

    @property
    def in_flight(self) -> int:
        """One frame more than are computed at a time: its planes are prepared meanwhile.

        Each frame has one core: with two, a thread that waits for a core holds up the other. On many cores a frame has
        several threads, because memory has its limits; the best number was not measured there.
        """
        return 1 + max(min(cores(), _FEW_CORES), cores() // _FEW_CORES) if self.device == "cpu" else 1

    def devices(self) -> dict[str, str]:
        try:
            return runtime.devices()
        except (MemoryError, RuntimeError, ImportError):
            return {}

    def on(self, device: str) -> OpenVinoBackend:
        there = copy.copy(self)
        there.device = device
        return there

    def probe(self) -> Availability:
        if importlib.util.find_spec("openvino") is None:
            return Availability(False, "openvino is not installed", "pip install openvino")
        try:
            # The processor is always there. Listing other devices loads their plugins, which takes as long as all else here.
            devices = runtime.devices() if self.device != "cpu" else {"cpu": runtime.name_of("CPU")}
            if self.device not in devices:
                return not_there(self.device, devices)
            precisions = ", ".join(runtime.precisions(self.device))
        except (MemoryError, RuntimeError, ImportError) as error:
            # The second is what a thread without room for its stack says.
            if is_out_of_memory(error) or "Resource temporarily unavailable" in str(error):
                return Availability(False, "out of memory while OpenVINO is loaded", "close other programs")
            return Availability(
                False, f"OpenVINO finds no CPU plugin: {_last_line(error)}", "reinstall openvino"
            )
        return Availability(True, f"{devices[self.device]}, {precisions}")

    def precisions(self, spec: ModelSpec) -> list[Precision]:
        """The precisions that can be compared by speed for a network, if the user names none. The first is used without a
        comparison. An empty list on devices other than processors."""
        return unasked_precisions(spec, runtime.precisions(self.device)) if self.device == "cpu" else []

    def facts(self) -> dict[str, object]:
        """The versions and the processor, which decide the compiled code and its speed."""
        import openvino

        return {
            "vsr": __version__,
            "openvino": openvino.get_version(),
            "processor": [runtime.name_of("CPU"), cores(), os.cpu_count(), sorted(runtime.flags())],
        }

    def compile(
        self,
        spec: ModelSpec,
        layout: GraphLayout,
        plane_shapes: Mapping[str, tuple[int, ...]],
        options: CompileOptions = DEFAULTS,
    ) -> OpenVinoEngine:
        first_user(self.name).check("OpenVINO")
        precision, others = self._chosen(spec, options)
        config = {"INFERENCE_PRECISION_HINT": runtime.HINTS[others], **_division(self.device, options)}
        if options.stills and self.takes_any_size(spec, options):
            config |= _FOR_ANY_SIZE
        path = spec.graph(layout, int8=precision == "int8")
        try:
            key = self._key(spec, path, plane_shapes, config)
            compiled = _kept(key, config)
            if compiled is None:
                model = runtime.core().read_model(path)
                memory = spec.memory_shapes(layout, plane_shapes)
                check_ports(path, layout, _names(model.inputs), _names(model.outputs), memory)
                model.reshape({name: list(shape) for name, shape in {**plane_shapes, **memory}.items()})
                in_openvino_form(model, layout.plane_names, layout.bytes_per_sample)
                compiled = runtime.core().compile_model(model, runtime.own_name(self.device), config)
                _keep(key, compiled)
            return OpenVinoEngine(compiled, precision, spec.scale, options.in_flight)
        except (MemoryError, RuntimeError) as error:
            # RuntimeError comes from a thread that gets no stack.
            if is_out_of_memory(error) or "Resource temporarily unavailable" in str(error):
                raise out_of_memory() from error
            where, hint = "", "if the package was copied, copy it again: its files may be damaged"
            if self.device != "cpu":
                where, hint = f" for {self.device}", "--device cpu"
            raise EngineBuildError(
                f"OpenVINO cannot compile {spec.id} ({layout.name}){where}: {_last_line(error)}", hint=hint
            ) from error

    def takes_any_size(self, spec: ModelSpec, options: CompileOptions) -> bool:
        # In half precision, and on other processors, nothing shows that the same codes come out.
        here = self.device == "cpu" and platform.machine().lower() in ("x86_64", "amd64")
        return here and self._chosen(spec, options)[1] == "fp32"

    def _chosen(self, spec: ModelSpec, options: CompileOptions) -> tuple[Precision, Precision]:
        """(precision of the network, precision of its parts outside 8 bits): for int8, the first convolution and the graph
        around the network. Both are equal for other precisions."""
        offered = runtime.precisions(self.device)
        precision = chosen_precision(spec, options.precision, offered)
        if precision != "int8":
            return precision, precision
        return precision, chosen_precision(spec, None, [p for p in offered if p != "int8"])

    def _key(
        self,
        spec: ModelSpec,
        graph: Path,
        plane_shapes: Mapping[str, tuple[int, ...]],
        config: Mapping[str, str | int],
    ) -> str:
        """The key of a graph compiled for a processor: a hash of everything that may change it. "" for other devices."""
        if self.device != "cpu":
            return ""
        try:
            facts = {
                **self.facts(),
                "form": hashlib.sha256(Path(openvino_form.__file__).read_bytes()).hexdigest(),
                "graph": hashlib.sha256(graph.read_bytes()).hexdigest(),
                "package": spec.numbers_hash,
                "shapes": plane_shapes,
                "config": config,
            }
        except OSError:  # Compiling reports the reason.
            return ""
        return key_of(facts)


def _kept(key: str, config: Mapping[str, str | int]) -> openvino.CompiledModel | None:
    graph = _KEPT.find(key) if key else None
    if graph is not None:
        with contextlib.suppress(MemoryError, RuntimeError):
            return runtime.core().import_model(graph, "CPU", config)
    return None


def _keep(key: str, compiled: openvino.CompiledModel) -> None:
    if key and not _KEPT.full:
        with contextlib.suppress(MemoryError, RuntimeError):
            compiled.export_model(graph := BytesIO())
            _KEPT.keep(key, graph.getvalue())


def _division(device: str, options: CompileOptions) -> dict[str, str | int]:
    """OpenVINO's options that divide a device among the runs in progress."""
    if device != "cpu":
        return {"PERFORMANCE_HINT": "LATENCY"}
    threads = options.threads or cores()
    config: dict[str, str | int] = {
        "NUM_STREAMS": max(1, min(options.in_flight - 1, threads)),
        # Bound to processors, threads would wait for the decoder, the encoder, and for another vsr bound to the same.
        "ENABLE_CPU_PINNING": False,
    }
    if threads != os.cpu_count():  # Else OpenVINO chooses: it knows which processors share a core.
        config["INFERENCE_NUM_THREADS"] = threads
    return config


def run_once(graph: bytes, inputs: Arrays) -> dict[str, NDArray[np.generic]]:
    """Run an ONNX graph in float32, a single time. Raises InferenceError."""
    try:
        compiled = runtime.core().compile_model(
            runtime.core().read_model(graph), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
        )
        wanted = {port.get_any_name() for port in compiled.inputs}
        found = compiled({name: array for name, array in inputs.items() if name in wanted})
        return {port.get_any_name(): value for port, value in found.items()}
    except (MemoryError, RuntimeError) as error:
        raise InferenceError(f"OpenVINO: {_last_line(error)}") from error


def _names(ports: Iterable[Any]) -> list[str]:
    return [port.get_any_name() for port in ports]


def _last_line(error: BaseException) -> str:
    # The first line of OpenVINO's message names one of its source files; the last line says what went wrong.
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


BACKEND = OpenVinoBackend()
