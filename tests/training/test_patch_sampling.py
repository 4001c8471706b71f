"""Places of patches: every one of them can come, and as often as it is said to."""

from __future__ import annotations

import numpy as np
import pytest

from vsr.training import degradations
from vsr.training.patch_sampling import Places

PATCH = 16


def half_noisy(height: int, width: int) -> np.ndarray:
    """Flat on the left, on the right with noise that no enlargement brings back."""
    luma = np.full((height, width), 128, np.uint8)
    luma[:, width // 2 :] += np.random.default_rng(0).integers(0, 64, (height, width - width // 2), np.uint8)
    return luma


def drawn(pictures: list[np.ndarray], shares: list[float], error_power: float) -> tuple[np.ndarray, ...]:
    pairs = [degradations.bicubic(str(number), luma, 2) for number, luma in enumerate(pictures)]
    return Places(pairs, PATCH, np.array(shares), error_power).draw(np.random.default_rng(1), 20_000)


@pytest.mark.parametrize("error_power", [0.0, 1.0, 400.0])
def test_where_all_are_alike_every_place_comes_alike(error_power: float) -> None:
    picture, top, left = drawn([np.full((70, 90), 77, np.uint8)], [1.0], error_power)
    assert set(picture) == {0}
    counts = np.zeros((35 - PATCH + 1, 45 - PATCH + 1))
    np.add.at(counts, (top, left), 1)
    assert counts.min() > 0
    # 20,000 draws of 600 places: about 33 each, rarely further off than four deviations.
    assert np.abs(counts - counts.mean()).max() < 4.5 * counts.mean() ** 0.5


def test_error_draws_places_within_a_picture_and_not_pictures() -> None:
    noisy, flat = half_noisy(128, 256), np.full((128, 256), 128, np.uint8)
    picture, _, left = drawn([noisy, flat], [0.25, 0.75], 1.0)
    assert np.mean(picture == 0) == pytest.approx(0.25, abs=0.02)
    inside = left[picture == 0]
    # Patches that begin at 48 and further left see none of the noise, which begins at 64: 43 % of the places.
    assert np.mean(inside <= 44) < 0.01
    assert np.mean(inside >= 64) > 0.6
    assert np.mean(left[picture == 1] <= 44) == pytest.approx(45 / 113, abs=0.02)


def test_a_smaller_power_is_between() -> None:
    shares = []
    for power in (0.0, 0.25, 1.0):
        _, _, left = drawn([half_noisy(128, 256)], [1.0], power)
        shares.append(np.mean(left <= 44))
    assert shares[0] > 1.5 * shares[1] > 1.5 * shares[2]
