"""What of a picture is shown, and how it lies before two eyes or around the viewer."""

from __future__ import annotations

import struct
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from av.stream import Disposition

from tests.support import clips
from tests.support.sinks import packets, through
from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.media.ebml import find_tracks
from vsr.media.read.open import open_source
from vsr.media.read.opened import open_video
from vsr.media.read.probe import probe
from vsr.media.read.source import FileSource
from vsr.media.types import SourceOptions
from vsr.media.write.matroska import TrackElements, amend_tracks

SMALL = "testsrc2=size=160x128:rate=25:duration=0.4"


def plain() -> Path:
    return clips.h264("uncropped.mp4")


def clap(left: int, top: int, right: int, bottom: int) -> Path:
    """160x120 of which the sample entry says that the edges are not shown (ISO/IEC 14496-12, 12.1.4)."""
    width, height = 160 - left - right, 120 - top - bottom
    across, down = left - right, top - bottom  # of the middle, doubled
    content = struct.pack(">8i", width, 1, height, 1, across, 2, down, 2)
    name = f"clap{left}-{top}-{right}-{bottom}.mp4"
    return clips.boxed(name, plain(), b"avcC", clips.box(b"clap", content))


def read(path: Path, **options: object) -> tuple[list[Frame], VideoInfo, list[str]]:
    with open_source(str(path), SourceOptions(**options)) as source:  # type: ignore[arg-type]
        return list(source), source.info, source.notes


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize("edges", [(0, 20, 0, 24), (32, 0, 16, 2), (8, 6, 3, 5)])
def test_what_the_container_crops_is_left_out(ending: str, edges: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = edges
    path = clap(*edges)
    if ending == "mkv":
        path = clips.remuxed(path.stem + ".mkv", path)
    whole, _, _ = read(plain())
    frames, info, notes = read(path)
    assert (info.width, info.height) == (160 - left - right, 120 - top - bottom)
    assert notes == ["cropped from 160x120, as the container says"]
    assert len(frames) == len(whole)
    for frame, full in zip(frames, whole, strict=True):
        for number, plane in enumerate(frame.planes):
            shift = int(number > 0)
            height, width = frame.planes[number].shape
            wanted = np.asarray(full.planes[number])[top >> shift :, left >> shift :][:height, :width]
            assert np.array_equal(np.asarray(plane), wanted)
        assert frame.planes[1].shape == (-(-info.height // 2), -(-info.width // 2))


def test_a_crop_between_samples_of_chroma_begins_before() -> None:
    frames, info, _ = read(clap(3, 5, 1, 1))
    assert (info.width, info.height) == (157, 115)
    assert np.array_equal(frames[0].planes[0], np.asarray(read(plain())[0][0].planes[0])[4:119, 2:159])


@pytest.mark.parametrize("mode", ["on", "field"])
def test_deinterlaced_pictures_are_cropped(mode: str) -> None:
    frames, info, _ = read(clap(0, 21, 0, 0), deinterlace=mode)
    assert {(f.width, f.height) for f in frames} == {(info.width, info.height)} == {(160, 100)}


@pytest.mark.parametrize("ending", ["mkv", "mp4"])
def test_an_upscaled_crop_keeps_its_shape(ending: str, tmp_path: Path) -> None:
    """The size at which Matroska shows a picture is that of what is cropped."""
    given = clips.remuxed("letterbox.mkv", clap(0, 20, 0, 20))
    through(given, tmp_path / f"out.{ending}", scale=2)
    (found,) = clips.ffprobe(tmp_path / f"out.{ending}", "stream=width,height,sample_aspect_ratio")["streams"]
    assert (found["width"], found["height"]) == (320, 160)
    assert found.get("sample_aspect_ratio", "1:1") == "1:1"
    assert probe(str(given)).display_size == (160, 80)


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
def test_a_shape_that_changes_on_the_way_is_said(codec: str) -> None:
    """As broadcasts do between 4:3 and 16:9; the size stays."""
    parts = [
        clips.make(f"{codec}-{sar}.ts", "-vf", f"setsar={sar.replace('-', '/')}", "-c:v", codec, source=SMALL)
        for sar in ("16-15", "64-45")
    ]
    frames, info, notes = read(clips.joined(f"{codec}-shapes.ts", *parts))
    assert (info.sar, len(frames)) == (Fraction(16, 15), 20)
    assert [
        note
        for note in notes
        if note.startswith("the picture's shape changes on the way, from 4:3 to 16:9 at 1.")
    ]
    assert not any("shape" in note for note in read(clips.joined(f"{codec}-same.ts", parts[0], parts[0]))[2])


def around(stereo: int) -> Path:
    """Pictures for two eyes, around the viewer, as Google's Spherical Video V2 says it."""
    head = clips.box(b"svhd", bytes(4) + b"test\0")
    projection = clips.box(b"prhd", bytes(16)) + clips.box(b"equi", bytes(20))
    sphere = clips.box(b"sv3d", head + clips.box(b"proj", projection))
    eyes = clips.box(b"st3d", bytes(4) + bytes([stereo]))
    return clips.boxed(f"around{stereo}.mp4", plain(), b"avcC", eyes + sphere)


@pytest.mark.parametrize(("stereo", "mode"), [(1, "top_bottom"), (2, "left_right")])
@pytest.mark.parametrize("sar", [Fraction(1), Fraction(16, 15)])
@pytest.mark.parametrize("ending", ["mkv", "webm"])
def test_matroska_keeps_how_pictures_lie_around_the_viewer(
    stereo: int, mode: str, sar: Fraction, ending: str, tmp_path: Path
) -> None:
    sink = through(around(stereo), tmp_path / f"out.{ending}", info=lambda info: replace(info, sar=sar))
    assert sink.warnings == []
    with open_source(str(tmp_path / f"out.{ending}")) as source:
        assert str(source.carried.immersive) == f"360 degrees (equirectangular) and stereoscopic ({mode})"
        assert source.info.sar == sar


def test_the_other_eye_of_mv_hevc_is_named() -> None:
    """FFmpeg marks a stream of several layers, and decodes the first."""
    opened = open_video(str(plain()), SourceOptions())
    opened.stream.disposition = Disposition.multilayer
    with FileSource(opened, SourceOptions()) as source:
        assert any("MV-HEVC" in note for note in source.notes)


@pytest.mark.parametrize("ending", ["mp4", "mov", "avi", "ts"])
def test_where_it_is_lost_that_is_said(ending: str, tmp_path: Path) -> None:
    sink = through(around(1), tmp_path / f"out.{ending}", encoder={"avi": "mpeg4"}.get(ending))
    told = "that it is 360 degrees (equirectangular) and stereoscopic (top_bottom) is left out"
    assert [w for w in sink.warnings if w.startswith(told) and ".mkv keeps it" in w]


def languages(path: Path) -> list[bytes]:
    with path.open("rb") as file:
        place = find_tracks(file)
        assert place is not None
        file.seek(place[0])
        data = file.read(place[1])
    return [
        data[at + 4 : at + 4 + (data[at + 3] & 127)]
        for at in range(len(data))
        if data[at : at + 3] == b"\x22\xb5\x9d"
    ]


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """Video and two sounds in languages that three letters do not say."""
    sounds = ("-f", "lavfi", "-i", "sine=duration=1") * 2
    given = clips.make(
        "spoken.mkv", *sounds, "-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-c:a", "ac3",
        "-metadata:s:a:0", "language=chi", "-metadata:s:a:1", "language=spa", "-metadata:s:a:0", "title=one" + "~" * 48,
        "-metadata:s:a:1", "title=two" + "~" * 48,
    )  # fmt: skip
    path = tmp_path / "spoken.mkv"
    path.write_bytes(given.read_bytes())
    with path.open("r+b") as file:
        amend_tracks(file, {2: TrackElements(language="zh-Hant"), 3: TrackElements(language="es-419")})
    return path


def test_matroska_keeps_languages_that_three_letters_do_not_say(spoken: Path, tmp_path: Path) -> None:
    sink = through(spoken, tmp_path / "out.mkv")
    assert sink.warnings == []
    assert languages(tmp_path / "out.mkv") == [b"zh-Hant", b"es-419"]
    found = clips.ffprobe(tmp_path / "out.mkv", "stream_tags=language,title", "-select_streams", "a")[
        "streams"
    ]
    assert [stream["tags"] for stream in found] == [
        {"language": "chi", "title": "one"}, {"language": "spa", "title": "two"},
    ]  # fmt: skip
    for number in (0, 1):
        assert packets(tmp_path / "out.mkv", "audio", number) == packets(spoken, "audio", number)


def test_what_three_letters_make_of_a_language_is_said(spoken: Path, tmp_path: Path) -> None:
    told = " | ".join(through(spoken, tmp_path / "out.mp4").warnings)
    assert "language zh-Hant of audio stream #1 (ac3, chi) becomes chi" in told
    assert "language es-419 of audio stream #2 (ac3, spa) becomes spa" in told
