"""What a whole job keeps of its input: time, size, shape and colour of the pictures, and everything beside them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vsr
from tests.jobs.media import QUICK, enlarge, frame_seconds, luma, packets, pictures, seconds, stream, tick
from tests.media import clips
from vsr.core.errors import ConfigError, SourceOpenError

# Time


def film(name: str = "film.mp4") -> Path:
    """23.976 frames a second."""
    return clips.h264(name, source="testsrc2=size=64x48:rate=24000/1001:duration=1")


def with_edit_list() -> Path:
    """An MP4 whose edit list hides what comes before 0.5 s."""
    whole = clips.h264("whole.mp4", audio=True)
    return clips.derive("edited.mp4", whole, "-c", "copy", before=("-ss", "0.5"))


def delayed() -> Path:
    """An MP4 whose edit list begins with 1.2 s of nothing."""
    return clips.h264("delayed.mp4", "-output_ts_offset", "1.2", "-avoid_negative_ts", "disabled")


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize(
    "make",
    [
        clips.h264,
        film,
        clips.variable_rate,
        lambda: clips.h264("late.mkv", "-output_ts_offset", "3.21"),
        delayed,
    ],
    ids=["constant", "film", "variable", "late", "delayed"],
)
def test_every_frame_keeps_its_time(make: Callable[[], Path], suffix: str, tmp_path: Path) -> None:
    path, out = make(), tmp_path / f"out{suffix}"
    report = enlarge(path, out, **QUICK)
    before, after = seconds(path), seconds(out)
    assert report.frames_in == report.frames_out == len(before) == len(after)
    rounding = tick(out) / 2 if suffix == ".mkv" else 0  # Matroska counts milliseconds
    assert all(abs(a - b) <= rounding for a, b in zip(before, after, strict=True))
    assert frame_seconds(out) == after


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("make", [clips.h264, film], ids=["constant", "film"])
def test_every_frame_keeps_its_duration(make: Callable[[], Path], suffix: str, tmp_path: Path) -> None:
    # At a variable rate both containers hold nothing but the times.
    path, out = make(), tmp_path / f"out{suffix}"
    enlarge(path, out, **QUICK)
    before, after = seconds(path, what="duration"), seconds(out, what="duration")
    rounding = tick(out) if suffix == ".mkv" else 0
    assert all(abs(a - b) <= rounding for a, b in zip(before, after, strict=True))


def test_b_frames_in_the_output_move_nothing(tmp_path: Path) -> None:
    path, out = clips.variable_rate(), tmp_path / "out.mp4"
    enlarge(path, out, preset="fast", encoder_options={"bf": "3"})
    assert stream(out)["has_b_frames"] > 0
    assert seconds(out) == seconds(path)


def test_what_an_edit_list_hides_stays_hidden(tmp_path: Path) -> None:
    path, out = with_edit_list(), tmp_path / "out.mp4"
    enlarge(path, out, **QUICK)
    assert frame_seconds(out) == frame_seconds(path)
    # Copied sound keeps its packets, and its place beside the pictures.
    assert packets(out, "a:0") == packets(path, "a:0")


def test_a_raw_stream_gets_the_times_of_its_rate(tmp_path: Path) -> None:
    path, out = clips.h264("raw.h264"), tmp_path / "out.mp4"
    report = enlarge(path, out, frame_rate=Fraction(50), **QUICK)
    assert frame_seconds(out) == [Fraction(n, 50) for n in range(25)]
    assert any("50 frames a second" in note for note in report.notes)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_start_and_duration_cut_at_frames_and_begin_at_zero(suffix: str, tmp_path: Path) -> None:
    path, out = clips.h264("sounding.mp4", audio=True), tmp_path / f"out{suffix}"
    report = enlarge(path, out, start_s=0.33, duration_s=0.4, **QUICK)
    kept = [t for t in frame_seconds(path) if Fraction(33, 100) <= t < Fraction(73, 100)]
    assert report.frames_out == len(kept)
    times = frame_seconds(out)
    assert all(abs(a - (b - Fraction(33, 100))) <= tick(out) for a, b in zip(times, kept, strict=True))
    whole = [value for _, value in packets(path, "a:0")]
    part = [value for _, value in packets(out, "a:0")]
    begin = whole.index(part[0])
    assert whole[begin : begin + len(part)] == part


def test_interlaced_pictures_are_woven_apart_and_noted(tmp_path: Path) -> None:
    path, out = clips.interlaced(), tmp_path / "out.mkv"
    report = enlarge(path, out, **QUICK)
    assert any("interlaced" in note for note in report.notes)
    before, after = frame_seconds(path), frame_seconds(out)
    assert all(abs(a - b) <= tick(out) for a, b in zip(before, after, strict=True))
    assert stream(out).get("field_order", "progressive") in ("progressive", "unknown")


# Beside the pictures


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Matroska file with two kinds of sound, subtitles, a font, chapters and titles."""
    folder = tmp_path_factory.mktemp("loaded")
    (folder / "words.srt").write_text(
        "1\n00:00:00,100 --> 00:00:00,600\nfirst\n\n2\n00:00:00,700 --> 00:00:00,900\nsecond\n"
    )
    (folder / "font.ttf").write_bytes(bytes(range(200)))
    (folder / "meta.txt").write_text(
        ";FFMETADATA1\ntitle=A title\ncomment=kept\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=400\ntitle=one\n"
        "[CHAPTER]\nTIMEBASE=1/1000\nSTART=400\nEND=1000\ntitle=two\n"
    )
    path = folder / "loaded.mkv"
    clips.run(
        "-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=1", "-f", "lavfi", "-i", "sine=duration=1",
        "-i", folder / "words.srt", "-i", folder / "meta.txt", "-map", "0", "-map", "1", "-map", "1", "-map", "2",
        "-map_metadata", "3", "-map_chapters", "3", "-c:v", "libx264", "-pix_fmt", "yuv420p",
        "-c:a:0", "aac", "-c:a:1", "ac3", "-c:s", "srt", "-attach", folder / "font.ttf", "-metadata:s:t", "mimetype=font/ttf",
        "-metadata:s:t", "filename=font.ttf", "-metadata:s:a:0", "language=ger", "-metadata:s:a:1", "language=fre",
        "-metadata:s:a:1", "title=Commentary", "-disposition:a:1", "comment", "-disposition:s:0", "forced", path,
    )  # fmt: skip
    return path


@pytest.fixture(scope="module")
def carried(loaded: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[vsr.Report, Path]:
    """The same file, upscaled."""
    out = tmp_path_factory.mktemp("carried") / "out.mkv"
    return enlarge(loaded, out, **QUICK), out


def test_all_streams_come_along_as_they_were(loaded: Path, carried: tuple[vsr.Report, Path]) -> None:
    report, out = carried
    assert report.warnings == ()
    for which in ("a:0", "a:1", "s:0"):
        assert packets(out, which) == packets(loaded, which)
        before, after = stream(loaded, which), stream(out, which)
        assert after["codec_name"] == before["codec_name"]
        assert after["disposition"] == before["disposition"]
        assert {k: v for k, v in after["tags"].items() if k in ("language", "title")} == {
            k: v for k, v in before["tags"].items() if k in ("language", "title")
        }


def test_chapters_and_titles_come_along(loaded: Path, carried: tuple[vsr.Report, Path]) -> None:
    _, out = carried
    for entries in ("chapter=start_time,end_time:chapter_tags=title", "format_tags=title,comment"):
        assert clips.ffprobe(out, entries) == clips.ffprobe(loaded, entries)


def test_attachments_come_along(loaded: Path, carried: tuple[vsr.Report, Path], tmp_path: Path) -> None:
    _, out = carried
    clips.run("-dump_attachment:t:0", tmp_path / "font.ttf", "-i", out, "-f", "null", "-")
    assert (tmp_path / "font.ttf").read_bytes() == bytes(range(200))
    tags = stream(out, "t:0")["tags"]
    assert (tags["filename"], tags["mimetype"]) == ("font.ttf", "font/ttf")


def test_what_a_container_cannot_hold_is_named(loaded: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    report = enlarge(loaded, out, **QUICK)
    said = " ".join(report.warnings)
    assert "attachment" in said or "font" in said
    assert "subtitle" in said or "subrip" in said
    assert [value for _, value in packets(out, "a:0")] == [value for _, value in packets(loaded, "a:0")]


def test_cover_art_stays_a_cover(tmp_path: Path) -> None:
    Image.new("RGB", (32, 32), (200, 30, 30)).save(tmp_path / "cover.jpg")
    path, out = tmp_path / "covered.mp4", tmp_path / "out.mp4"
    clips.run("-i", clips.h264(), "-i", tmp_path / "cover.jpg", "-map", "0", "-map", "1", "-c", "copy",
              "-disposition:v:1", "attached_pic", path)  # fmt: skip
    enlarge(path, out, **QUICK)
    assert stream(out, "v:1")["disposition"]["attached_pic"] == 1
    assert packets(out, "v:1")[0][1] == packets(path, "v:1")[0][1]
    assert (stream(out)["width"], stream(out, "v:1")["width"]) == (320, 32)


# Shape


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sample_aspect_ratio_stays(suffix: str, tmp_path: Path) -> None:
    path = clips.h264(
        "anamorphic.mp4", "-vf", "setsar=16/11", source="testsrc2=size=72x58:rate=25:duration=0.2"
    )
    out = tmp_path / f"out{suffix}"
    enlarge(path, out, **QUICK)
    assert stream(out)["sample_aspect_ratio"] == "16:11"
    assert (stream(out)["width"], stream(out)["height"]) == (144, 116)


def rotated() -> Path:
    """A clip of 160x120 that players show upright, 120x160."""
    return clips.derive("rotated.mp4", clips.h264(), "-c", "copy", "-metadata:s:v", "rotate=90")


def test_rotation_stays(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    enlarge(rotated(), out, **QUICK)
    assert stream(out)["side_data_list"][0]["rotation"] == stream(rotated())["side_data_list"][0]["rotation"]
    assert (stream(out)["width"], stream(out)["height"]) == (320, 240)


@pytest.mark.parametrize("size", [(65, 47), (64, 47), (1, 1), (3, 5)])
def test_odd_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    width, height = size
    cut = f"testsrc=size=96x64:rate=25:duration=0.2,crop={width}:{height}:exact=1"
    path = clips.make(f"odd{width}x{height}.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", source=cut)
    out = tmp_path / "out.mkv"
    enlarge(path, out, encoder="ffv1")
    assert (stream(out)["width"], stream(out)["height"]) == (2 * width, 2 * height)
    assert len(pictures(out)) == 5


@pytest.mark.parametrize(
    ("scale", "expected"),
    [(1, (160, 120)), (1.5, (240, 180)), (2, (320, 240)), (3, (480, 360)), (4, (640, 480))],
)
def test_scale(scale: float, expected: tuple[int, int], tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    report = enlarge(clips.h264(), out, scale=scale, **QUICK)
    assert (stream(out)["width"], stream(out)["height"]) == expected == report.size_out
    assert frame_seconds(out) == pytest.approx(frame_seconds(clips.h264()), abs=0.0006)


def test_size_is_exact(tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    enlarge(clips.h264(), out, size=(250, 188), **QUICK)
    assert (stream(out)["width"], stream(out)["height"]) == (250, 188)


def test_size_of_an_anamorphic_clip_is_what_is_shown(tmp_path: Path) -> None:
    path = clips.h264("wide.mp4", "-vf", "setsar=2/1", source="testsrc2=size=64x72:rate=25:duration=0.2")
    out = tmp_path / "out.mkv"
    report = enlarge(path, out, size=(256, 144), **QUICK)
    found = stream(out)
    assert (found["width"], found["height"]) == (256, 144)
    assert found.get("sample_aspect_ratio", "1:1") == "1:1"
    assert not any("shape" in note for note in report.notes)


def test_size_of_a_rotated_clip_is_what_is_shown(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    report = enlarge(rotated(), out, size=(240, 320), **QUICK)
    assert (stream(out)["width"], stream(out)["height"]) == (320, 240)
    assert not any("shape" in note for note in report.notes)


# Colour

TAGS = ("color_range", "color_space", "color_transfer", "color_primaries", "chroma_location")
TAGGED = {
    "bt601": ("bt470bg", "smpte170m", "smpte170m", "tv"),
    "bt709": ("bt709", "bt709", "bt709", "tv"),
    "full": ("bt709", "bt709", "bt709", "pc"),
    "bt2020": ("bt2020", "bt2020-10", "bt2020nc", "tv"),
}


def tagged(name: str, suffix: str = ".mkv", pix_fmt: str = "yuv420p") -> Path:
    """A lossless clip with these tags, of a picture whose mean is well inside the range."""
    primaries, transfer, matrix, range_ = TAGGED[name]
    picture = "testsrc2=size=64x48:rate=25:duration=0.2,format=gbrp"
    for_swscale = matrix.replace("nc", "").replace("smpte170m", "bt601")
    to_yuv = f"scale=out_color_matrix={for_swscale}:out_range={range_},format={pix_fmt}"
    return clips.make(f"{name}{suffix}", "-vf", to_yuv, "-c:v", "libx264", "-qp", "0", "-color_primaries", primaries,
                      "-color_trc", transfer, "-colorspace", matrix, "-color_range", range_, source=picture)  # fmt: skip


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("name", TAGGED)
def test_colour_tags_stay(name: str, suffix: str, tmp_path: Path) -> None:
    path, out = tagged(name), tmp_path / f"out{suffix}"
    enlarge(path, out, **QUICK)
    before, after = stream(path), stream(out)
    assert {tag: after.get(tag) for tag in TAGS} == {tag: before.get(tag) for tag in TAGS}


def test_untagged_stays_untagged(tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    enlarge(clips.h264(), out, **QUICK)
    assert not {"color_space", "color_transfer", "color_primaries", "color_range"} & stream(out).keys()


@pytest.mark.parametrize("name", ["bt601", "bt709", "full"])
@pytest.mark.parametrize("how", ["ffv1", "libx264"])
def test_levels_do_not_move(name: str, how: str, tmp_path: Path) -> None:
    path, out = tagged(name), tmp_path / "out.mkv"
    options = {"encoder": "ffv1"} if how == "ffv1" else {"crf": 0, **QUICK}
    enlarge(path, out, **options)
    before, after = pictures(path), pictures(out)
    assert len(before) == len(after)
    for small, large in zip(before, after, strict=True):
        # yuv420p as one array: luma, then both chroma planes
        rows, big = 48, 96
        assert abs(small[:rows].mean() - large[:big].mean()) < 0.5
        assert abs(small[rows:].mean() - large[big:].mean()) < 0.5


@pytest.mark.parametrize("name", ["bt601", "bt709", "full"])
def test_flat_colours_come_back_to_the_code(name: str, tmp_path: Path) -> None:
    _, _, matrix, range_ = TAGGED[name]
    to_yuv = (
        f"scale=out_color_matrix={matrix.replace('smpte170m', 'bt601')}:out_range={range_},format=yuv420p"
    )
    path = clips.make(f"flat-{name}.mkv", "-vf", to_yuv, "-c:v", "ffv1", "-colorspace", matrix, "-color_range", range_,
                      source="color=c=0x2468C0:size=32x32:rate=25:duration=0.12,format=gbrp")  # fmt: skip
    out = tmp_path / "out.mkv"
    enlarge(path, out, encoder="ffv1")
    small, large = pictures(path)[0], pictures(out)[0]
    assert np.array_equal(np.unique(small[:32]), np.unique(large[:64]))
    assert np.array_equal(np.unique(small[32:]), np.unique(large[64:]))


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p10le", "yuv444p10le"])
def test_ten_bits_stay_ten_bits_and_become_hevc(pix_fmt: str, tmp_path: Path) -> None:
    path = clips.make(f"{pix_fmt}.mkv", "-c:v", "ffv1", "-pix_fmt", pix_fmt,
                      source="testsrc2=size=64x48:rate=25:duration=0.2")  # fmt: skip
    out = tmp_path / "out.mp4"
    enlarge(path, out, **QUICK)
    found = stream(out)
    assert (found["codec_name"], found["codec_tag_string"], found["pix_fmt"]) == ("hevc", "hvc1", pix_fmt)


@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv444p", "gray"])
def test_subsampling_stays(pix_fmt: str, tmp_path: Path) -> None:
    path = clips.make(f"sub-{pix_fmt}.mkv", "-c:v", "ffv1", "-pix_fmt", pix_fmt,
                      source="testsrc2=size=64x48:rate=25:duration=0.2")  # fmt: skip
    out = tmp_path / "out.mkv"
    enlarge(path, out, encoder="ffv1")
    assert stream(out)["pix_fmt"] == pix_fmt
    assert abs(luma(path)[0].mean() - luma(out)[0].mean()) < 0.5


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_hdr10_metadata_stays(suffix: str, tmp_path: Path) -> None:
    path, out = clips.hdr10(), tmp_path / f"out{suffix}"
    enlarge(path, out, **QUICK)

    def metadata(of: Path) -> dict[str, dict[str, object]]:
        frame = clips.ffprobe(of, "frame", "-select_streams", "v:0", "-read_intervals", "%+#1")["frames"][0]
        kinds = ("Mastering display metadata", "Content light level metadata")
        return {d["side_data_type"]: d for d in frame["side_data_list"] if d["side_data_type"] in kinds}

    assert len(metadata(path)) == 2
    assert metadata(out) == metadata(path)
    assert {tag: stream(out).get(tag) for tag in TAGS} == {tag: stream(path).get(tag) for tag in TAGS}


# Pictures, folders and names


def test_a_sixteen_bit_gray_scan_keeps_sixteen_bits(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "scan.png")
    enlarge(tmp_path / "scan.png", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        assert (picture.mode, picture.size) == ("I;16", (128, 128))
        large = np.asarray(picture).astype(float)
    assert abs(large.mean() - ramp.mean()) < 2
    assert len(np.unique(large)) > 4000


def test_orientation_and_profile_of_a_picture_stay(tmp_path: Path) -> None:
    picture = Image.new("RGB", (48, 32), (10, 200, 100))
    exif = picture.getexif()
    exif[0x0112] = 6
    profile = b"\0\0\0\x80" + bytes(124)
    picture.save(tmp_path / "turned.jpg", exif=exif, icc_profile=profile, quality=95)
    enlarge(tmp_path / "turned.jpg", tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as out:
        assert out.size == (96, 64)
        assert out.getexif()[0x0112] == 6
        assert out.info["icc_profile"] == profile


def run_many(
    *inputs: Path | str, output: Path | str | None = None, failures: list[str] | None = None
) -> list[vsr.Report]:
    config = vsr.UpscaleConfig(
        inputs=tuple(map(str, inputs)),
        output=None if output is None else str(output),
        model="bicubic",
        sink=vsr.SinkOptions(preset="ultrafast"),
    )
    told = None if failures is None else lambda url, error: failures.append(f"{Path(url).name}: {error}")
    return vsr.upscale_many(config, on_failure=told)


def small(path: Path) -> Path:
    """A copy of a short clip at that place."""
    clip = clips.h264("short.mp4", source="testsrc2=size=64x48:rate=25:duration=0.2")
    path.write_bytes(clip.read_bytes())
    return path


def test_a_name_beside_the_input_is_the_default(tmp_path: Path) -> None:
    report = enlarge(small(tmp_path / "clip.mp4"), None, **QUICK)
    assert report.output == str(tmp_path / "clip_x2.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip.mp4", "clip_x2.mp4"]


def test_a_folder_goes_to_a_folder(tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    small(source / "b.mp4")
    small(source / "a.mp4")
    Image.new("RGB", (16, 16)).save(source / "c.png")
    (source / "notes.txt").write_text("no picture")
    reports = run_many(source, output=f"{target}/")
    assert [Path(r.input).name for r in reports] == ["a.mp4", "b.mp4", "c.png"]
    assert sorted(p.name for p in target.iterdir()) == ["a_x2.mp4", "b_x2.mp4", "c_x2.png"]


def test_inputs_of_one_name_get_outputs_of_two(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        small(tmp_path / folder / "clip.mp4")
    reports = run_many(tmp_path / "one/clip.mp4", tmp_path / "two/clip.mp4", output=f"{tmp_path}/out/")
    assert len({r.output for r in reports}) == 2
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_one_bad_input_does_not_keep_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video at all" * 100)
    failures: list[str] = []
    names = [small(tmp_path / "a.mp4"), tmp_path / "bad.mp4", small(tmp_path / "z.mp4")]
    reports = run_many(*names, output=f"{tmp_path}/out/", failures=failures)
    assert [Path(r.input).name for r in reports] == ["a.mp4", "z.mp4"]
    assert len(failures) == 1
    assert failures[0].startswith("bad.mp4: ")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_x2.mp4", "z_x2.mp4"]


def test_without_a_listener_the_first_failure_is_raised(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(SourceOpenError):
        run_many(tmp_path / "bad.mp4", small(tmp_path / "z.mp4"), output=f"{tmp_path}/out/")


def test_several_inputs_into_one_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="one output"):
        run_many(small(tmp_path / "a.mp4"), small(tmp_path / "b.mp4"), output=tmp_path / "out.mp4")
