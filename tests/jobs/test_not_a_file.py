"""Inputs that are no file on disk: standard input, pipes and addresses lose nothing that a file would keep."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from tests.support import clips
from tests.support.enlarged import QUICK, enlarge, frame_seconds, stream
from tests.support.processes import PATIENCE_S
from tests.support.serving import served
from vsr.core.errors import SourceLostError
from vsr.media.read.opening import RECONNECTING


def vsr(*args: str | Path, given: Path) -> subprocess.CompletedProcess[str]:
    """Run the command with the file's bytes coming through a pipe."""
    with subprocess.Popen(["cat", given], stdout=subprocess.PIPE) as cat:
        return subprocess.run(
            [sys.executable, "-m", "vsr", *map(str, args)],
            stdin=cat.stdout,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )


def covered() -> Path:
    """Matroska with a cover picture, far larger than what FFmpeg reads ahead."""
    cover = clips.made("cover.jpg", "red", Image.new("RGB", (32, 32), (200, 30, 30)).save)
    noise = "testsrc2=size=320x240:rate=25:duration=1,noise=alls=40:allf=t"
    return clips.make("covered.mkv", "-c:v", "libx264", "-crf", "10", "-pix_fmt", "yuv420p", "-attach",
                      str(cover), "-metadata:s:t", "mimetype=image/jpeg", source=noise)  # fmt: skip


def turned(path: Path, orientation: int) -> Path:
    """A JPEG with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.effect_noise((40, 24), 60).convert("RGB").save(path, exif=exif)
    return path


@pytest.mark.slow
def test_a_piped_video_with_a_cover_keeps_all_its_frames(tmp_path: Path) -> None:
    path, out = covered(), tmp_path / "out.mkv"
    assert path.stat().st_size > 300_000
    done = vsr("upscale", "-", out, "--model", "bicubic", "--preset", "ultrafast", given=path)
    assert done.returncode == 0, done.stderr
    assert frame_seconds(out) == frame_seconds(path)
    assert "cover art #1 (mjpeg, cover.jpg) is left out" in done.stdout + done.stderr


def test_a_video_from_a_fifo_keeps_all_its_frames(tmp_path: Path) -> None:
    path, fifo, out = covered(), tmp_path / "fifo", tmp_path / "out.mkv"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(path.read_bytes(),), daemon=True)
    writer.start()
    report = enlarge(fifo, out, **QUICK)
    writer.join(PATIENCE_S)
    assert report.frames_in == report.frames_out == 25


def test_a_cover_of_a_file_stays(tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    enlarge(covered(), out, **QUICK)
    assert stream(out, "v:1")["disposition"]["attached_pic"] == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_half_a_download_is_not_taken_for_a_film(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RECONNECTING, "reconnect_delay_max", "1")  # or it would be tried for half a minute
    path, out = clips.h264(f"served{suffix}", "-movflags", "+faststart"), tmp_path / "out.mkv"
    with served(path) as url:
        assert enlarge(url, out, **QUICK).frames_out == 25
    out.unlink()
    with served(path, sent=0.6) as url, pytest.raises(SourceLostError, match="connection broke") as error:
        enlarge(url, out, **QUICK)
    assert error.value.hint
    assert not out.exists()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_connection_that_breaks_once_is_made_anew(suffix: str, tmp_path: Path) -> None:
    path = clips.h264(f"served{suffix}", "-movflags", "+faststart")
    with served(path, sent=0.6, times=1) as url:
        assert enlarge(url, tmp_path / "out.mkv", **QUICK).frames_out == 25


def test_a_segment_that_does_not_come_at_once_is_asked_for_again(tmp_path: Path) -> None:
    folder = tmp_path / "hls"
    folder.mkdir()
    clip = clips.h264("to_segments.ts", "-g", "5")
    clips.run("-i", clip, "-c", "copy", "-hls_time", "0.4", "-hls_playlist_type", "vod", folder / "a.m3u8")
    with served(folder / "a.m3u8", busy="a1.ts") as url:
        report = enlarge(url, tmp_path / "out.mkv", **QUICK)
    assert report.frames_out == 25
    assert not [note for note in report.notes if "segments" in note]


def test_probe_of_standard_input() -> None:
    done = vsr("probe", "-", "--json", given=clips.h264("piped.ts"))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["video"]["width"], found["video"]["height"]) == (160, 120)
    assert "standard input" in found["vsr_upscale"]["notes"][0]


def test_a_picture_from_standard_input_stays_turned(tmp_path: Path) -> None:
    out = tmp_path / "out.jpg"
    done = vsr("upscale", "-", out, "--model", "bicubic", given=turned(tmp_path / "turned.jpg", 6))
    assert done.returncode == 0, done.stderr
    with Image.open(out) as image:
        assert image.size == (80, 48)
        assert image.getexif()[0x0112] == 6


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
def test_a_picture_from_an_address_stays_turned(suffix: str, tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    with served(turned(tmp_path / f"turned{suffix}", 8)) as url:
        enlarge(url, out)
    with Image.open(out) as image:
        assert image.getexif()[0x0112] == 8
