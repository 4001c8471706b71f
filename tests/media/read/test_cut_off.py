"""A file that is cut off gets a warning: how much is there, and how much the file states."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import clips
from tests.support.processes import PATIENCE_S
from tests.support.sinks import through
from vsr.core.errors import DecodeError
from vsr.media.read.open import open_source
from vsr.media.types import SourceOptions

H264 = ("-c:v", "libx264", "-g", "12", "-c:a", "aac")
KINDS = {
    "fast.mp4": (*H264, "-movflags", "+faststart"),
    "fast.mov": (*H264, "-movflags", "+faststart"),
    "fragments.mp4": (*H264, "-movflags", "+frag_keyframe+empty_moov"),
    "plain.mkv": H264,
    "live.mkv": (*H264, "-live", "1", "-cluster_time_limit", "300"),
    "plain.webm": ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libvorbis"),
    "plain.avi": ("-c:v", "mpeg4", "-c:a", "mp2"),
    "plain.ts": H264,
    "plain.m2ts": H264,
    "plain.nut": ("-c:v", "ffv1", "-c:a", "pcm_s16le"),
    "plain.y4m": ("-an",),
    "plain.flv": H264,
    "plain.ogv": ("-c:v", "libtheora", "-c:a", "libvorbis"),
    "plain.wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    "plain.mxf": ("-c:v", "mpeg2video", "-an"),
}


def whole(kind: str) -> Path:
    """Three seconds with sound."""
    long = "testsrc2=size=96x64:rate=25:duration=3"
    return clips.make(kind, "-f", "lavfi", "-i", "sine=duration=3", *KINDS[kind], source=long)


def cut(kind: str) -> Path:
    """Three fifths of it, and not between two packets of MPEG-TS."""
    data = whole(kind).read_bytes()
    return clips.made(f"cut-{kind}", "cut", lambda path: path.write_bytes(data[: len(data) * 3 // 5 | 1]))


def read(path: Path, **options: object) -> tuple[int, tuple[str, ...]]:
    with open_source(str(path), SourceOptions(**options)) as source:  # type: ignore[arg-type]
        count = sum(1 for _ in source)
        return count, source.carried.warnings


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_cut_off_says_so(kind: str, tmp_path: Path) -> None:
    assert read(whole(kind), strict=True) == (75, ())
    path = cut(kind)
    frames, (warning,) = read(path)
    assert 20 < frames < 60
    assert warning.startswith("the input is cut off: ")
    there, states = (file.stat().st_size for file in (path, whole(kind)))
    if kind in ("fast.mp4", "fast.mov", "plain.mkv", "plain.webm", "plain.avi", "plain.wmv"):
        assert f"{there:,} of {states:,} bytes" in warning
    if kind.startswith("fast"):
        assert f"{frames} of 75 frames" in warning
    if kind in ("fast.mp4", "plain.mkv", "plain.webm", "plain.flv", "plain.mxf"):
        assert " of 3.0" in warning
    with pytest.raises(DecodeError):
        read(path, strict=True)
    for strict in (False, True):
        wanted, warnings = read(path, duration_s=0.4, strict=strict)
        assert 8 <= wanted <= 10
        assert not warnings


def test_a_cut_off_input_is_a_warning_of_the_whole_job(tmp_path: Path) -> None:
    path = cut("fast.mp4")
    command = [sys.executable, "-m", "vsr", "upscale", str(path), "--model", "bicubic"]
    for strict in (False, True):
        output = tmp_path / f"out{strict}.mkv"
        options = ["--strict"] if strict else []
        done = subprocess.run(
            [*command, str(output), *options], capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert bool(done.returncode) == strict
        assert output.exists() != strict
        assert strict or "warning: the input is cut off: " in done.stdout + done.stderr


def test_a_pipe_that_breaks_off_says_so(tmp_path: Path) -> None:
    path = cut("plain.mkv")
    program = (
        "from vsr.media.read.open import open_source\n"
        "source = open_source('-')\nlist(source)\nprint(*source.carried.warnings)"
    )
    with path.open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdin=file,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
    assert "the input is cut off: " in done.stdout
    assert " of 3.0" in done.stdout


def test_a_file_cut_off_behind_its_pictures_is_written_as_far_as_it_goes(tmp_path: Path) -> None:
    path = clips.cut("short-plain.mkv", whole("plain.mkv"), 0.999)
    sink = through(path, tmp_path / "out.mkv")
    assert sink.counters.frames >= 74


@pytest.mark.parametrize("kind", ["fast.mp4", "plain.mkv", "live.mkv", "plain.avi"])
def test_what_stands_behind_a_file_is_no_part_of_it(kind: str, tmp_path: Path) -> None:
    path = tmp_path / kind
    path.write_bytes(whole(kind).read_bytes() + b"Some program wrote this behind it." * 3)
    frames, warnings = read(path)
    assert (frames, warnings) == (75, ())
