"""The NVIDIA GPU that is here, by PyCUDA, in the primary context, which torch and TensorRT share."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

from vsr.backends.base import out_of_memory
from vsr.core.cuda import agree_on_context
from vsr.core.errors import InferenceError, MissingDependencyError, reason


@contextmanager
def on_gpu() -> Generator[None]:
    """The first GPU, its context this thread's for the time of a `with`; its errors in our words.

    Raises MissingDependencyError without PyCUDA, a driver or a GPU; DeviceMemoryError, InferenceError.
    """
    context = _primary()
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


def gpu_here() -> tuple[str, str, str]:
    """The first GPU's name, its compute capability, as "8.9", and the CUDA version of its driver. Raises as `on_gpu` does."""
    device = _device()
    import pycuda.driver as cuda

    major, minor = device.compute_capability()
    return device.name(), f"{major}.{minor}", str(cuda.get_driver_version())


@cache
def _primary() -> Any:
    device = _device()
    import pycuda.driver as cuda

    agree_on_context()
    try:
        return device.retain_primary_context()
    except cuda.Error as error:
        raise _unusable(error) from error


@cache
def _device() -> Any:
    try:
        import pycuda.driver as cuda
    except ImportError as error:
        raise MissingDependencyError(
            f"PyCUDA cannot be loaded: {reason(error)}",
            hint="pip install pycuda (compiles with nvcc), and NVIDIA's driver",
        ) from error
    try:
        cuda.init()
        return cuda.Device(0)
    except cuda.Error as error:
        raise _unusable(error) from error


def _unusable(error: Exception) -> MissingDependencyError:
    return MissingDependencyError(
        f"no NVIDIA GPU can be used: {reason(error)}", hint="`nvidia-smi` shows those there are"
    )
