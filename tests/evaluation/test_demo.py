"""The demo writes a video and a picture worth looking at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vsr.core.control import Control
from vsr.evaluation.demo import demo
from vsr.evaluation.pictures import side_by_side
from vsr.jobs.progress import Progress
from vsr.media.read.open import open_source
from vsr.media.samples import CLIP
from vsr.media.types import SourceOptions


@pytest.mark.slow
def test_demo_makes_the_clip_twice_as_large(tmp_path: Path) -> None:
    result = demo(tmp_path / "new" / "folder", model="fast")
    with (
        open_source(str(CLIP), SourceOptions()) as small,
        open_source(str(result.video), SourceOptions()) as large,
    ):
        assert (large.info.width, large.info.height) == (2 * small.info.width, 2 * small.info.height)
        assert sum(1 for _ in small) == sum(1 for _ in large) == result.report.frames_out
    with Image.open(result.picture) as picture:
        assert picture.width > 2 * small.info.width
    assert sorted(path.name for path in (tmp_path / "new" / "folder").iterdir()) == sorted(
        [result.video.name, result.picture.name]
    )


def test_the_crop_shows_where_the_pictures_differ(tmp_path: Path) -> None:
    left = np.full((400, 600, 3), 90, np.uint8)
    right = left.copy()
    right[200:240, 400:440] = 200
    side_by_side(left, right, ("before", "after"), tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as sheet:
        below = np.asarray(sheet)[-600:, -600:]
    assert (below == 200).all(axis=2).sum() == (40 * 4) ** 2


@pytest.mark.parametrize("frames", [0, 3])
def test_a_demo_that_is_stopped_names_what_is_there(frames: int, tmp_path: Path) -> None:
    control = Control()
    if not frames:
        control.stop()

    def stop(progress: Progress) -> None:
        if progress.frames_done >= frames:
            control.stop()

    result = demo(tmp_path, model="bicubic", control=control, progress=stop)
    assert result.picture is None
    there = [path.name for path in tmp_path.iterdir()]
    assert there == ([result.video.name] if result.video else [])
