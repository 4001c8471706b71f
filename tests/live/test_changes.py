"""Sources that become others while they play."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.live.test_sources import ffmpeg_sends
from tests.support import clips
from tests.support.children import free_port
from tests.support.rtsp import needs_rtsp_server, rtsp_server
from tests.support.sessions import Running, adds_up, running
from vsr.live.frame import StreamFrame
from vsr.live.report import StreamReport

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")


def test_a_change_of_size_in_mid_stream_is_followed(tmp_path: Path) -> None:
    port = free_port()
    url = f"udp://127.0.0.1:{port}"
    recorded = tmp_path / "recorded.mkv"
    with running(url, str(recorded)) as stream:
        for size, rate in (("160x120", 25), ("192x144", 20)):
            with ffmpeg_sends("-f", "mpegts", f"{url}?pkt_size=1316", size=size, rate=rate):
                wanted = tuple(map(int, size.split("x")))
                stream.wait(lambda report, wanted=wanted: report.size_in == wanted)
                stream.wait_for_frames(15)
        report = stream.stop()
    assert report.size_out == (384, 288)
    assert adds_up(report)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["recorded-0002.mkv", "recorded.mkv"]
    found = [
        clips.ffprobe(file, "stream=width,height", "-select_streams", "v:0")["streams"][0] for file in files
    ]
    assert [(one["width"], one["height"]) for one in found] == [(384, 288), (320, 240)]
    assert sum(len(clips.frame_times(file)) for file in files) == report.sinks[0]["frames"]


def test_a_change_of_codec_in_mid_stream_is_followed() -> None:
    port = free_port()
    url = f"udp://127.0.0.1:{port}"
    frames: list[StreamFrame] = []
    with running(url, "null", take=frames.append) as stream:
        with ffmpeg_sends("-f", "mpegts", f"{url}?pkt_size=1316", encoder="libx265"):
            # Long enough for the next one's clock to begin well before where this one's ends.
            stream.wait_for_frames(60)
        with ffmpeg_sends("-f", "mpegts", f"{url}?pkt_size=1316", encoder="libx264"):
            stream.wait(lambda report: "its codec may have changed" in str(report.changes))
            wait_for_new(stream, frames)
        report = stream.stop()
    check_output(report, frames)


@needs_rtsp_server
def test_a_server_that_comes_back_with_another_codec_is_followed() -> None:
    frames: list[StreamFrame] = []
    with (
        rtsp_server("--size", "160x120") as camera,
        running(camera.url(), "null", take=frames.append) as stream,
    ):
        wait_for_new(stream, frames)
        for codec in ("h265", "h264"):
            camera.kill()
            stream.wait(lambda report: report.state == "reconnecting")
            camera.command += ["--codec", codec]  # the last one counts
            camera.start()
            stream.wait(lambda report: report.state == "streaming")
            wait_for_new(stream, frames)
        report = stream.stop()
    assert report.reconnects >= 2
    check_output(report, frames)


def wait_for_new(stream: Running, frames: Sequence[StreamFrame]) -> None:
    """Until what comes from now on has gone out."""
    now = time.monotonic()
    stream.wait(lambda _: bool(frames) and frames[-1].captured_at > now)


def check_output(report: StreamReport, frames: Sequence[StreamFrame]) -> None:
    """Everything went out, in the right size and one after the other."""
    assert adds_up(report)
    assert len(frames) == report.frames_out == report.sinks[0]["frames"]
    assert {(one.frame.width, one.frame.height) for one in frames} == {(320, 240)}
    assert all(before.time_s < after.time_s for before, after in itertools.pairwise(frames))
