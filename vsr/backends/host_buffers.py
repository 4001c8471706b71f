"""Memory of the host that a GPU copies to, page-locked. Locking pages takes longer than copying to them: it is used again."""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

MOST_BYTES = 1 << 30
"""Page-locked by one engine for its outputs. The frames that wait in `vsr upscale` take less, but for the largest."""


class HostBuffers:
    """Arrays on memory that comes back by itself, once neither the array nor any view of it is left. For any number of threads.

    allocate: makes so many bytes, a flat uint8 array. most_bytes: kept, and in use; beyond it arrays lie in ordinary memory.
    """

    def __init__(self, allocate: Callable[[int], NDArray[np.uint8]], most_bytes: int = MOST_BYTES) -> None:
        self._allocate, self._most_bytes = allocate, most_bytes
        # Unused buffers, by size. The garbage collector puts buffers back, and may interrupt anything: a deque needs no lock.
        self._free: defaultdict[int, deque[NDArray[np.uint8]]] = defaultdict(deque)
        self._lock, self._bytes = threading.Lock(), 0

    def array(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """A new array, its contents arbitrary, which is the caller's to keep. Raises what `allocate` raises."""
        kind = np.dtype(dtype)
        buffer = self._buffer(int(np.prod(shape)) * kind.itemsize)
        if buffer is None:
            return np.empty(shape, kind)
        return np.asarray(_Lent(buffer, shape, kind, self._free[len(buffer)]))

    def _buffer(self, size: int) -> NDArray[np.uint8] | None:
        with self._lock:
            try:
                return self._free[size].pop()
            except IndexError:
                if self._bytes + size > self._most_bytes:
                    return None
                self._bytes += size
        try:
            return self._allocate(size)
        except BaseException:
            with self._lock:
                self._bytes -= size
            raise


class _Lent:
    """The object to which arrays on a buffer refer: when the last array is freed, so is the buffer."""

    def __init__(
        self,
        buffer: NDArray[np.uint8],
        shape: tuple[int, ...],
        kind: np.dtype[Any],
        free: deque[NDArray[np.uint8]],
    ) -> None:
        self._buffer, self._free = buffer, weakref.ref(free)
        self.__array_interface__ = {
            "version": 3, "shape": shape, "typestr": kind.str, "data": (buffer.ctypes.data, False)
        }  # fmt: skip

    def __del__(self) -> None:
        if (free := self._free()) is not None:  # Else the engine is closed.
            free.append(self._buffer)
