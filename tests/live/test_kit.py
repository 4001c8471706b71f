"""The camera, the broken servers and the links that other tests rely on do what they say."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support import barcode
from tests.support.broken_rtsp import BrokenRtsp
from tests.support.link import Link
from tests.support.processes import started, until
from tests.support.rtmp import needs_rtmp_server, rtmp_server
from tests.support.rtsp import needs_rtsp_server, rtsp_server
from tests.support.watching import Reading, beeps_after_flashes_s, each_once, readings, watch


def test_a_bar_code_outlives_enlarging_and_a_damaged_one_is_told() -> None:
    luma = np.full((180, 320), 128, np.uint8)
    barcode.write(luma, 0, 0xDEADBEEF)
    barcode.write(luma, 1, 7)
    large = luma.repeat(2, 0).repeat(2, 1)
    for picture in (luma, large):
        assert [barcode.read(picture, row) for row in (0, 1)] == [0xDEADBEEF, 7]
    luma[:, 200:] = 220
    assert barcode.read(luma, 1) is None


def first(url: str, count: int = 30, **options: str) -> list[Reading]:
    seen = watch(url, **options)
    try:
        return list(itertools.islice(seen, count))
    finally:
        seen.close()  # type: ignore[attr-defined]


@needs_rtsp_server
@pytest.mark.parametrize(
    ("arguments", "transport"),
    [
        ("", "tcp"),
        ("--audio pcma --bframes 0 --rate 24 --nominal 25", "tcp"),
        ("--codec h265 --audio pcmu", "tcp"),
        ("--udp-only --user name --password word --digest", "udp"),
    ],
)
def test_the_camera_gives_each_picture_once(arguments: str, transport: str) -> None:
    with rtsp_server(*arguments.split()) as camera:
        seen = first(camera.url(login="name:word@"), rtsp_transport=transport)
    assert each_once(seen)
    assert {
        round((after.pts_s or 0) - (before.pts_s or 0), 3) for before, after in itertools.pairwise(seen[5:])
    } == {0.04}


@needs_rtsp_server
def test_the_camera_and_links_do_what_they_are_told() -> None:
    with (
        rtsp_server() as camera,
        Link(camera.port, "--rtp") as edited,
        Link(edited.port, "--delay", "0.2") as slow,
    ):
        seen = watch(f"rtsp://127.0.0.1:{slow.port}/live")
        before = [reading.pts_s for reading in itertools.islice(seen, 20)]
        edited.tell("video", 100)
        camera.tell("video_jump", 1000)
        camera.tell("size", "640x360")
        later = next(
            reading for reading in seen if (reading.pts_s or 0) > 1000 and reading.size == (640, 360)
        )
        seen.close()  # type: ignore[attr-defined]
    assert (before[-1] or 0) < 50
    assert (later.pts_s or 0) > 1050
    assert (later.latency_ms or 0) > 200


@needs_rtsp_server
def test_what_is_published_is_read_and_lies_in_sync(tmp_path: Path) -> None:
    published, read = tmp_path / "published.mkv", tmp_path / "read"
    with rtsp_server("--record", str(published), "--readings", str(read), "--bframes", "0") as server:
        send = [
            "ffmpeg",
            "-v",
            "error",
            "-nostdin",
            "-rtsp_transport",
            "tcp",
            "-i",
            server.url(),
            "-t",
            "3",
            "-c",
            "copy",
        ]
        subprocess.run([*send, "-rtsp_transport", "tcp", "-f", "rtsp", server.url("record-av")], check=True)
    seen = readings(read)
    assert len(seen) > 25
    assert each_once(seen)


@needs_rtsp_server
def test_a_beep_is_heard_with_each_flash(tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.mkv"
    with rtsp_server("--bframes", "0", "--audio", "pcma") as camera:
        send = [
            "ffmpeg",
            "-v",
            "error",
            "-nostdin",
            "-rtsp_transport",
            "tcp",
            "-i",
            camera.url(),
            "-t",
            "3",
            "-c",
            "copy",
        ]
        subprocess.run([*send, recorded], check=True)
    assert beeps_after_flashes_s(recorded)[-1] == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "raised", "asked"),
    [
        (["--hang", "CONNECT"], av.FFmpegError, []),
        (["--hang", "DESCRIBE"], av.FFmpegError, ["OPTIONS", "DESCRIBE"]),
        (["--garbage"], av.InvalidDataError, ["OPTIONS"]),
        (["--answer", "404 Not Found"], av.HTTPNotFoundError, ["OPTIONS", "DESCRIBE"]),
        (["--late", "5"], av.FFmpegError, ["OPTIONS"]),
    ],
)
def test_a_broken_server_is_broken(arguments: list[str], raised: type[Exception], asked: list[str]) -> None:
    with BrokenRtsp(*arguments) as server:
        with pytest.raises(raised):
            next(watch(server.url(), timeout_s=0.5))
        assert server.methods(len(asked)) == asked


@needs_rtsp_server
def test_a_broken_server_gets_well() -> None:
    with rtsp_server() as camera, BrokenRtsp("--answer", "404 Not Found", "--then", camera.port) as server:
        with pytest.raises(av.HTTPNotFoundError):
            first(server.url())
        server.tell("relay")
        assert each_once(first(server.url()))


@needs_rtmp_server
def test_nginx_gives_what_is_published_to_it(tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as url:
        send = "ffmpeg -v error -nostdin -re -f lavfi -i testsrc2=size=160x120 -c:v libx264 -preset ultrafast -f flv"
        with pytest.raises(av.PermissionError):  # nobody publishes yet
            av.open(f"{url}name")
        with started(*send.split(), f"{url}name"):
            until(lambda: _widths(f"{url}name") == [160])


def _widths(url: str) -> list[int]:
    with contextlib.suppress(av.PermissionError), av.open(url, timeout=10.0) as container:
        return [stream.width for stream in container.streams.video]
    return []
