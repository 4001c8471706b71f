"""The only module that imports TensorRT, in either of its distributions: it builds engines and loads them."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from vsr.backends.base import out_of_memory
from vsr.backends.tensorrt.recipe import EngineRecipe, Library
from vsr.core.errors import (
    ConfigError,
    DeviceMemoryError,
    EngineBuildError,
    EngineStaleError,
    FileError,
    InferenceError,
    MissingDependencyError,
    reason,
)
from vsr.core.extras import install
from vsr.files.ordinary import read_ordinary
from vsr.files.whole import write_whole
from vsr.models.spec import ModelSpec, check_ports

OnProgress = Callable[[str, int, int], None]
"""Of building: the name of a phase, steps done, steps in all."""

_OLD_DRIVER = "driver version is insufficient"


def _remedy(library: str) -> str:
    """The command that installs it."""
    if library == "tensorrt_rtx":
        return install("rtx")
    return f"{install('tensorrt')} (its libraries come from NVIDIA's index; PyCUDA is compiled, with nvcc)"


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output of an engine; sides that may vary are -1."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    is_input: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """A built engine."""

    data: bytes
    ports: tuple[Port, ...]
    log: str
    timing_cache: bytes = b""


class TensorRT:
    """One distribution of TensorRT. Raises MissingDependencyError where it is not installed."""

    def __init__(self, name: Library) -> None:
        try:
            self._module: Any = importlib.import_module(name)
        except ImportError as error:
            raise MissingDependencyError(
                f"{name} cannot be loaded: {reason(error)}", hint=_remedy(name)
            ) from error
        self.name = name
        self.version: str = self._module.__version__
        self._context_config: Any = None
        self._runtime_cache: Any = None
        self._log = _make_log(self._module)
        self.captures = hasattr(self._module, "CudaGraphStrategy")
        """Whether its contexts capture their work in a CUDA graph by themselves."""

    def build(
        self,
        graph: bytes,
        path: Path,
        recipe: EngineRecipe,
        spec: ModelSpec,
        on_progress: OnProgress,
        timing_cache: bytes = b"",
    ) -> Plan:
        """Compile a frame graph of `spec`, at `path`, beside which its weights lie. `timing_cache`: measurements of earlier
        builds on this GPU, which TensorRT-RTX does not use. Ctrl-C ends the build at its next step. Raises EngineBuildError,
        WeightsError, ConfigError, MissingDependencyError for a driver that is too old."""
        trt = self._module
        log = _make_log(trt)
        builder = self._made(trt.Builder, log)
        # TensorRT-RTX and TensorRT 11 are always strongly typed; TensorRT 10 needs this flag.
        typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
        network = builder.create_network(0 if typed is None else 1 << int(typed))
        parser = trt.OnnxParser(network, log)
        if not parser.parse(graph, str(path)):
            first = str(parser.get_error(0)).strip() if parser.num_errors else "no reason given"
            raise EngineBuildError(
                f"{self.name} cannot read {path}: {first}",
                hint="if the package was copied, its files may be damaged",
            )
        inputs = [network.get_input(n).name for n in range(network.num_inputs)]
        outputs = [network.get_output(n).name for n in range(network.num_outputs)]
        shapes = recipe.input_shapes(spec)
        check_ports(path, recipe.graph_layout, inputs, outputs, shapes.keys() - recipe.plane_shapes().keys())
        config = builder.create_builder_config()
        config.builder_optimization_level = recipe.optimization_level
        if recipe.workspace_mb:
            config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, recipe.workspace_mb << 20)
        profile = builder.create_optimization_profile()
        for name, extent in shapes.items():
            profile.set_shape(name, *extent)
        config.add_optimization_profile(profile)
        config.clear_flag(trt.BuilderFlag.TF32)  # float32 means float32.
        self._aim(config, recipe.compute_capabilities)
        measures = self.name == "tensorrt"
        if measures:
            config.set_timing_cache(config.create_timing_cache(timing_cache), ignore_mismatch=False)
        monitor = _make_monitor(trt, on_progress)
        config.progress_monitor = monitor
        # The build has a thread of its own: on the thread where it runs, TensorRT swallows the exception of Ctrl-C.
        with ThreadPoolExecutor(1, "build") as pool:
            pool.submit(int).result()  # An interrupt while the thread starts would leave it behind.
            try:
                plan = pool.submit(builder.build_serialized_network, network, config).result()
            except BaseException:
                monitor.cancelled = True
                raise
        if plan is None:
            short = recipe.workspace_mb and "OutOfMemory" in log.reason
            raise EngineBuildError(
                f"{self.name} cannot build {path.name}: {log.reason}",
                hint=f"workspace_mb = {recipe.workspace_mb} may be too little" if short else None,
            )
        ports = [(network.get_input(n), True) for n in range(network.num_inputs)]
        ports += [(network.get_output(n), False) for n in range(network.num_outputs)]
        return Plan(
            bytes(plan),
            tuple(Port(p.name, p.dtype.name.lower(), tuple(p.shape), is_input) for p, is_input in ports),
            "\n".join(log.lines),
            bytes(config.get_timing_cache().serialize()) if measures else b"",
        )

    def knows(self, capability: str) -> bool:
        """Whether it can run on a GPU of a compute capability, as "8.9"; TensorRT-RTX names those it can."""
        named = self._capabilities()
        return not named or capability in named

    def load(self, plan: bytes) -> Any:
        """A built engine, ready to make execution contexts. Raises EngineStaleError where it is not for this GPU,
        MissingDependencyError where the driver is too old."""
        self._log.errors.clear()
        engine = self._made(self._module.Runtime, self._log).deserialize_cuda_engine(plan)
        if engine is None and _OLD_DRIVER in self._log.reason:
            raise self._too_old(self._log.reason)
        if engine is None:
            raise EngineStaleError(
                f"{self.name} cannot load the engine: {self._log.reason}",
                hint="`vsr engine build --again` makes it for the GPU and driver that are here",
            )
        return engine

    def context(self, engine: Any, runtime_cache: Path) -> Any:
        """An execution context. TensorRT-RTX captures its work in a CUDA graph by itself, and keeps the kernels it compiles
        for this GPU in the file `runtime_cache`, see `save_runtime_cache`. Raises DeviceMemoryError, InferenceError."""
        self._log.errors.clear()
        if self.captures and self._context_config is None:  # Contexts share it and its graphs.
            self._context_config = self._configured(engine, runtime_cache)
        config = [self._context_config] if self.captures else []
        context = engine.create_execution_context(*config)
        if context is None:
            raise self.refusal()
        return context

    def refusal(self) -> DeviceMemoryError | InferenceError:
        """The error to raise if the engine does not run, by TensorRT's message."""
        if "memory" in self._log.reason.lower():
            return out_of_memory("on the GPU")
        return InferenceError(
            f"{self.name} cannot run the engine: {self._log.reason}", hint="--backend torch runs without it"
        )

    def _configured(self, engine: Any, runtime_cache: Path) -> Any:
        trt, config = self._module, engine.create_runtime_config()
        config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
        # A context runs frames of one size: compile the kernels for it at once, instead of using others until they are ready.
        config.dynamic_shapes_kernel_specialization_strategy = (
            trt.DynamicShapesKernelSpecializationStrategy.EAGER
        )
        self._runtime_cache = config.create_runtime_cache()
        with contextlib.suppress(OSError):  # if nothing was compiled yet
            self._runtime_cache.deserialize(read_ordinary(runtime_cache))
        config.set_runtime_cache(self._runtime_cache)
        return config

    def save_runtime_cache(self, path: Path) -> None:
        """Write the kernels that were compiled for the contexts so far, for the next start."""
        data = self._runtime_cache.serialize() if self._runtime_cache is not None else None
        if data is not None:
            with contextlib.suppress(FileError):  # The store may be read-only.
                write_whole(path, bytes(data))

    def ports(self, engine: Any) -> list[Port]:
        """Inputs and outputs of a loaded engine."""
        inputs = self._module.TensorIOMode.INPUT
        return [
            Port(
                name,
                engine.get_tensor_dtype(name).name.lower(),
                tuple(engine.get_tensor_shape(name)),
                engine.get_tensor_mode(name) == inputs,
            )
            for name in (engine.get_tensor_name(number) for number in range(engine.num_io_tensors))
        ]

    def _made(self, kind: Callable[[Any], Any], log: Any) -> Any:
        """A builder or a runtime. Raises MissingDependencyError."""
        try:
            return kind(log)
        except TypeError as error:  # From pybind11, if the library makes no engine.
            raise self._too_old(log.reason) from error

    def _too_old(self, reason: str) -> MissingDependencyError:
        return MissingDependencyError(
            f"{self.name} {self.version} does not start: {reason}",
            hint="it may want a newer driver; `nvidia-smi` shows the one that is here",
        )

    def _capabilities(self) -> dict[str, Any]:
        """Compute capabilities by the names NVIDIA gives them; none where the library does not name them."""
        kinds = getattr(self._module, "ComputeCapability", None)
        members: Mapping[str, Any] = kinds.__members__ if kinds else {}
        return {f"{n[2:-1]}.{n[-1]}": value for n, value in members.items() if n.startswith("SM")}

    def _aim(self, config: Any, capabilities: Sequence[str]) -> None:
        named = self._capabilities()
        for capability in capabilities:
            if capability not in named:
                raise ConfigError(
                    f"{self.name} {self.version} does not build for compute capability {capability}",
                    hint=f"it builds for: {', '.join(named) or 'the GPU that is here'}",
                )
        if not named:
            return
        aims = [named[capability] for capability in capabilities] or [self._module.ComputeCapability.CURRENT]
        config.num_compute_capabilities = len(aims)
        for index, aim in enumerate(aims):
            config.set_compute_capability(aim, index)


def installed_library(wanted: Library | Literal["auto"] = "auto") -> TensorRT:
    """The library of that name, or the first of tensorrt and tensorrt_rtx that is there. Raises MissingDependencyError."""
    if wanted != "auto":
        return TensorRT(wanted)
    for name in get_args(Library):
        if importlib.util.find_spec(name):
            return TensorRT(name)
    raise MissingDependencyError("building engines needs TensorRT", hint=_remedy("tensorrt_rtx"))


def _make_log(trt: Any) -> Any:
    """A logger that keeps its messages. Its base class exists only once TensorRT is imported."""

    class Log(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.lines: list[str] = []
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            self.lines.append(f"{severity.name}: {message}")
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors.append(message)

        @property
        def reason(self) -> str:
            """The first error, in one line."""
            return " ".join(self.errors[0].split()) if self.errors else "no reason given"

    return Log()


def _make_monitor(trt: Any, on_progress: OnProgress) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.cancelled = False
            self._steps: dict[str, int] = {}
            self._lock = threading.Lock()  # Several threads may report phases.

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            with self._lock:
                self._steps[phase_name] = num_steps
                on_progress(phase_name, 0, num_steps)

        def phase_finish(self, phase_name: str) -> None:
            with self._lock:
                steps = self._steps.pop(phase_name, 0)
                on_progress(phase_name, steps, steps)

        def step_complete(self, phase_name: str, step: int) -> bool:
            with self._lock:
                on_progress(phase_name, step + 1, self._steps.get(phase_name, step + 1))
            return not self.cancelled

    return Monitor()
