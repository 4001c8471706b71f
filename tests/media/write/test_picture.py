"""Colour, depth, alpha, orientation, HDR and captions come out as they went in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.support import clips
from tests.support.sinks import through
from vsr.core.color import ChromaLocation, Color, Range
from vsr.core.errors import ConfigError, EncoderUnavailableError
from vsr.core.frame import Frame
from vsr.media.frames.side_data import frame_details
from vsr.media.read.open import open_source
from vsr.media.types import SinkOptions, Source
from vsr.media.write.sink import open_sink

SMALL = "testsrc2=size=64x48:rate=25:duration=0.2"


def opened(path: Path) -> Source:
    return open_source(str(path))


def means(path: Path) -> list[float]:
    with opened(path) as source:
        frame = next(iter(source))
        kind = "<u2" if frame.format.bits > 8 else np.uint8
        return [float(np.ascontiguousarray(np.asarray(p)).view(kind).mean()) for p in frame.planes]


def clip(pix_fmt: str, *tags: str, name: str = "") -> Path:
    """A lossless clip of that format."""
    name = name or f"{pix_fmt}{'_'.join(tags)}.mkv".replace("-", "")
    return clips.make(name, "-c:v", "ffv1", "-pix_fmt", pix_fmt, *tags, source=SMALL)


BT709 = ("-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
BT601 = ("-colorspace", "smpte170m", "-color_primaries", "smpte170m", "-color_trc", "smpte170m")


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "webm"])
@pytest.mark.parametrize("tags", [BT709, BT601])
@pytest.mark.parametrize("levels", ["tv", "pc"])
def test_tags_and_levels(tmp_path: Path, ending: str, tags: tuple[str, ...], levels: str) -> None:
    given = clip("yuv420p", *tags, "-color_range", levels)
    output = tmp_path / f"out.{ending}"
    through(given, output, crf=1)
    with opened(given) as a, opened(output) as b:
        assert replace(b.info.color, chroma_location=ChromaLocation.LEFT) == replace(
            a.info.color, chroma_location=ChromaLocation.LEFT
        )
        assert a.info.color.range is (Range.FULL if levels == "pc" else Range.LIMITED)
    assert means(output) == pytest.approx(means(given), abs=0.5)


def test_untagged_stays_untagged(tmp_path: Path) -> None:
    given = clips.h264("cfr.mp4")
    for ending in ("mp4", "mkv"):
        through(given, tmp_path / f"out.{ending}")
        with opened(tmp_path / f"out.{ending}") as source:
            assert source.info.color == Color(chroma_location=ChromaLocation.LEFT)


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov"])
def test_chroma_location(tmp_path: Path, ending: str) -> None:
    given = clips.h264("topleft.mp4", "-x264-params", "chromaloc=2", source=SMALL)
    through(given, tmp_path / f"out.{ending}")
    with opened(tmp_path / f"out.{ending}") as source:
        assert source.info.color.chroma_location is ChromaLocation.TOPLEFT


@pytest.mark.parametrize(
    ("pix_fmt", "codec", "kept"),
    [
        ("yuv420p", "h264", "yuv420p"),
        ("yuv422p", "h264", "yuv422p"),
        ("yuv444p", "h264", "yuv444p"),
        ("yuv420p10le", "hevc", "yuv420p10le"),
        ("yuv422p10le", "hevc", "yuv422p10le"),
        ("yuv444p12le", "hevc", "yuv444p12le"),
    ],
)
def test_defaults_keep_depth_and_subsampling(tmp_path: Path, pix_fmt: str, codec: str, kept: str) -> None:
    given = clip(pix_fmt)
    sink = through(given, tmp_path / "out.mp4", crf=2)
    assert sink.warnings == []
    found = clips.ffprobe(tmp_path / "out.mp4", "stream=codec_name,pix_fmt,codec_tag_string")["streams"][0]
    assert (found["codec_name"], found["pix_fmt"]) == (codec, kept)
    assert found["codec_tag_string"] == ("hvc1" if codec == "hevc" else "avc1")
    depth = int(pix_fmt[-4:-2]) if pix_fmt.endswith("le") else 8
    assert means(tmp_path / "out.mp4") == pytest.approx(means(given), abs=0.5 * 2 ** (depth - 8))


@pytest.mark.parametrize("levels", ["tv", "pc"])
@pytest.mark.parametrize("encoder", ["libx264", "libx265", "libsvtav1"])
def test_gray_keeps_its_levels(tmp_path: Path, levels: str, encoder: str) -> None:
    given = clip("gray", "-color_range", levels)
    through(given, tmp_path / "out.mkv", encoder=encoder, crf=2)
    assert means(tmp_path / "out.mkv")[0] == pytest.approx(means(given)[0], abs=0.5)


@pytest.mark.parametrize(
    ("ending", "encoder"),
    [("mov", "prores_ks"), ("mkv", "ffv1"), ("webm", None), ("mov", "png"), ("mov", "qtrle")],
)
def test_alpha_is_kept_where_the_codec_carries_it(tmp_path: Path, ending: str, encoder: str | None) -> None:
    given = clips.make("alpha.mkv", "-vf", "format=rgba,colorchannelmixer=aa=0.5", "-c:v", "ffv1", "-pix_fmt", "yuva420p",
                       source=SMALL)  # fmt: skip
    sink = through(given, tmp_path / f"out.{ending}", encoder=encoder)
    assert "alpha" not in " ".join(sink.warnings)
    if ending == "webm":  # FFmpeg's own VP9 decoder leaves the alpha layer out
        assert b"\x53\xc0" in (tmp_path / "out.webm").read_bytes()
        return
    with opened(tmp_path / f"out.{ending}") as source:
        frame = next(iter(source))
        assert frame.format.alpha
        assert float(np.asarray(frame.planes[-1])[:, ::1].mean()) > 0


def test_dropped_alpha_is_named(tmp_path: Path) -> None:
    given = clip("yuva420p")
    assert "alpha" in " ".join(through(given, tmp_path / "out.mp4").warnings)


def test_rgb_becomes_tagged_yuv(tmp_path: Path) -> None:
    given = clip("gbrp")
    sink = through(given, tmp_path / "out.mp4", crf=1)
    assert "RGB is converted" in " ".join(sink.warnings)
    with opened(tmp_path / "out.mp4") as source:
        assert source.info.color.matrix == 6
        assert source.info.color.range is Range.LIMITED


@pytest.mark.parametrize(
    ("output", "options", "expected"),
    [
        ("out.mp4", {}, "yuv420p"),
        ("out.mp4", {"pix_fmt": "yuv444p"}, "yuv444p"),
        ("out.mp4", {"encoder": "libx265"}, "yuv420p"),
        ("out.mp4", {"encoder": "libx264rgb"}, "gbrp"),
        ("out.mp4", {"size": (33, 24)}, "yuv444p"),
        ("out.webm", {"encoder": "libvpx-vp9"}, "yuv420p"),
        ("out.mkv", {}, "yuv444p"),
        ("out.mkv", {"encoder": "ffv1"}, "bgr0"),
    ],
)
def test_rgb_goes_as_players_take_it_into_what_is_for_them(
    output: str, options: dict[str, Any], expected: str, tmp_path: Path
) -> None:
    given = clips.make("frames/%02d.png", "-frames:v", "3", source="testsrc2=size=32x24:rate=25")
    sink = through(given, tmp_path / output, **options)
    assert clips.ffprobe(tmp_path / output, "stream=pix_fmt")["streams"][0]["pix_fmt"] == expected
    assert ("RGB is converted" in " ".join(sink.warnings)) == expected.startswith("yuv")
    assert sum("chroma" in warning or "colour" in warning for warning in sink.warnings) <= 1


def test_rgb_with_alpha_goes_into_webm(tmp_path: Path) -> None:
    given = clips.make(
        "rgba.mov", "-vf", "format=rgba,colorchannelmixer=aa=0.5", "-c:v", "qtrle", "-frames:v", "3"
    )
    sink = through(given, tmp_path / "out.webm")
    assert sink.encoder is not None
    assert "yuva" in sink.encoder
    assert "RGB is converted" in " ".join(sink.warnings)
    assert b"\x53\xc0" in (tmp_path / "out.webm").read_bytes()  # Matroska's element for alpha


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_orientation(tmp_path: Path, ending: str, rotation: int, mirrored: bool) -> None:
    given = clips.h264("tiny.mp4", source=SMALL)
    encoder = "libsvtav1" if ending == "webm" else "libx264"
    through(given, tmp_path / f"out.{ending}", encoder=encoder,
            info=lambda info: replace(info, rotation=rotation, mirrored=mirrored))  # fmt: skip
    with av.open(str(tmp_path / f"out.{ending}")) as container:
        details = frame_details(next(container.decode(video=0)), "")
    assert (details.rotation, details.mirrored) == (rotation, mirrored)


@pytest.mark.parametrize(
    ("ending", "encoder"), [("mp4", None), ("mkv", None), ("mkv", "libx264"), ("webm", None)]
)
def test_hdr10(tmp_path: Path, ending: str, encoder: str | None) -> None:
    given = clips.hdr10()
    through(given, tmp_path / f"out.{ending}", encoder=encoder)
    with opened(given) as a, opened(tmp_path / f"out.{ending}") as b:
        assert a.carried.mastering_display is not None
        assert b.carried.mastering_display is not None
        for x, y in zip(
            a.carried.mastering_display.primaries, b.carried.mastering_display.primaries, strict=True
        ):
            assert [float(v) for v in y] == pytest.approx([float(v) for v in x], abs=2e-5)
        assert float(b.carried.mastering_display.max_luminance) == pytest.approx(
            float(a.carried.mastering_display.max_luminance)
        )
        assert b.carried.content_light == a.carried.content_light
        assert (b.info.color.matrix, b.info.color.primaries, b.info.color.transfer) == (
            a.info.color.matrix, a.info.color.primaries, a.info.color.transfer,
        )  # fmt: skip
        assert b.info.format.bits == 10


def test_hdr10_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    assert "mastering" in " ".join(through(clips.hdr10(), tmp_path / "out.mkv", encoder="ffv1").warnings)


@pytest.mark.parametrize(
    ("ending", "encoder"), [("mp4", "libx264"), ("mkv", "libx265"), ("ts", "libx264"), ("mp4", "libx265")]
)
def test_closed_captions(tmp_path: Path, ending: str, encoder: str) -> None:
    def caption(index: int) -> bytes:
        return bytes([0xFC, 0x94, 0x2C, 0xFC, 0x00, 0x00, 0xFC, 0x00, 0x00, 0xFD, 0x80, index])

    def with_caption(frame: Frame) -> Frame:
        frame.side["a53_cc"] = caption(frame.index)
        return frame

    given = clips.h264("cfr.mp4")
    through(given, tmp_path / f"out.{ending}", encoder=encoder, change=with_caption)
    with opened(tmp_path / f"out.{ending}") as source:
        assert [f.side.get("a53_cc") for f in source] == [caption(i) for i in range(25)]


def test_lost_captions_are_named(tmp_path: Path) -> None:
    def with_caption(frame: Frame) -> Frame:
        frame.side["a53_cc"] = b"\xfc\x94\x2c"
        return frame

    sink = through(clips.h264("cfr.mp4"), tmp_path / "out.mkv", encoder="ffv1", change=with_caption)
    assert "closed captions" in " ".join(sink.warnings)


@pytest.mark.parametrize(
    ("codec", "encoder"), [("hevc", "libx265"), ("h264", "libx264"), ("av1", "libsvtav1")]
)
def test_the_name_of_a_codec_stands_for_its_encoder(codec: str, encoder: str, tmp_path: Path) -> None:
    given = clips.h264("tiny.mp4", source=SMALL)
    one, other = (through(given, tmp_path / f"{name}.mkv", encoder=name) for name in (codec, encoder))
    assert one.encoder == other.encoder
    assert "crf=" in str(one.encoder)


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"encoder": "x264"}, EncoderUnavailableError, "libx264"),
        ({"encoder": "hevc_nvenc"}, EncoderUnavailableError, "libx265"),
        ({"encoder_options": {"foo": "1"}}, ConfigError, "'foo'"),
        ({"encoder_options": {"x264-params": "bar=1"}}, ConfigError, "'bar'"),
        ({"encoder": "libx265", "encoder_options": {"x265-params": "bar=1"}}, ConfigError, "bar"),
        ({"encoder_options": {"preset": "odd"}}, ConfigError, "odd"),
        ({"preset": "odd"}, ConfigError, "veryfast"),
        ({"crf": 60}, ConfigError, "0 to 51"),
        ({"crf": 20, "bitrate": 1000}, ConfigError, "exclude"),
        ({"encoder": "prores", "crf": 20}, ConfigError, "bitrate"),
        ({"encoder": "ffv1", "crf": 20}, ConfigError, "lossless"),
        ({"encoder": "ffv1", "bitrate": 20}, ConfigError, "lossless"),
        ({"pix_fmt": "odd"}, ConfigError, "yuv420p"),
        ({"size": (161, 121)}, ConfigError, "160x120"),
        ({"encoder": "libvpx"}, ConfigError, ".webm"),
        ({"container_format": "matroskaa"}, ConfigError, "matroska"),
        ({"container_format": "psp"}, ConfigError, "one video and one audio stream"),
    ],
)
def test_refusals_name_value_and_remedy(
    tmp_path: Path, options: dict[str, object], error: type[ConfigError], words: str
) -> None:
    with pytest.raises(error) as caught:
        through(clips.h264("tiny.mp4", source=SMALL), tmp_path / "out.mp4", **options)
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [(200, 100), (64, 96), (30, 20)])
def test_exact_size(tmp_path: Path, size: tuple[int, int]) -> None:
    for pix_fmt in ("yuv420p", "yuv420p10le", "gray"):
        through(clip(pix_fmt), tmp_path / "out.mkv", size=size, encoder="ffv1", overwrite=True)
        with opened(tmp_path / "out.mkv") as source:
            assert (source.info.width, source.info.height) == size
        assert means(tmp_path / "out.mkv") == pytest.approx(means(clip(pix_fmt)), rel=0.01)


@pytest.mark.parametrize(
    ("ending", "encoder", "said"),
    [
        ("nut", "ffv1", True),
        ("avi", "mpeg4", True),
        ("y4m", None, True),
        ("nut", "libx264", False),
        ("mkv", "ffv1", False),
    ],
)
def test_colours_that_cannot_be_told_are_named(
    tmp_path: Path, ending: str, encoder: str | None, said: bool
) -> None:
    tagged = ("-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709")
    given = clips.make("tagged709.mkv", "-vf", "scale=out_color_matrix=bt709", *tagged, "-c:v", "ffv1")
    warnings = through(given, tmp_path / f"out.{ending}", encoder=encoder).warnings
    found = [line for line in warnings if line.startswith("matrix, range and the like are left out")]
    assert len(found) == said


def test_colours_that_change_on_the_way_are_told_once(tmp_path: Path) -> None:
    def raw(name: str, primaries: str, transfer: str, matrix: str) -> Path:
        params = f"setparams=color_primaries={primaries}:color_trc={transfer}:colorspace={matrix}"
        return clips.make(name, "-vf", params, "-c:v", "libx264", "-pix_fmt", "yuv420p", source=SMALL)

    hd, hdr = raw("hd.h264", "bt709", "bt709", "bt709"), raw("hdr.h264", "bt2020", "smpte2084", "bt2020nc")
    other = raw("other.h264", "bt709", "bt709", "smpte170m")

    def said(path: Path) -> tuple[int, int]:
        with opened(path) as source:
            sink = open_sink(
                str(tmp_path / "out.mkv"), SinkOptions(overwrite=True), source.carried, source.info
            )
            for frame in source:
                sink.write(frame)
            sink.finish()
            assert sink.counters.frames in (5, 10)
            return (
                sum(n.startswith("matrix or range changes") for n in source.notes),
                sum("change at frame 5, to bt2020/smpte2084" in warning for warning in sink.warnings),
            )

    assert said(clips.joined("to_hdr.h264", hd, hdr)) == (1, 1)
    assert said(clips.joined("to_other.h264", hd, other)) == (1, 0)
    assert said(hd) == (0, 0)
