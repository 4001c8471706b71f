"""Content of arrays that stays on a device: found by the very array, and never overwritten while it is there."""

from __future__ import annotations

import numpy as np

from vsr.backends.resident import Resident

made: list[np.ndarray] = []


def place() -> np.ndarray:
    made.append(np.zeros(4, np.uint8))
    return made[-1]


def kept(resident: Resident[np.ndarray], code: int) -> np.ndarray:
    array = np.full(4, code, np.uint8)
    resident.keep(array, place, lambda there: np.copyto(there, array))
    return array


def test_a_place_is_found_by_the_very_array() -> None:
    resident = Resident[np.ndarray]()
    array = kept(resident, 7)
    there = resident.find(array)
    assert there is not None
    assert (there == 7).all()
    assert resident.find(array.copy()) is None
    assert resident.find(array[:]) is None


def test_a_place_is_used_again_when_its_array_is_gone_and_not_before() -> None:
    resident = Resident[np.ndarray]()
    made.clear()
    last = kept(resident, 0)
    for code in range(1, 20):
        now = kept(resident, code)
        found = resident.find(last)
        assert found is not None
        assert (found == code - 1).all()
        last = now
    assert len(made) == 2, "two in turn"


def test_more_than_there_is_room_for_are_not_found_and_not_overwritten() -> None:
    resident = Resident[np.ndarray]()
    arrays = [kept(resident, code) for code in range(40)]
    there = [resident.find(array) for array in arrays]
    assert there[0] is None
    held = [(code, found) for code, found in enumerate(there) if found is not None]
    assert len(held) == 16
    assert all((found == code).all() for code, found in held)
