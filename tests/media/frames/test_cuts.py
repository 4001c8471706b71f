"""What the scene-cut detector takes for a cut, on drawn scenes and on the clip that comes with vsr."""

from collections.abc import Callable
from itertools import islice

import numpy as np
import numpy.typing as npt
import pytest

from vsr.evaluation.datasets import luma8
from vsr.media.frames.cuts import is_cut, thumbnail
from vsr.media.read.open import open_source
from vsr.media.samples import CLIP
from vsr.media.types import SourceOptions

Luma = npt.NDArray[np.uint8]
Change = Callable[[Luma], Luma]

_WIDTH, _HEIGHT = 640, 360


def _scene(seed: int) -> Luma:
    """Bright and dark boxes of all sizes: [360, 800], of which a frame shows 640 columns."""
    rng = np.random.default_rng(seed)
    luma = np.full((_HEIGHT, _WIDTH + 160), 110.0)
    for _ in range(120):
        top, left = rng.integers(_HEIGHT), rng.integers(luma.shape[1])
        height, width = rng.integers(20, 120, 2)
        luma[top : top + height, left : left + width] = rng.integers(30, 200)
    return luma.astype(np.uint8)


def _found(before: Luma, now: Luma) -> bool:
    return is_cut(thumbnail(before), thumbnail(now))


def test_another_scene_is_a_cut_in_8_and_in_10_bits() -> None:
    before, now = (_scene(seed)[:, :_WIDTH] for seed in (1, 2))
    assert _found(before, now)
    assert not _found(before, before)
    deep = [(luma.astype(np.uint16) << 2) for luma in (before, now)]
    assert np.allclose(thumbnail(deep[0], 10), thumbnail(before), atol=1)
    assert is_cut(thumbnail(deep[0], 10), thumbnail(deep[1], 10))
    assert not is_cut(thumbnail(deep[0], 10), thumbnail(before))


@pytest.mark.parametrize(
    "change",
    [
        lambda scene: scene[:, 50 : 50 + _WIDTH],
        lambda scene: (scene[:, :_WIDTH] * 0.9).astype(np.uint8),
        lambda scene: (scene[:, :_WIDTH] * 1.1 + 30).astype(np.uint8),
        lambda scene: np.where(np.indices((_HEIGHT, _WIDTH))[1] < 160, 20, scene[:, :_WIDTH]).astype(
            np.uint8
        ),
    ],
    ids=["a fast pan", "a step of a fade", "a flash", "something large that came into sight"],
)
def test_the_same_scene_is_none(change: Change) -> None:
    scene = _scene(1)
    assert not _found(scene[:, :_WIDTH], change(scene))
    assert not _found(change(scene), scene[:, :_WIDTH])


def test_the_cut_of_a_film_is_found_and_nothing_else() -> None:
    with open_source(str(CLIP), SourceOptions()) as source:
        small = [thumbnail(luma8(frame)) for frame in islice(source, 94)]
    assert [n for n in range(1, len(small)) if is_cut(small[n - 1], small[n])] == [93]


@pytest.mark.parametrize("shape", [(1, 1), (7, 90), (2000, 5), (33, 64)])
def test_any_size_is_compared(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    luma = rng.integers(0, 256, shape, np.uint8)
    assert max(thumbnail(luma).shape) <= 96
    assert not _found(luma, luma)


def test_another_size_is_a_cut() -> None:
    luma = np.full((90, 160), 100, np.uint8)
    assert _found(luma, np.ascontiguousarray(luma.T))
