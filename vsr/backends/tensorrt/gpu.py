"""The NVIDIA GPU that is here, by PyCUDA, in the primary context, which torch and TensorRT share."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

from vsr.backends.base import out_of_memory
from vsr.backends.devices import listed
from vsr.core.cuda import agree_on_context
from vsr.core.errors import InferenceError, MissingDependencyError, reason


@contextmanager
def on_gpu(number: int) -> Generator[None]:
    """A GPU as CUDA counts them, its context this thread's for the time of a `with`; its errors in our words.

    Raises MissingDependencyError without PyCUDA, a driver or a GPU; DeviceMemoryError, InferenceError.
    """
    context = _primary(number)
    import pycuda.driver as cuda

    context.push()
    try:
        yield
    except cuda.MemoryError as error:
        raise out_of_memory("on the GPU") from error
    except cuda.Error as error:
        raise InferenceError(f"CUDA: {reason(error)}") from error
    finally:
        context.pop()


def gpus_here() -> list[str]:
    """The names of all GPUs. Raises as `on_gpu` does."""
    first = _device(0)
    return [_device(number).name() for number in range(type(first).count())]


def gpu_here(number: int) -> tuple[str, str, str]:
    """A GPU's name, its compute capability, as "8.9", and the CUDA version of its driver. Raises as `on_gpu` does."""
    device = _device(number)
    import pycuda.driver as cuda

    major, minor = device.compute_capability()
    return device.name(), f"{major}.{minor}", str(cuda.get_driver_version())


@cache
def _primary(number: int) -> Any:
    device = _device(number)
    import pycuda.driver as cuda

    agree_on_context()
    try:
        return device.retain_primary_context()
    except cuda.Error as error:
        raise _unusable(error) from error


@cache
def _device(number: int) -> Any:
    try:
        import pycuda.driver as cuda
    except ImportError as error:
        raise MissingDependencyError(
            f"PyCUDA cannot be loaded: {reason(error)}",
            hint="pip install pycuda (compiles with nvcc), and NVIDIA's driver",
        ) from error
    try:
        cuda.init()
        if number < (count := cuda.Device.count()) or not number:
            return cuda.Device(number)
    except cuda.Error as error:
        raise _unusable(error) from error
    there = {f"cuda:{known}": cuda.Device(known).name() for known in range(count)}
    raise MissingDependencyError(
        f"this machine has no cuda:{number}", hint=f"this machine has {listed(there)}"
    )


def _unusable(error: Exception) -> MissingDependencyError:
    return MissingDependencyError(
        f"no NVIDIA GPU can be used: {reason(error)}", hint="`nvidia-smi` lists the GPUs"
    )
