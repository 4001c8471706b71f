"""Memory of the host that is used again once nobody looks at it."""

from __future__ import annotations

import gc
import random
import threading
import weakref

import numpy as np
import pytest

from tests.support.processes import PATIENCE_S
from vsr.backends.host_buffers import HostBuffers

SHAPE = (2, 1, 8, 16)
SIZE = 2 * 8 * 16


class Memory(np.ndarray):
    """A buffer that weak references may point to."""


class Buffers(HostBuffers):
    def __init__(self, most_bytes: int = 1 << 20) -> None:
        self.made: list[weakref.ref[Memory]] = []
        super().__init__(self._make, most_bytes)

    def _make(self, size: int) -> np.ndarray:
        memory = np.zeros(size, np.uint8).view(Memory)
        self.made.append(weakref.ref(memory))
        return memory


def address(array: np.ndarray) -> int:
    return int(array.ctypes.data)


def test_memory_comes_back_when_the_last_view_of_it_is_gone() -> None:
    buffers = Buffers()
    array = buffers.array(SHAPE, np.uint8)
    assert (array.shape, array.dtype, array.flags.writeable) == (SHAPE, np.uint8, True)
    first = address(array)
    view = array[1, 0, 2:4, ::2].T
    bytes_of_it = memoryview(view[1:])  # type: ignore[arg-type]
    other = buffers.array(SHAPE, np.uint8)
    assert address(other) != first
    del array
    assert address(buffers.array(SHAPE, np.uint8)) != first
    del view
    gc.collect()
    assert address(buffers.array(SHAPE, np.uint8)) != first, "a memoryview is left"
    bytes_of_it.release()
    del bytes_of_it
    assert address(buffers.array((SIZE // 4,), np.float32)) == first
    assert len(buffers.made) == 3


def test_tensors_hold_it_too() -> None:
    torch = pytest.importorskip("torch")
    buffers = Buffers()
    tensor = torch.from_numpy(buffers.array(SHAPE, np.uint8))[0, 0]
    first = tensor.data_ptr()
    assert address(buffers.array(SHAPE, np.uint8)) != first
    del tensor
    found = {address(array) for array in [buffers.array(SHAPE, np.uint8) for _ in range(2)]}
    assert first in found


def test_a_count_without_dimensions_is_an_array_too() -> None:
    count = Buffers().array((), np.float32)
    count[...] = 3
    assert (int(count), count.shape) == (3, ())


def test_so_much_is_page_locked_and_no_more() -> None:
    buffers = Buffers(most_bytes=3 * SIZE)
    held = [buffers.array(SHAPE, np.uint8) for _ in range(5)]
    assert len({address(array) for array in held}) == 5
    assert len(buffers.made) == 3
    for number, array in enumerate(held):
        array[:] = number
    assert [int(array.max()) for array in held] == [int(array.min()) for array in held] == [0, 1, 2, 3, 4]
    locked = {address(array) for array in held[:3]}
    del array
    held.clear()
    assert {address(array) for array in [buffers.array(SHAPE, np.uint8) for _ in range(3)]} == locked


def test_what_could_not_be_made_does_not_count() -> None:
    def full(_size: int) -> np.ndarray:
        raise MemoryError("no page can be locked")

    buffers = HostBuffers(full, most_bytes=SIZE)
    for _ in range(3):
        with pytest.raises(MemoryError, match="no page"):
            buffers.array(SHAPE, np.uint8)


def test_when_the_engine_is_gone_its_memory_goes_with_the_last_frame() -> None:
    buffers = Buffers()
    kept, dropped = buffers.array(SHAPE, np.uint8), buffers.array(SHAPE, np.uint8)
    kept[:] = 5
    del dropped
    held, idle = buffers.made
    del buffers
    gc.collect()
    assert idle() is None
    assert held() is not None
    assert (kept == 5).all()
    del kept
    gc.collect()
    assert held() is None


def test_threads_never_get_what_another_holds() -> None:
    buffers = Buffers()
    wrong: list[str] = []

    def use(seed: int) -> None:
        chance = random.Random(seed)
        held: list[tuple[int, np.ndarray]] = []
        for number in range(300):
            array = buffers.array(SHAPE, np.uint8)
            array[:] = value = (31 * seed + number) % 256
            held.append((value, array[0, 0, 1:]))
            del array
            if len(held) > 6:
                value, view = held.pop(chance.randrange(len(held)))
                if (view != value).any():
                    wrong.append(f"{seed}: {number}")
                del view

    threads = [threading.Thread(target=use, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not wrong
    assert len(buffers.made) <= 4 * 8
