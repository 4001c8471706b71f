"""What lies on a device of arrays that the host has, too: the memory of a network goes there once, and stays."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

Place = TypeVar("Place")

# Of eight streams with two planes each. Planes of further streams are copied again: that is slower, and as right.
_MOST = 16


class Resident(Generic[Place]):
    """Places on a device, by the arrays whose content they hold. For any number of threads.

    Nobody changes such an array. A place is used again once its array is gone; the place of one that is there is never written.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[int, tuple[weakref.ref[NDArray[np.generic]], int, Place]] = OrderedDict()

    def find(self, array: NDArray[np.generic]) -> Place | None:
        """The place with the content of this very array; None if it has none."""
        with self._lock:
            held = self._held.get(id(array))
            return held[2] if held is not None and held[0]() is array else None

    def keep(
        self, array: NDArray[np.generic], make: Callable[[], Place], fill: Callable[[Place], None]
    ) -> None:
        """Hold the content of an array. make: allocates a place of its size, if there is no free one. fill: copies the content
        there. Raises what these raise."""
        place = self._free(array.nbytes)
        if place is None:
            place = make()
        fill(place)
        with self._lock:
            self._held[id(array)] = weakref.ref(array), array.nbytes, place
            self._held.move_to_end(id(array))
            while len(self._held) > _MOST:
                self._held.popitem(last=False)

    def _free(self, size: int) -> Place | None:
        """A place of that size whose array is gone."""
        with self._lock:
            for key, (array, held, place) in self._held.items():
                if array() is None and held == size:
                    del self._held[key]
                    return place
        return None
