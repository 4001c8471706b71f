"""One suite over every kind of source. A new container, picture format or way in is one more line of SOURCES."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from tests.support import clips
from tests.support.left_behind import Held
from tests.support.processes import PATIENCE_S
from tests.support.serving import served
from vsr.media.read.open import open_source
from vsr.media.types import Source

Prepare = Callable[[Path, ExitStack], Path | str]


def _clip(name: str, *args: str) -> Prepare:
    return lambda _folder, _stack: clips.make(f"source{name}", *args, "-pix_fmt", "yuv420p")


def _pictures(name: str, count: int = 1, **options: object) -> Prepare:
    """As Pillow writes them; in one file where the name holds no number."""

    def prepare(folder: Path, _stack: ExitStack) -> Path:
        pictures = [Image.new("RGB", (48, 32), (60 * i, 60, 200 - 30 * i)) for i in range(count)]
        if "%" in name:
            for number, picture in enumerate(pictures, 1):
                picture.save(folder / (name % number))
        elif count > 1:
            pictures[0].save(folder / name, save_all=True, append_images=pictures[1:], **options)
        else:
            pictures[0].save(folder / name)
        return folder / name

    return prepare


def _pipe(folder: Path, stack: ExitStack) -> Path:
    path, fifo = clips.h264("contract-piped.ts"), folder / "fifo"

    def feed() -> None:
        with contextlib.suppress(BrokenPipeError):  # the reader may leave early
            fifo.write_bytes(path.read_bytes())

    os.mkfifo(fifo)
    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    stack.callback(feeder.join, PATIENCE_S)
    return fifo


def _address(_folder: Path, stack: ExitStack) -> str:
    return stack.enter_context(served(clips.h264("contract-served.mkv")))


# Name, what makes it, how many frames it holds.
SOURCES: list[tuple[str, Prepare, int]] = [
    ("mp4", _clip(".mp4", "-c:v", "libx264"), 25),
    ("mkv", _clip(".mkv", "-c:v", "libx264"), 25),
    ("mov", _clip(".mov", "-c:v", "libx264"), 25),
    ("ts", _clip(".ts", "-c:v", "libx264"), 25),
    ("avi", _clip(".avi", "-c:v", "mpeg4"), 25),
    ("webm", _clip(".webm", "-c:v", "libvpx-vp9"), 25),
    ("y4m", _clip(".y4m"), 25),
    ("png", _pictures("in.png"), 1),
    ("jpeg", _pictures("in.jpg"), 1),
    ("tiff", _pictures("in.tif"), 1),
    ("webp", _pictures("in.webp"), 1),
    ("gif that moves", _pictures("in.gif", 4), 4),
    ("webp that moves", _pictures("in.webp", 4), 4),
    ("sequence", _pictures("%03d.png", 4), 4),
    ("pipe", _pipe, 25),
    ("address", _address, 25),
]


@dataclass
class Given:
    """An opened source, and how many frames it holds."""

    source: Source
    frames: int


@pytest.fixture(params=SOURCES, ids=[name for name, _, _ in SOURCES])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Given]:
    _, prepare, frames = request.param
    before = Held.now()
    with ExitStack() as stack:
        source = open_source(str(prepare(tmp_path, stack)))
        stack.callback(source.close)
        yield Given(source, frames)
    assert not (left := before.left_behind()), left


def test_it_is_read_once_and_counts_its_frames(given: Given) -> None:
    frames = [(frame.pts * frame.time_base, frame.index) for frame in given.source]
    assert len(frames) == given.frames == given.source.counters.frames
    assert frames == sorted(set(frames))
    assert [index for _, index in frames] == list(range(given.frames))
    assert list(given.source) == []
    assert given.source.counters.frames == given.frames


def test_its_frames_are_as_its_info_says(given: Given) -> None:
    info = given.source.info
    for frame in given.source:
        assert (frame.width, frame.height, frame.format) == (info.width, info.height, info.format)
        assert frame.duration > 0
        assert len(frame.planes) == info.format.num_planes


def test_closing_twice_does_nothing(given: Given) -> None:
    list(given.source)
    given.source.close()
    given.source.close()
    assert given.source.carried.container is None


def test_it_may_be_left_early(given: Given) -> None:
    first = next(iter(given.source))
    given.source.close()
    given.source.close()
    assert first.index == 0
    assert given.source.counters.frames <= given.frames


def test_it_may_be_left_before_it_begins(given: Given) -> None:
    with given.source:
        assert given.source.counters.frames == 0
    assert given.source.carried.container is None


def test_another_thread_may_close_it(given: Given) -> None:
    frames = list(given.source)
    thread = threading.Thread(target=given.source.close)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()
    assert given.source.carried.container is None
    assert len(frames) == given.frames


def test_its_first_frame_can_be_seen_before_all_are_read(given: Given) -> None:
    first, again = given.source.peek(), given.source.peek()
    assert first is again
    assert first is not None
    frames = list(given.source)
    assert frames[0] is first
    assert [frame.index for frame in frames] == list(range(given.frames))
    assert given.source.peek() is None
