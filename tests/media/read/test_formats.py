"""Pixel formats, colour, orientation, HDR and other streams come out as they lie in the file."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import clips
from tests.support.processes import PATIENCE_S
from vsr.core.color import ChromaLocation, Color, Range
from vsr.core.errors import SourceOpenError
from vsr.core.frame import Frame, PixelFormat
from vsr.media.frames.side_data import display_matrix
from vsr.media.read.open import open_source
from vsr.media.types import ContentLight, SourceOptions


def first(path: Path | str, **options: object) -> Frame:
    with open_source(str(path), SourceOptions(**options)) as source:  # type: ignore[arg-type]
        frame = next(iter(source))
        assert frame.format == source.info.format
        return frame


def samples(path: Path, pix_fmt: str) -> bytes:
    """The first frame's samples as ffmpeg writes them raw."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(path),
        "-frames:v",
        "1",
        "-f",
        "rawvideo",
        "-pix_fmt",
        pix_fmt,
        "-",
    ]
    return subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE_S).stdout


FORMATS = [
    ("yuv420p", "yuv420p"),
    ("yuv422p", "yuv422p"),
    ("yuv444p", "yuv444p"),
    ("yuv440p", "yuv440p"),
    ("yuv410p", "yuv410p"),
    ("yuv420p10le", "yuv420p10"),
    ("yuv422p10le", "yuv422p10"),
    ("yuv444p12le", "yuv444p12"),
    ("yuv420p16le", "yuv420p16"),
    ("yuva420p", "yuva420p"),
    ("gray", "gray"),
    ("gray10le", "gray10"),
    ("gray16le", "gray16"),
    ("gbrp", "gbrp"),
    ("gbrp16le", "gbrp16"),
    ("gbrap", "gbrap"),
]


@pytest.mark.parametrize(("pix_fmt", "name"), FORMATS)
@pytest.mark.parametrize("size", ["64x48", "67x35"])
def test_planes_hold_the_samples_of_the_file(pix_fmt: str, name: str, size: str) -> None:
    path = clips.make(f"{pix_fmt}_{size}.nut", "-frames:v", "2", "-c:v", "rawvideo", "-pix_fmt", pix_fmt,
                      source=f"testsrc2=size={size}")  # fmt: skip
    frame = first(path)
    assert frame.format.name == name
    raw = b"".join(np.ascontiguousarray(np.asarray(plane)).tobytes() for plane in frame.planes)
    assert raw == samples(path, pix_fmt)


@pytest.mark.parametrize(
    ("pix_fmt", "name", "as_planar"),
    [
        ("nv12", "yuv420p", "yuv420p"),
        ("yuyv422", "yuv422p", "yuv422p"),
        ("uyvy422", "yuv422p", "yuv422p"),
        ("rgb24", "gbrp", "gbrp"),
        ("bgra", "gbrap", "gbrap"),
        ("bgr0", "gbrp", "gbrp"),
        ("rgb48be", "gbrp16", "gbrp16le"),
        ("gray16be", "gray16", "gray16le"),
        ("yuv420p10be", "yuv420p10", "yuv420p10le"),
        ("monob", "gray", "gray"),
    ],
)
def test_other_formats_are_brought_to_planes_without_loss(pix_fmt: str, name: str, as_planar: str) -> None:
    path = clips.make(f"packed_{pix_fmt}.nut", "-frames:v", "1", "-c:v", "rawvideo", "-pix_fmt", pix_fmt,
                      source="testsrc2=size=64x48")  # fmt: skip
    frame = first(path)
    assert frame.format.name == name
    raw = b"".join(np.ascontiguousarray(np.asarray(plane)).tobytes() for plane in frame.planes)
    assert raw == samples(path, as_planar)


def test_decoded_planes_are_views_that_outlive_the_source() -> None:
    with open_source(str(clips.h264())) as source:
        frames = [frame for frame, _ in zip(source, range(8), strict=False)]
        before = [np.array(f.planes[0]) for f in frames]
    assert all(np.asarray(f.planes[0]).base is not None for f in frames)
    assert all(np.array_equal(a, np.asarray(f.planes[0])) for a, f in zip(before, frames, strict=True))


@pytest.mark.parametrize(
    ("name", "args", "fmt"),
    [
        ("prores.mov", ("-c:v", "prores_ks", "-profile:v", "4", "-pix_fmt", "yuva444p10le"), "yuva444p"),
        ("qtrle.mov", ("-c:v", "qtrle", "-pix_fmt", "argb"), "gbrap"),
        ("alpha.webm", ("-c:v", "libvpx-vp9", "-pix_fmt", "yuva420p", "-deadline", "realtime"), "yuva420p"),
        ("alpha8.webm", ("-c:v", "libvpx", "-pix_fmt", "yuva420p", "-auto-alt-ref", "0"), "yuva420p"),
    ],
)
def test_alpha_is_read(name: str, args: tuple[str, ...], fmt: str) -> None:
    source = (
        "testsrc2=size=160x120:rate=25:duration=0.4,format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='X'"
    )
    frame = first(clips.make(name, *args, source=source))
    assert frame.format.name.startswith(fmt)
    alpha = np.ascontiguousarray(np.asarray(frame.planes[-1]))
    alpha = alpha.view("<u2") if frame.format.bits > 8 else alpha
    ramp = alpha.mean(axis=0) / frame.format.max_code * 255
    assert np.abs(ramp - np.arange(160)).max() < 6


@pytest.mark.parametrize(
    ("args", "color"),
    [
        ((), Color(2, 2, 2, Range.UNSPECIFIED, ChromaLocation.LEFT)),
        (
            ("-x264-params", "colormatrix=bt709:colorprim=bt709:transfer=bt709:range=tv"),
            Color(1, 1, 1, Range.LIMITED, ChromaLocation.LEFT),
        ),
        (("-colorspace", "smpte170m", "-color_range", "pc"), Color(6, 2, 2, Range.FULL, ChromaLocation.LEFT)),
        (("-x264-params", "chromaloc=2"), Color(2, 2, 2, Range.UNSPECIFIED, ChromaLocation.TOPLEFT)),
    ],
)
def test_color_tags(args: tuple[str, ...], color: Color) -> None:
    name = "-".join(args).replace("=", "_") or "untagged"
    path = clips.h264(f"{name}.mp4", *args, source="color=gray:size=64x48:rate=25:duration=0.2")
    assert first(path).color == color


def test_yuvj_is_full_range() -> None:
    frame = first(clips.make("mjpeg.avi", "-c:v", "mjpeg"))
    assert frame.format == PixelFormat("yuv", 8, (1, 1))
    assert frame.color.range is Range.FULL
    assert frame.color.chroma_location is ChromaLocation.CENTER


def test_hdr10_metadata() -> None:
    with open_source(str(clips.hdr10())) as source:
        display = source.carried.mastering_display
        assert display is not None
        assert display.primaries[0] == (Fraction(34000, 50000), Fraction(16000, 50000))
        assert display.primaries[1] == (Fraction(13250, 50000), Fraction(34500, 50000))
        assert display.white_point == (Fraction(15635, 50000), Fraction(16450, 50000))
        assert (display.min_luminance, display.max_luminance) == (Fraction(50, 10000), 1000)
        assert source.carried.content_light == ContentLight(1000, 400)
        assert source.info.color == Color(9, 9, 16, Range.LIMITED, ChromaLocation.TOPLEFT)
        assert source.info.format == PixelFormat("yuv", 10, (1, 1))


def test_dolby_vision_without_a_base_layer_is_refused() -> None:
    with pytest.raises(SourceOpenError, match="Dolby Vision profile 5") as error:
        open_source(str(clips.dolby_vision(5, 0)))
    assert error.value.hint


def test_dolby_vision_over_a_base_layer_is_noted() -> None:
    with open_source(str(clips.dolby_vision(8, 1))) as source:
        assert any("Dolby Vision" in note for note in source.notes)
        assert len(list(source)) == 5


def turned(name: str, original: Path, degrees: int) -> Path:
    """A clip whose container says so. The commands that ffmpeg 5 and 7 have for that differ."""

    def write(path: Path) -> None:
        with av.open(str(original)) as given, av.open(str(path), "w") as output:
            stream = given.streams.video[0]
            copy = output.add_stream_from_template(stream)
            copy.set_display_matrix(display_matrix(degrees, False))
            for packet in given.demux(stream):
                if packet.size:
                    packet.stream = copy
                    output.mux(packet)

    return clips.made(name, (str(original), degrees), write)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation(degrees: int) -> None:
    path = turned(f"turned{degrees}.mp4", clips.h264(), degrees)
    told = clips.ffprobe(path, "stream_side_data=rotation")["streams"][0]["side_data_list"][0]["rotation"]
    rotation = int(told) % 360
    with open_source(str(path)) as source:
        assert (source.info.rotation, source.info.mirrored) == (rotation, False)
        assert source.info.display_size == ((120, 160) if rotation % 180 else (160, 120))
        assert (source.info.width, source.info.height) == (160, 120)


def test_rotation_of_motion_jpeg() -> None:
    original = clips.make("mjpeg.mov", "-c:v", "mjpeg", "-q:v", "3")
    path = turned("turned_mjpeg.mov", original, 90)
    told = clips.ffprobe(path, "stream_side_data=rotation")["streams"][0]["side_data_list"][0]["rotation"]
    with open_source(str(path)) as source:
        assert source.info.rotation == int(told) % 360


def test_frame_rate_option_leaves_timed_files_alone() -> None:
    with open_source(str(clips.h264()), SourceOptions(frame_rate=Fraction(50))) as source:
        assert source.info.frame_rate == 25
        assert [f.pts for f in source] == clips.frame_times(clips.h264())


@clips.needs_hard
def test_mirroring() -> None:
    with open_source(str(clips.HARD / "androidx_media" / "mp4" / "sample_rotate_and_reflect.mp4")) as source:
        assert (source.info.rotation, source.info.mirrored) == (90, True)


@pytest.mark.parametrize("name", ["wide.mp4", "wide.mkv"])
def test_sample_aspect_ratio(name: str) -> None:
    with open_source(str(clips.h264(name, "-vf", "setsar=4/3"))) as source:
        assert source.info.sar == Fraction(4, 3)
        assert source.info.display_size == (213, 120)


@clips.needs_hard
def test_closed_captions_travel_with_their_frame() -> None:
    with open_source(str(clips.HARD / "androidx_media" / "hls" / "cea608" / "sd-hls0000000000.ts")) as source:
        captions = [f.side["a53_cc"] for f in source if "a53_cc" in f.side]
    assert captions
    assert all(isinstance(c, bytes) and len(c) % 3 == 0 for c in captions)


@clips.needs_hard
@pytest.mark.parametrize("name", ["h264-mjpeg.mp4", "h264-png.mkv", "h264-png.mp4"])
def test_cover_art_is_copied_and_not_the_main_video(name: str) -> None:
    with open_source(str(clips.HARD / "misc" / name)) as source:
        assert source.info.codec == "h264"
        assert "video" in [s.type for s in source.carried.copied]
        list(source)
        kinds = [p.stream.type for p in source.carried.shelf.take_all()]
    assert kinds.count("video") == 1


def test_video_stream_can_be_chosen() -> None:
    second = ("-f", "lavfi", "-i", "testsrc2=size=64x48:duration=0.2", "-map", "0", "-map", "1")
    path = clips.make("two.mkv", *second, source="testsrc2=size=160x120:duration=0.2")
    with open_source(str(path)) as source:
        assert source.info.width == 160
        assert any("other video" in note for note in source.notes)
    assert first(path, video_stream=1).width == 64
    with pytest.raises(SourceOpenError, match="no video stream 2"):
        open_source(str(path), SourceOptions(video_stream=2))


def test_size_change_on_the_way_is_brought_back_and_noted() -> None:
    small = clips.h264("small.ts", source="testsrc2=size=96x64:rate=25:duration=0.4")
    path = clips.joined("changing.ts", clips.h264("plain.ts"), small)
    with open_source(str(path)) as source:
        frames = list(source)
        assert {(f.width, f.height) for f in frames} == {(160, 120)}
        assert len(frames) == 35
        assert source.counters.rescaled_frames == 10
        assert sum("96x64" in note for note in source.notes) == 1


@pytest.mark.parametrize("kind", ["nut", "yuv4mpegpipe"])
def test_standard_input(kind: str) -> None:
    code = (
        "from vsr.media.read.open import open_source\n"
        "with open_source('-') as s:\n"
        "    frames = list(s)\n"
        "    print(len(frames), frames[0].width, [float(f.pts * f.time_base) for f in frames[:3]] == [0, 0.04, 0.08])"
    )
    made = subprocess.Popen(
        [
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            clips.TEST_SOURCE,
            "-pix_fmt",
            "yuv420p",
            "-c:v",
            "rawvideo",
        ]
        + (["-f", kind, "-"] if kind == "nut" else ["-c:v", "wrapped_avframe", "-f", kind, "-"]),
        stdout=subprocess.PIPE,
    )
    with made:
        done = subprocess.run(
            [sys.executable, "-c", code],
            stdin=made.stdout,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    assert done.stderr == ""
    assert done.stdout.split()[:2] == ["25", "160"]
    assert done.stdout.split()[2] == "True"
