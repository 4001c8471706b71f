"""Servers and cameras that begin with sound, speak UDP only, lose their picture, or are not there yet."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.broken_rtsp import BrokenRtsp
from tests.support.processes import started, until
from tests.support.rtmp import needs_rtmp_server, rtmp_server
from tests.support.rtsp import needs_rtsp_server, rtsp_server
from tests.support.sessions import adds_up, run, running
from vsr.core.errors import AccessDeniedError, SourceOpenError


@contextmanager
def published(url: str, *, gop: int = 100) -> Iterator[None]:
    """A picture with a keyframe every `gop` frames, 25 a second, and sound."""
    lavfi = "-re -f lavfi -i testsrc2=size=160x120:rate=25 -f lavfi -i sine"
    video = (
        f"-c:v libx264 -preset ultrafast -g {gop} -keyint_min {gop} -sc_threshold 0 -bf 2 -pix_fmt yuv420p"
    )
    with started(*f"ffmpeg -v error -nostdin {lavfi} {video} -c:a aac -f flv {url}".split()):
        yield


@needs_rtmp_server
def test_a_picture_that_comes_after_the_sound_is_waited_for(tmp_path: Path) -> None:
    with (
        rtmp_server(tmp_path) as server,
        published(f"{server}name"),
        running(f"{server}name", "null", wait=True) as first,
    ):
        first.wait_for_frames(1)
        # Right after a keyframe: the next one is 4 s away, and sound comes meanwhile.
        with running(f"{server}name", "null", timeout_s=30.0) as second:
            second.wait_for_frames(10)
            report = second.stop()
    assert not report.reconnects
    assert adds_up(report)


@needs_rtmp_server
def test_a_stream_that_is_not_published_yet_is_waited_for_where_that_is_asked(tmp_path: Path) -> None:
    with rtmp_server(tmp_path) as server:
        with pytest.raises(SourceOpenError, match="the server gives no such stream"):
            run(f"{server}name", "null")
        with running(f"{server}name", "null", wait=True) as stream:
            stream.wait(lambda report: report.state == "reconnecting")
            with published(f"{server}name", gop=10):
                stream.wait_for_frames(5)
                stream.stop()


@needs_rtsp_server
def test_a_camera_over_udp_only() -> None:
    with rtsp_server("--udp-only") as camera, running(camera.url(), "null") as stream:
        stream.wait_for_frames(20)
        assert not stream.stop().reconnects


@needs_rtsp_server
def test_a_transport_that_is_asked_for_is_taken() -> None:
    with rtsp_server("--udp-only") as camera:
        with pytest.raises(SourceOpenError, match="the server accepts neither TCP nor UDP"):
            run(camera.url(), "null", source_options={"rtsp_transport": "tcp"})
        with pytest.raises(SourceOpenError, match="FFmpeg refuses to open it") as caught:
            run(camera.url(), "null", source_options={"rtsp_transport": "pigeon"})
        assert "rtsp_transport" in str(caught.value.hint)


def test_udp_is_tried_where_tcp_is_refused_in_other_words() -> None:
    with BrokenRtsp("--answer", "400 Bad Request") as server:
        with pytest.raises(SourceOpenError, match="400 Bad Request"):
            run(server.url(), "null")
        assert server.methods(4) == ["OPTIONS", "DESCRIBE"] * 2


@needs_rtsp_server
def test_a_picture_that_stops_while_sound_goes_on_is_noticed() -> None:
    with rtsp_server("--bframes", "0") as camera, running(camera.url(), "null", timeout_s=1.0) as stream:
        stream.wait_for_frames(10)
        camera.tell("video", "off")
        stream.wait(lambda report: report.stalls == 1)
        camera.tell("video", "on")
        stream.wait_for_frames(10)
        report = stream.stop()
    assert "only sound came for" in next(
        change["why"] for change in report.changes if change["state"] == "stalled"
    )
    assert report.reconnects


@needs_rtsp_server
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            '401 Unauthorized; WWW-Authenticate: Digest realm="camera", nonce="abc"',
            "wants another user or password",
        ),
        ("404 Not Found", "has no such stream"),
        ("503 Service Unavailable", "5xx"),
    ],
)
def test_a_camera_that_refuses_while_it_boots_is_tried_again(answer: str, said: str) -> None:
    with (
        rtsp_server() as camera,
        BrokenRtsp("--answer", answer, "--then", camera.port) as booting,
        running(booting.url(), "null", wait=True) as stream,
    ):
        stream.wait(lambda report: said in str(report.changes).lower())
        booting.tell("relay")
        stream.wait_for_frames(5)
        booting.kill()
        stream.wait(lambda report: report.state == "reconnecting")
        booting.start()
        stream.wait(lambda report: str(report.changes).lower().count(said) > 1)
        booting.tell("relay")
        stream.wait_for_frames(5)
        stream.stop()


def test_a_wrong_password_at_the_start_is_told_at_once() -> None:
    answer = '401 Unauthorized; WWW-Authenticate: Basic realm="camera"'
    with BrokenRtsp("--answer", answer) as camera, pytest.raises(AccessDeniedError):
        run(camera.url(login="name:word@"), "null")


@needs_rtsp_server
@pytest.mark.parametrize("timeout_s", [3600.0, 1e6])
def test_a_long_timeout(timeout_s: float) -> None:
    with rtsp_server() as camera, running(camera.url(), "null", timeout_s=timeout_s) as stream:
        stream.wait_for_frames(2)
        stream.stop()


def test_who_waits_for_a_source_holds_up_no_other_thread() -> None:
    with BrokenRtsp("--hang", "DESCRIBE") as server, running(server.url(), "null", timeout_s=600.0) as stream:
        until(lambda: len(server.lines) == 2)
        began = time.monotonic()
        for _ in range(50):
            time.sleep(0.001)
        assert time.monotonic() - began < 60  # of the 600 that the source is waited for
        assert stream.session.report().state == "connecting"
        server.kill()
