"""Animations: how often they play, and how long each picture stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.support import clips
from tests.support.sinks import through
from vsr.core.errors import EncodeError
from vsr.media.outputs import default_output

DURATIONS = [100, 250, 50, 700]


def animation(path: Path, **options: object) -> Path:
    pictures = [Image.new("RGB", (48, 32), (60 * i, 60, 200 - 30 * i)) for i in range(4)]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=DURATIONS, **options)
    return path


def told(path: Path) -> tuple[list[float], object]:
    """Milliseconds of each picture, and the loop count as it stands in the file."""
    with Image.open(path) as image:
        durations = []
        for i in range(image.n_frames):  # type: ignore[attr-defined]
            image.seek(i)
            image.load()
            durations.append(image.info["duration"])
        return durations, image.info.get("loop")


@pytest.mark.parametrize(
    ("given", "loop", "output", "expected"),
    [
        ("in.png", 2, "out.apng", 2),
        ("in.png", 0, "out.webp", 0),
        ("in.webp", 3, "out.webp", 3),
        ("in.webp", 1, "out.gif", None),
        ("in.gif", 0, "out.webp", 0),
        ("in.gif", 0, "out.gif", 0),
        ("in.gif", 3, "out.gif", 3),
        ("in.gif", 3, "out.apng", 4),  # GIF counts how often it plays again
        ("in.gif", None, "out.gif", None),
        ("in.gif", None, "out.apng", 1),
    ],
)
def test_loops_and_every_duration_stay(
    given: str, loop: int | None, output: str, expected: int | None, tmp_path: Path
) -> None:
    options = {} if loop is None else {"loop": loop}
    sink = through(animation(tmp_path / given, **options), tmp_path / output)
    assert told(tmp_path / output) == (DURATIONS, expected)
    assert not any("plays" in warning for warning in sink.warnings)


def test_a_video_cannot_say_how_often_it_plays(tmp_path: Path) -> None:
    given = animation(tmp_path / "in.gif", loop=0)
    sink = through(given, tmp_path / "out.mkv")
    assert "that it plays endlessly is left out: matroska has no place for it" in sink.warnings
    sink = through(animation(tmp_path / "once.gif"), tmp_path / "once.mkv")
    assert not any("plays" in warning for warning in sink.warnings)


def test_a_video_becomes_an_animation_that_ends_in_time(tmp_path: Path) -> None:
    through(clips.h264("cfr.mp4"), tmp_path / "out.webp")
    durations, _ = told(tmp_path / "out.webp")
    assert durations == [40] * 25


@pytest.mark.parametrize(("frames", "expected"), [(1, "in_x2.png"), (4, "in_x2.apng")])
def test_png_that_moves_is_named_apng(frames: int, expected: str, tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (48, 32), (60 * i, 60, 0)) for i in range(frames)]
    pictures[0].save(tmp_path / "in.png", save_all=True, append_images=pictures[1:])
    assert default_output([str(tmp_path / "in.png")], 2) == [str(tmp_path / expected)]


def test_a_picture_cannot_hold_an_animation(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="holds one picture") as caught:
        through(animation(tmp_path / "in.png"), tmp_path / "out.png")
    assert ".apng" in str(caught.value.hint)
