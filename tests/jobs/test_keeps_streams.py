"""What a whole job keeps of its input: the time of every picture, and everything beside them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

import vsr
from tests.support import clips
from tests.support.enlarged import QUICK, enlarge, frame_seconds, packets, seconds, stream, tick
from tests.support.tiers import slow_except

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


@pytest.mark.parametrize("suffix", slow_except(".mkv", [".mp4", ".mov", ".mkv"]))
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


@pytest.mark.parametrize("suffix", slow_except(".mkv", [".mp4", ".mkv"]))
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


def test_the_plan_says_that_it_deinterlaces() -> None:
    assert any(
        note.startswith("interlaced: deinterlaced") for note in vsr.preview(str(clips.interlaced())).notes
    )


@pytest.mark.slow
def test_interlaced_pictures_are_woven_apart_and_noted(tmp_path: Path) -> None:
    path, out = clips.interlaced(), tmp_path / "out.mkv"
    report = enlarge(path, out, **QUICK)
    assert sum("interlaced" in note for note in report.notes) == 1
    before, after = frame_seconds(path), frame_seconds(out)
    # A transport stream's clock begins anywhere, that of Matroska at 0.
    assert all(abs(b - before[0] - a) <= tick(out) for a, b in zip(after, before, strict=True))
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


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_chapters_end_where_the_output_ends(suffix: str, tmp_path: Path) -> None:
    facts, path, out = tmp_path / "facts.txt", tmp_path / "chapters.mkv", tmp_path / f"out{suffix}"
    lines = [";FFMETADATA1"]
    for start, title in ((0, "one"), (300, "two"), (600, "three")):
        lines += ["[CHAPTER]", "TIMEBASE=1/1000", f"START={start}", f"END={start + 300}", f"title={title}"]
    facts.write_text("\n".join(lines))
    clips.run("-i", clips.h264(), "-i", facts, "-map_chapters", "1", "-c", "copy", path)
    enlarge(path, out, start_s=0.2, duration_s=0.2, **QUICK)
    found = clips.ffprobe(out, "format=duration:chapter=start_time,end_time", "-show_chapters")
    assert [(c["start_time"], c["end_time"]) for c in found["chapters"]] == [
        ("0.000000", "0.100000"),
        ("0.100000", "0.200000"),
    ]
    assert float(found["format"]["duration"]) <= 0.25


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
