"""A GPU of the host's memory: PyCUDA's calls as TensorRT's engines need them, and contexts that compute by ONNX Runtime.

It stands where no GPU is, for all that lies between planes and an engine. Memory has addresses, and copies go through them.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import onnxruntime
import pytest

from vsr.backends.graphs.precision import guarded, in_precision
from vsr.backends.tensorrt import gpu
from vsr.backends.tensorrt.library import Port
from vsr.backends.tensorrt.recipe import EngineRecipe, recipe_from_dict
from vsr.backends.tensorrt.store import Manifest
from vsr.models.registry import find_model

_TYPES = {"uint8": np.uint8, "float": np.float32}


class Memory:
    """What `mem_alloc` gives: nothing but an address, until it is let go of."""

    by_address: ClassVar[dict[int, np.ndarray]] = {}
    used: ClassVar[set[int]] = set()
    """The GPUs on which some was allocated."""

    def __init__(self, size: int) -> None:
        Memory.used.add(_Context.current[-1])
        self._bytes = np.full(size, 255, np.uint8)
        Memory.by_address[int(self)] = self._bytes

    def __int__(self) -> int:
        return int(self._bytes.ctypes.data)

    def __del__(self) -> None:
        del Memory.by_address[int(self)]


class _Context:
    """Of one of two GPUs, on the one stack that the threads of these tests share: it is pushed and popped around each use."""

    current: ClassVar[list[int]] = []

    def __init__(self, number: int) -> None:
        self._number = number

    def push(self) -> None:
        self.current.append(self._number)

    def pop(self) -> None:
        self.current.pop()


class _Device:
    def __init__(self, number: int) -> None:
        self._number = number

    @staticmethod
    def count() -> int:
        return 2

    def retain_primary_context(self) -> _Context:
        return _Context(self._number)

    def name(self) -> str:
        return f"NVIDIA Pretence {self._number}"

    def compute_capability(self) -> tuple[int, int]:
        return 8, 9


class _Stream:
    handle = 0

    def __init__(self, flags: int = 0) -> None:
        assert flags == 1, "a stream that blocks waits for the default one"

    def synchronize(self) -> None: ...


def _pagelocked_zeros(shape: tuple[int, ...], dtype: type) -> np.ndarray:
    assert shape, "PyCUDA makes no array without dimensions"
    return np.zeros(shape, dtype)


def _pagelocked_empty(size: int, dtype: type) -> np.ndarray:
    assert _Context.current, "pages are locked in a context"
    locked.append(size)
    return np.full(size, 7, dtype)


locked: list[int] = []
"""The sizes of all memory that was page-locked for outputs."""


uploaded: list[int] = []
"""The sizes of all that went from the host to a GPU."""


def _to_device(there: Memory, here: np.ndarray, _stream: _Stream) -> None:
    uploaded.append(here.nbytes)
    Memory.by_address[int(there)][:] = here.reshape(-1).view(np.uint8)


def _to_host(here: np.ndarray, there: Memory, _stream: _Stream) -> None:
    here.reshape(-1).view(np.uint8)[:] = Memory.by_address[int(there)]


def _on_device(there: Memory, here: Memory, size: int, _stream: _Stream) -> None:
    content = Memory.by_address[int(here)]
    assert len(content) == size
    Memory.by_address[int(there)][:] = content


class _Execution:
    """An execution context of the graph that the engine was made from."""

    def __init__(self, graph: bytes, ports: tuple[Port, ...], recipe: EngineRecipe) -> None:
        self._session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        self._ports = {port.name: port for port in ports}
        spec = find_model(recipe.model)
        self._profile, self._scale = recipe.input_shapes(spec), spec.scale
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self._shapes[name] = shape
        least, _best, most = self._profile.get(name, ((), (), ()))
        return all(low <= side <= high for low, side, high in zip(least, shape, most, strict=True))

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        if name not in self._shapes and name.removesuffix("_out") in self._profile:
            *batch, height, width = self._shapes[name.removesuffix("_out")]
            return (*batch, height * self._scale, width * self._scale)
        return self._shapes.get(name, ())

    def set_tensor_address(self, name: str, address: int) -> None:
        self._addresses[name] = address

    def execute_async_v3(self, _stream: int) -> bool:
        def memory(port: Port) -> np.ndarray:
            held = Memory.by_address[self._addresses[port.name]]
            return held.view(_TYPES[port.dtype]).reshape(self.get_tensor_shape(port.name))

        given = {port.name: memory(port) for port in self._ports.values() if port.is_input}
        names = [port.name for port in self._ports.values() if not port.is_input]
        for name, found in zip(names, self._session.run(names, given), strict=True):
            memory(self._ports[name])[...] = found
        return True


class _Library:
    """In place of the library that loads engines."""

    captures = False

    def __init__(self, manifest: Manifest, recipe: EngineRecipe) -> None:
        self._ports, self._recipe = manifest.ports, recipe
        model = onnx.load(str(find_model(recipe.model).graph(recipe.graph_layout)))
        precision = recipe_from_dict(manifest.identity.recipe).concrete_precision
        self._graph = in_precision(guarded(model), precision).SerializeToString()

    def load(self, _plan: bytes) -> bytes:
        return self._graph

    def ports(self, _engine: bytes) -> tuple[Port, ...]:
        return self._ports

    def context(self, engine: bytes, _runtime_cache: Path) -> _Execution:
        return _Execution(engine, self._ports, self._recipe)

    def save_runtime_cache(self, path: Path) -> None: ...


def pretend(monkeypatch: pytest.MonkeyPatch, manifest: Manifest, recipe: EngineRecipe) -> None:
    """A GPU is here, and engines are those of `manifest`."""
    driver = types.ModuleType("pycuda.driver")
    for name, value in {
        "Error": type("Error", (Exception,), {}),
        "MemoryError": type("MemoryError", (Exception,), {}),
        "init": lambda: None,
        "get_driver_version": lambda: 13000,
        "Device": _Device,
        "Stream": _Stream,
        "mem_alloc": Memory,
        "pagelocked_zeros": _pagelocked_zeros,
        "pagelocked_empty": _pagelocked_empty,
        "memcpy_htod_async": _to_device,
        "memcpy_dtoh_async": _to_host,
        "memcpy_dtod_async": _on_device,
    }.items():
        setattr(driver, name, value)
    package = types.ModuleType("pycuda")
    package.driver = driver  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    for cached in (gpu._device, gpu._primary):
        cached.cache_clear()
    library: Any = _Library(manifest, recipe)
    monkeypatch.setattr("vsr.backends.tensorrt.backend.installed_library", lambda _name="auto": library)
