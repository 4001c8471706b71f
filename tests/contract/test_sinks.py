"""One suite over every kind of sink. A new container, picture format or way out is one more line of SINKS."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import clips
from tests.support.left_behind import Held
from vsr.core.errors import EncodeError
from vsr.core.frame import Frame
from vsr.media.read.open import open_source
from vsr.media.types import Sink, SinkOptions
from vsr.media.write.sink import open_sink

ENDINGS: list[Callable[[Sink], Path | None]] = [
    lambda sink: sink.finish(),
    lambda sink: sink.keep_part(),
    lambda sink: sink.abandon(),
]
FINISH, KEEP_PART, ABANDON = range(3)


@dataclass(frozen=True)
class Case:
    """An output.

    name: of the file, or what stands for none. frames: how many it is given. written: the names of what `finish` leaves.
    at_once: each picture has its name as soon as it is written. options: of SinkOptions.
    """

    name: str
    frames: int = 5
    written: tuple[str, ...] | None = None
    at_once: bool = False
    options: dict[str, object] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of what `finish` leaves."""
        return sorted((self.name,) if self.written is None else self.written)


SINKS = [
    Case("out.mp4"),
    Case("out.mkv"),
    Case("out.mov"),
    Case("out.ts"),
    Case("out.avi"),
    Case("out.nut"),
    Case("out.webm", options={"encoder": "libvpx-vp9", "encoder_options": {"deadline": "realtime"}}),
    Case("out.y4m"),
    Case("out.gif"),
    Case("out.apng"),
    Case("out.png", frames=1),
    Case("out.jpg", frames=1),
    Case("out.tif", frames=1),
    Case("out.webp", frames=1),
    Case("%03d.png", written=tuple(f"{i:03d}.png" for i in range(1, 6)), at_once=True),
    Case("-", written=()),
    Case("null:", written=()),
    Case("null:", written=(), options={"encoder": "libx264"}),
]


@pytest.fixture(params=SINKS, ids=lambda case: f"{case.name} {case.options.get('encoder', '')}".strip())
def case(request: pytest.FixtureRequest, capfdbinary: pytest.CaptureFixture[bytes]) -> Iterator[Case]:
    """Standard output is nobody's meanwhile."""
    before = Held.now()
    yield request.param
    capfdbinary.readouterr()  # or pytest would take a video for text
    assert not (left := before.left_behind()), left


def opened(case: Case, folder: Path) -> tuple[Sink, list[Frame]]:
    """The sink, and the frames that it is to be given."""
    clip = clips.h264("contract.mp4", source="testsrc2=size=64x48:rate=25:duration=0.2")
    with open_source(str(clip)) as source:
        frames = list(itertools.islice(source, case.frames))
        url = case.name if case.name in ("-", "null:") else str(folder / case.name)
        return open_sink(url, SinkOptions(**case.options), source.carried, source.info), frames  # type: ignore[arg-type]


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_nothing_has_its_name_before_it_is_whole(case: Case, tmp_path: Path) -> None:
    sink, frames = opened(case, tmp_path)
    for number, frame in enumerate(frames, 1):
        sink.write(frame)
        named = [path.name for path in sorted(tmp_path.iterdir()) if path.suffix != ".part"]
        assert named == (case.names[:number] if case.at_once else [])
    sink.finish()
    assert list(content(tmp_path)) == case.names


def test_it_counts_its_frames(case: Case, tmp_path: Path) -> None:
    sink, frames = opened(case, tmp_path)
    for number, frame in enumerate(frames):
        assert sink.counters.frames == number
        sink.write(frame)
    sink.finish()
    assert sink.counters.frames == case.frames
    if case.names:
        assert sink.counters.bytes == sum(map(len, content(tmp_path).values()))
        url = tmp_path / case.name
        with open_source(str(url)) as source:
            assert sum(1 for _ in source) == case.frames


@pytest.mark.parametrize("first", [FINISH, KEEP_PART, ABANDON], ids=["finish", "keep_part", "abandon"])
def test_one_ending_excludes_the_others(first: int, case: Case, tmp_path: Path) -> None:
    sink, frames = opened(case, tmp_path)
    for frame in frames:
        sink.write(frame)
    ENDINGS[first](sink)
    after, counted = content(tmp_path), sink.counters.frames
    parts = [name for name in after if name.endswith(".part")]
    if first == KEEP_PART and not case.at_once:
        assert list(after) == parts == [f"{name}.1.part" for name in case.names]
    else:
        assert not parts
        assert list(after) == ([] if first == ABANDON else case.names)
    for other in ENDINGS:
        assert other(sink) is None
        assert content(tmp_path) == after
        assert sink.counters.frames == counted == case.frames
    with pytest.raises(EncodeError, match="closed already"):
        sink.write(frames[0])


def test_an_error_half_way_leaves_nothing(case: Case, tmp_path: Path) -> None:
    sink, frames = opened(case, tmp_path)

    def work() -> None:
        try:
            for frame in frames:
                sink.write(frame)
                raise ZeroDivisionError
            sink.finish()
        except BaseException:
            sink.abandon()
            raise

    with pytest.raises(ZeroDivisionError):
        work()
    assert not content(tmp_path)


@pytest.mark.parametrize("end", ENDINGS, ids=["finish", "keep_part", "abandon"])
def test_without_a_frame_it_ends_too(end: Callable[[Sink], Path | None], case: Case, tmp_path: Path) -> None:
    """With an error, or with what holds no frame."""
    sink, _ = opened(case, tmp_path)
    try:
        end(sink)
    except EncodeError:
        assert not content(tmp_path)
    assert sink.counters.frames == 0
    for other in ENDINGS:
        assert other(sink) is None
