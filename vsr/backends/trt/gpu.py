"""The NVIDIA GPU that is here, by PyCUDA, in the primary context, which torch and TensorRT share. No GPU has run this yet."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from typing import Any

from vsr.core.errors import DeviceMemoryError, InferenceError, MissingDependencyError


@contextmanager
def on_gpu() -> Generator[Any]:
    """The first GPU, its context this thread's for the time of a `with`; its errors in our words.

    Raises MissingDependencyError without PyCUDA, a driver or a GPU; DeviceMemoryError, InferenceError.
    """
    device, context = _primary()
    import pycuda.driver as cuda

    context.push()
    try:
        yield device
    except cuda.MemoryError as error:
        raise DeviceMemoryError(
            "not enough memory on the GPU for a frame of this size", hint="try --tile 512"
        ) from error
    except cuda.Error as error:
        raise InferenceError(f"CUDA: {error}") from error
    finally:
        context.pop()


def gpu_here() -> tuple[str, str, str]:
    """The first GPU's name, its compute capability, as "8.9", and the CUDA version of its driver. Raises as `on_gpu` does."""
    with on_gpu() as device:
        import pycuda.driver as cuda

        major, minor = device.compute_capability()
        return device.name(), f"{major}.{minor}", str(cuda.get_driver_version())


@cache
def _primary() -> tuple[Any, Any]:
    try:
        import pycuda.driver as cuda
    except ImportError as error:
        raise MissingDependencyError(
            f"PyCUDA cannot be loaded: {error}",
            hint="pip install pycuda (compiles with nvcc), and NVIDIA's driver",
        ) from error
    try:
        cuda.init()
        device = cuda.Device(0)
        return device, device.retain_primary_context()
    except cuda.Error as error:
        raise MissingDependencyError(
            f"no NVIDIA GPU can be used: {error}", hint="`nvidia-smi` shows those there are"
        ) from error
