"""What `vsr compare` shows of motion: a ball that crosses the picture."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from tests.support import clips
from vsr.evaluation.compare import CompareConfig, compare
from vsr.evaluation.metrics import y_from_rgb
from vsr.evaluation.moving import Moving

Rgb = npt.NDArray[np.uint8]


def ball(left: int) -> Rgb:
    """Bright on dark, 20x20 at row 150: [300, 400, 3]."""
    picture = np.full((300, 400, 3), 40, np.uint8)
    picture[150:170, left : left + 20] = 220
    return picture


def seen(frames: Iterator[Rgb]) -> Moving:
    moving = Moving()
    for number, frame in enumerate(frames):
        moving.add(number, (frame // 2, frame), y_from_rgb(frame))
    return moving


def test_the_detail_is_where_and_when_something_moves() -> None:
    moving = seen(ball(200 + 4 * max(0, n - 8)) for n in range(24))
    assert moving.detail is not None
    assert moving.detail.first == 8
    assert len(moving.detail.crops) == 8
    top, left = moving.detail.place
    assert top <= 150
    assert left <= 200
    for crops in moving.detail.crops:
        assert [crop.shape for crop in crops] == [(72, 72, 3)] * 2
        assert crops[1].max() == 220, "the ball is in sight"
        assert np.array_equal(crops[0], crops[1] // 2)


def test_no_cut_is_in_the_detail() -> None:
    other = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8).repeat(10, 0).repeat(10, 1)
    moving = seen(ball(100 + n) if n < 12 else other for n in range(16))
    assert moving.detail is not None
    assert moving.detail.first == 0


def test_the_time_slice_is_a_column_that_something_crosses() -> None:
    moving = seen(ball(100 + 4 * n) for n in range(30))
    found = moving.time_slice()
    assert found is not None
    assert found.pictures[1].shape == (160, 30, 3)
    column = found.pictures[1][..., 0]
    crossing = [100 + 4 * n <= found.column < 120 + 4 * n for n in range(30)]
    assert [bool(each.max() == 220) for each in column.T] == crossing
    assert any(crossing)
    assert (column == 220).sum(0).max() == 20


def test_nothing_is_shown_where_nothing_moves() -> None:
    moving = seen(ball(100) for _ in range(12))
    assert (moving.detail, moving.time_slice()) == (None, None)


@pytest.mark.parametrize(("frames", "shown"), [("20", 2), ("1", 0)])
def test_the_page_shows_both(tmp_path: Path, frames: str, shown: int) -> None:
    clip = clips.make(
        f"m{frames}.mkv", "-c:v", "ffv1", "-frames:v", frames, source="testsrc2=size=160x120:rate=25"
    )
    page = tmp_path / "page.html"
    compare(CompareConfig(str(clip), str(clip), None, page))
    text = page.read_text()
    assert text.count("of a moving detail") + text.count("over time") == shown
