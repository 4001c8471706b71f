"""A stream's work captured as a CUDA graph: launched again as one, where launching its kernels takes longer than running them.

By NVIDIA's cuda-bindings, since PyCUDA captures no streams. TensorRT-RTX does this by itself.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from vsr.core.errors import InferenceError


class CapturedWork:
    """The work given to a stream between two moments, to be repeated on the same memory."""

    def __init__(self, stream: int, work: Callable[[], None]) -> None:
        """Capture `work`, which is not run. Raises ImportError or RuntimeError without cuda-bindings or a driver,
        InferenceError where it cannot be captured, and whatever `work` raises."""
        from cuda.bindings import driver

        self._driver, self._stream = driver, stream
        # Only calls of this thread may disturb the capture.
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _checked(driver.cuStreamBeginCapture(stream, mode))
        try:
            work()
        finally:
            ended = driver.cuStreamEndCapture(stream)  # Also after a failure: the stream stays in use.
        graph = _checked(ended)
        try:
            self._graph = _checked(driver.cuGraphInstantiate(graph, 0))
        finally:
            driver.cuGraphDestroy(graph)
        weakref.finalize(self, driver.cuGraphExecDestroy, self._graph)

    def launch(self) -> None:
        """Repeat the work, after the work that the stream already has. Raises InferenceError."""
        _checked(self._driver.cuGraphLaunch(self._graph, self._stream))


def captured(stream: int, work: Callable[[], None]) -> CapturedWork | None:
    """None where it cannot be captured: then it has to be done step by step."""
    try:
        return CapturedWork(stream, work)
    except (ImportError, RuntimeError, InferenceError):  # RuntimeError: there is no driver.
        return None


def _checked(result: tuple[Any, ...]) -> Any:
    error, *values = result
    if int(error):
        raise InferenceError(f"CUDA: {error}")
    return values[0] if values else None
