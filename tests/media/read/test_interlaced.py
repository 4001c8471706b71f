"""Fields: told by the container alone, and made frames of their own."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.support import clips
from tests.support.sinks import through, times
from vsr.core.errors import DecodeError
from vsr.core.frame import Frame
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions

FIELDS = "testsrc2=size=160x120:rate=50:duration=1"


def told(name: str, codec: str, first: str) -> Path:
    """25 frames of two fields each, of which only the container says so. first: t or b."""
    order = f"interlace=scan={first}ff,setfield={first}ff"
    return in_order(
        clips.make(name, "-vf", order, "-c:v", codec, "-field_order", 2 * first, source=FIELDS), first
    )


def in_order(path: Path, first: str) -> Path:
    """The same clip, unless the ffmpeg that made it cannot write which field comes first: from 7 on it goes by frames."""
    (stream,) = clips.ffprobe(path, "stream=field_order", "-select_streams", "v")["streams"]
    if stream["field_order"] != 2 * first:
        pytest.skip(f"this ffmpeg writes {stream['field_order']} where it is asked for {2 * first}")
    return path


def read(path: Path, **options: str) -> tuple[list[Frame], list[str]]:
    with open_source(str(path), SourceOptions(**options)) as source:  # type: ignore[arg-type]
        return list(source), source.notes


def luma(frame: Frame) -> np.ndarray:
    return np.ascontiguousarray(frame.planes[0]).view("u1" if frame.format.bits == 8 else "<u2").astype(float)


def combing(frame: Frame) -> float:
    rows = luma(frame)
    return float(np.abs(rows[1:-1] * 2 - rows[:-2] - rows[2:]).mean())


@pytest.mark.parametrize("first", ["t", "b"])
@pytest.mark.parametrize(
    ("name", "codec"),
    [("utvideo.mkv", "utvideo"), ("ffvhuff.mkv", "ffvhuff"), ("png.mov", "png"), ("prores.mov", "prores")],
)
def test_what_the_container_says_of_fields_counts(name: str, codec: str, first: str) -> None:
    path = told(f"{first}-{name}", codec, first)
    frames, notes = read(path)
    assert any(note.startswith("interlaced") for note in notes)
    combed, _ = read(path, deinterlace="off")
    assert combing(frames[10]) < 0.8 * combing(combed[10])
    assert [frame.pts for frame in frames] == [frame.pts for frame in combed]
    # The first field shown is the one kept.
    rows = slice(int(first == "b"), None, 2)
    assert np.array_equal(luma(frames[10])[rows], luma(combed[10])[rows])


@pytest.mark.parametrize(
    "path",
    [
        clips.interlaced,
        lambda: clips.interlaced("interlaced.mp4", "libx264"),
        lambda: told("t-ffvhuff.mkv", "ffvhuff", "t"),
    ],
    ids=["mpegts", "mp4", "told-by-mkv"],
)
def test_each_field_becomes_a_frame_in_its_half_of_the_time(path) -> None:
    whole, _ = read(path())
    with open_source(str(path()), SourceOptions(deinterlace="field")) as source:
        assert source.info.frame_rate == 50
        assert source.info.time_base == whole[0].time_base / 2
        halves = list(source)
        assert "one frame out for each field" in source.notes[-1]
    begin = whole[0].pts * whole[0].time_base
    assert [f.pts * f.time_base - begin for f in halves] == [Fraction(n, 50) for n in range(50)]
    assert {f.duration * f.time_base for f in halves} == {Fraction(1, 50)}
    # Each moves on from the one before: no field is shown twice, nor out of order.
    source_frames, _ = read(clips.make("fields.mkv", "-c:v", "ffv1", source=FIELDS))
    for number in (10, 11, 20, 21):
        errors = [np.abs(luma(halves[number]) - luma(f)).mean() for f in source_frames]
        assert int(np.argmin(errors)) == number


def test_fields_of_progressive_video_are_not_made() -> None:
    plain, _ = read(clips.h264())
    frames, notes = read(clips.h264(), deinterlace="field")
    assert not notes
    assert [f.pts * f.time_base for f in frames] == [f.pts * f.time_base for f in plain]
    assert all(np.array_equal(a.planes[0], b.planes[0]) for a, b in zip(frames, plain, strict=True))


@clips.needs_hard
def test_captions_come_once_in_a_frame_of_two_fields() -> None:
    given = clips.HARD / "androidx_media" / "hls" / "cea608" / "sd-hls0000000000.ts"
    fields = ("-vf", "setfield=tff", "-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-frames:v", "30", "-an")
    path = clips.derive("captions.ts", given, *fields)

    def captions(mode: str) -> list[object]:
        return [frame.side["a53_cc"] for frame in read(path, deinterlace=mode)[0] if "a53_cc" in frame.side]

    assert captions("field") == captions("off") != []


@pytest.mark.parametrize("ending", ["mp4", "mkv", "avi", "y4m"])
def test_fifty_frames_a_second_are_written(ending: str, tmp_path: Path) -> None:
    encoder = {"avi": "mpeg4"}.get(ending)
    through(
        clips.interlaced(),
        tmp_path / f"out.{ending}",
        reading=SourceOptions(deinterlace="field"),
        encoder=encoder,
    )
    written, unit = times(tmp_path / f"out.{ending}")
    assert [(pts - written[0]) * unit for pts in written] == [Fraction(n, 50) for n in range(50)]


FILM = "testsrc2=size=160x120:rate=24000/1001:duration=2"


def film(name: str, first: str, *encoding: str) -> Path:
    """48 frames of film as 60 frames of video, of which two in five are combed. first: t or b."""
    telecine = f"telecine=first_field={first},setfield={first}ff"
    order = ("-top", str(int(first == "t"))) if "+ildct" in encoding else ("-field_order", 2 * first)
    made = clips.make(f"{first}-{name}", "-vf", telecine, *encoding, *order, source=FILM)
    return made if "+ildct" in encoding else in_order(made, first)


@pytest.mark.parametrize("first", ["t", "b"])
@pytest.mark.parametrize(
    ("name", "encoding"),
    [
        ("film.mkv", ("-c:v", "ffvhuff")),
        ("film.ts", ("-c:v", "mpeg2video", "-q:v", "1", "-flags", "+ildct")),
    ],
)
def test_telecine_is_removed(name: str, encoding: tuple[str, ...], first: str) -> None:
    path = film(name, first, *encoding)
    with open_source(str(path), SourceOptions(deinterlace="telecine")) as source:
        assert source.info.frame_rate == Fraction(24000, 1001)
        frames = list(source)
        assert any("telecine removed" in note for note in source.notes)
    begin, tick = frames[0].pts, frames[0].time_base
    assert len(frames) == 48
    # Within the rounding of the container's clock.
    for number, frame in enumerate(frames):
        assert abs((frame.pts - begin) * tick - number * Fraction(1001, 24000)) <= 4 * tick
    assert all(a.pts + a.duration == b.pts for a, b in itertools.pairwise(frames))
    originals, _ = read(clips.make("film-of-24.mkv", "-c:v", "ffv1", source=FILM))
    for number in range(1, 47):
        errors = [np.abs(luma(frames[number]) - luma(f)).mean() for f in originals]
        assert int(np.argmin(errors)) == number
        assert errors[number] < 1.5


def test_telecine_of_ten_bits_is_refused() -> None:
    path = film("film.mov", "t", "-c:v", "prores_ks", "-pix_fmt", "yuv422p10")
    with pytest.raises(DecodeError, match="cannot remove telecine from yuv422p10le"):
        read(path, deinterlace="telecine")


def soft_telecine() -> Path:
    """Frames of film of which every other is to be shown for three fields, by its decoder."""
    return clips.make(
        "soft.mkv", "-vf", "setpts='floor(N*5/4+1/2)*1001/30000/TB'", "-c:v", "ffv1", source=FILM
    )


@pytest.mark.parametrize("path", [clips.h264, soft_telecine], ids=["25 a second", "soft telecine"])
def test_what_is_not_telecine_passes(path) -> None:
    plain, _ = read(path(), deinterlace="off")
    frames, notes = read(path(), deinterlace="telecine")
    assert not any("telecine" in note for note in notes)
    assert [f.pts * f.time_base for f in frames] == [f.pts * f.time_base for f in plain]
    assert [f.duration * f.time_base for f in frames] == [f.duration * f.time_base for f in plain]
    assert all(np.array_equal(a.planes[0], b.planes[0]) for a, b in zip(frames, plain, strict=True))
