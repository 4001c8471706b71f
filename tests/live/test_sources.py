"""Every kind of source that there is a real other end for here, and what is said of those that don't work."""

from __future__ import annotations

import contextlib
import errno
import functools
import http.server
import io
import itertools
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from tests.support import clips
from tests.support.children import free_port
from tests.support.sessions import adds_up, config, run, run_simulated, running, until
from vsr.core.errors import ConfigError, SourceOpenError, VsrError
from vsr.live.frame import StreamFrame
from vsr.live.rungs import Rungs
from vsr.live.session import Session
from vsr.live.states import Change
from vsr.media.live import bridge_command
from vsr.media.live.address import Address, parse_address
from vsr.media.live.refusals import refused_source

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

# As most sources send it: with B-frames, and sound.
ENCODE = [
    "-preset",
    "veryfast",
    "-bf",
    "2",
    "-b_strategy",
    "0",
    "-g",
    "12",
    "-threads",
    "1",
    "-pix_fmt",
    "yuv420p",
]
SOUND = ["-f", "lavfi", "-i", "sine=sample_rate=48000", "-c:a", "aac"]


@contextlib.contextmanager
def ffmpeg_sends(
    *output: str, size: str = "160x120", rate: int = 25, encoder: str = "libx264", sound: bool = True
) -> Generator[None]:
    """ffmpeg sending a test picture there."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-nostdin",
        "-re",
        "-f",
        "lavfi",
        "-i",
        f"testsrc2=size={size}:rate={rate}",
    ]
    with background([*command, *(SOUND if sound else []), "-c:v", encoder, *ENCODE, *output]):
        yield


@contextlib.contextmanager
def background(command: list[str]) -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def web_server(
    handler: type[http.server.BaseHTTPRequestHandler] | functools.partial[object],
) -> Generator[str]:
    """Its address, with a slash at the end."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:  # type: ignore[arg-type]
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def check(source: str, size: tuple[int, int], frames: int = 15, **options: object) -> None:
    with running(source, "null", **options) as stream:
        stream.wait_for_frames(frames)
        report = stream.stop()
    assert report.size_in == size
    assert adds_up(report)
    assert set(report.drops) <= {"starting"}


def test_a_test_source() -> None:
    check("testsrc:162x122@50", (162, 122))


def test_a_file_at_its_own_pace_to_its_end(tmp_path: Path) -> None:
    clip = clips.h264("live.mp4", audio=True)
    recorded = tmp_path / "recorded.mp4"
    report = run_simulated(str(clip), str(recorded), realtime=True)
    assert 0.9 < report.seconds < 2.0
    assert report.frames_in == report.frames_out == len(clips.frame_times(clip))
    assert not report.drops
    original, copy = ([time * 1.0 for time in clips.frame_times(path)] for path in (clip, recorded))
    tick = {
        path: clips.ffprobe(path, "stream=time_base", "-select_streams", "v:0") for path in (clip, recorded)
    }
    scale = {path: 1 / int(found["streams"][0]["time_base"].split("/")[1]) for path, found in tick.items()}
    steps = [
        [(after - before) * scale[path] for before, after in itertools.pairwise(times)]
        for path, times in ((clip, original), (recorded, copy))
    ]
    assert steps[0] == pytest.approx(steps[1], abs=1e-4)


def test_damage_is_stepped_over_and_counted(tmp_path: Path) -> None:
    data = bytearray(clips.h264().read_bytes())
    begin, end = len(data) // 3, len(data) // 2
    data[begin:end] = bytes(end - begin)
    (tmp_path / "damaged.mp4").write_bytes(data)
    report = run_simulated(str(tmp_path / "damaged.mp4"), str(tmp_path / "recorded.mkv"), realtime=True)
    assert report.damaged_packets
    assert 5 < report.frames_out < 25
    assert len(clips.frame_times(tmp_path / "recorded.mkv")) == report.frames_out


def test_mpegts_over_udp() -> None:
    port = free_port()
    with ffmpeg_sends("-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316"):
        check(f"udp://127.0.0.1:{port}", (160, 120))


def test_a_live_source_begins_when_the_networks_are_ready(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, ready_at = Rungs.prepare, []

    def slow(*args: Any) -> None:
        time.sleep(1.5)
        whole(*args)
        ready_at.append(time.monotonic())

    monkeypatch.setattr(Rungs, "prepare", slow)
    port, frames = free_port(), list[StreamFrame]()
    with (
        ffmpeg_sends("-f", "mpegts", f"udp://127.0.0.1:{port}?pkt_size=1316"),
        running(f"udp://127.0.0.1:{port}", "null", take=frames.append) as stream,
    ):
        stream.wait_for_frames(5)
        report = stream.stop()
    assert frames[0].captured_at > ready_at[0] - 0.5
    assert report.frames_in == report.frames_out


def test_mpegts_over_rtp() -> None:
    port = free_port()
    with ffmpeg_sends("-f", "rtp_mpegts", f"rtp://127.0.0.1:{port}"):
        check(f"rtp://127.0.0.1:{port}", (160, 120))


def test_other_rtp_is_known_by_its_sdp_file(tmp_path: Path) -> None:
    port, described = free_port(), tmp_path / "camera.sdp"
    with ffmpeg_sends("-f", "rtp", f"rtp://127.0.0.1:{port}", "-sdp_file", str(described), sound=False):
        until(lambda: described.exists() and "rtpmap" in described.read_text())
        with pytest.raises(SourceOpenError, match="does not describe its streams") as caught:
            run(f"rtp://127.0.0.1:{port}", "null")
        assert ".sdp" in str(caught.value.hint)
        check(str(described), (160, 120))


def test_rtmp() -> None:
    port = free_port()
    with ffmpeg_sends("-f", "flv", "-listen", "1", f"rtmp://127.0.0.1:{port}/app/key"):
        check(f"rtmp://127.0.0.1:{port}/app/key", (160, 120))


@pytest.mark.parametrize("options", ["", "&passphrase=0123456789", "&passphrase=it's+a%2Bpassword"])
def test_srt_through_the_systems_ffmpeg(options: str) -> None:
    port = free_port()
    with ffmpeg_sends("-f", "mpegts", f"srt://127.0.0.1:{port}?mode=listener{options}"):
        check(f"srt://127.0.0.1:{port}?mode=caller{options}", (160, 120))


def test_srt_through_an_ffmpeg_that_takes_secrets_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_command, "_has_hls", lambda: False)
    port, options = free_port(), "passphrase=it's+a%2Bpassword"
    with ffmpeg_sends("-f", "mpegts", f"srt://127.0.0.1:{port}?mode=listener&{options}"):
        check(f"srt://127.0.0.1:{port}?{options}", (160, 120))


class MotionJpeg(http.server.BaseHTTPRequestHandler):
    """As cameras serve it: one JPEG after the other."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace;boundary=next")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            for number in itertools.count():
                file = io.BytesIO()
                Image.fromarray(np.full((120, 160, 3), number % 256, np.uint8)).save(file, "JPEG")
                data = file.getvalue()
                self.wfile.write(
                    b"--next\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
                )
                self.wfile.write(data + b"\r\n")
                time.sleep(0.04)

    def log_message(self, *_: object) -> None:
        pass


def test_motion_jpeg_over_http() -> None:
    with web_server(MotionJpeg) as url:
        check(f"{url}camera", (160, 120))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def test_hls_out_and_in_again(tmp_path: Path) -> None:
    folder = tmp_path / "hls"
    with (
        running("testsrc:160x120@25", f"{folder}/") as sending,
        web_server(functools.partial(Quiet, directory=str(folder))) as url,
    ):
        sending.wait_for_frames(10)
        until((folder / "index.m3u8").exists)
        check(f"{url}index.m3u8", (320, 240), frames=30)
        sending.stop()
    assert (folder / "index.m3u8").read_text().rstrip().endswith("#EXT-X-ENDLIST")


@pytest.mark.skipif(shutil.which("Xvfb") is None, reason="needs Debian's xvfb")
def test_a_screen_is_captured_and_recorded(tmp_path: Path) -> None:
    number = next(n for n in range(90, 200) if not Path(f"/tmp/.X11-unix/X{n}").exists())
    recorded = tmp_path / "screen.mkv"
    player = "ffplay -v quiet -noborder -left 0 -top 0 -f lavfi testsrc2=size=320x240:rate=25".split()
    lively: list[bool] = []

    def look(frame: StreamFrame) -> None:
        luma = np.asarray(frame.frame.planes[0])
        lively.append(float(luma.std()) > 30)  # An empty screen is black.

    with background(["Xvfb", f":{number}", "-screen", "0", "320x240x24"]):
        until(Path(f"/tmp/.X11-unix/X{number}").exists)
        with (
            background(["env", f"DISPLAY=:{number}", *player]),
            running(f"screen::{number}.0", str(recorded), take=look) as stream,
        ):
            stream.wait(lambda _report: sum(lively) > 20)
            report = stream.stop()
    assert (report.size_in, report.size_out) == ((320, 240), (640, 480))
    assert adds_up(report)
    with av.open(str(recorded)) as container:
        pictures = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
    assert pictures[-1].shape == (480, 640)
    assert pictures[-1].std() > 30
    assert (pictures[-1] != pictures[-11]).mean() > 0.01, "it moves"


class Hold:
    """A connection between a listener and whoever connects here, which can be held up: nothing of it is lost."""

    def __init__(self, port: int) -> None:
        self.through = threading.Event()
        self.through.set()
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()

    def _carry(self) -> None:
        client, _ = self._server.accept()
        with (
            client,
            socket.create_connection(("127.0.0.1", self._to)) as sender,
            contextlib.suppress(OSError),
        ):
            while data := sender.recv(4096):
                self.through.wait()
                client.sendall(data)

    def close(self) -> None:
        self.through.set()
        self._thread.join()
        self._server.close()


def test_what_was_held_up_on_the_way_goes_out_once_it_is_here() -> None:
    port = free_port()
    with ffmpeg_sends("-f", "mpegts", f"tcp://127.0.0.1:{port}?listen=1"):
        until(lambda: _listens(port))
        hold = Hold(port)
        with running(f"tcp://127.0.0.1:{hold.port}", "null", timeout_s=20.0) as stream:
            stream.wait_for_frames(30)
            hold.through.clear()
            time.sleep(4.0)
            hold.through.set()
            stream.wait_for_frames(120)
            report = stream.stop()
    hold.close()
    assert adds_up(report)
    assert not report.drops
    assert not report.reconnects
    assert report.latency.most_ms < 3000


def _listens(port: int) -> bool:
    """Whether somebody does, without connecting: it is there for one only."""
    return any(
        line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
    )


def one_line(error: VsrError) -> str:
    assert "\n" not in error.message
    assert error.hint
    return error.message


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            "rtsp://name:secret@nosuchhost.invalid/live",
            "rtsp://nosuchhost.invalid/live: there is no host nosuchhost.invalid",
        ),
        ("camera:77", "camera:77: there is no camera /dev/video77"),
        ("/dev/video77", "/dev/video77: there is no camera /dev/video77"),
        ("nosuch.mp4", "nosuch.mp4: no such file"),
        ("testsrc:big", "testsrc:big: not a test source"),
        ("testsrc:640x360@0", "testsrc:640x360@0: not a test source"),
        ("gopher://host/x", "gopher://host/x: no live source speaks gopher"),
        ("screen::98.0", "screen :98.0: "),
    ],
)
def test_what_cannot_work_is_one_clear_line_at_once(source: str, said: str) -> None:
    changes: list[Change] = []
    with pytest.raises(VsrError) as caught:
        Session(config(source, "null"), on_change=changes.append).run()
    assert one_line(caught.value).startswith(said)
    assert "secret" not in f"{caught.value} {caught.value.hint}"
    assert "reconnecting" not in {change.state for change in changes}


def test_a_file_is_no_live_source_unless_it_is_said() -> None:
    with pytest.raises(ConfigError, match="a file is not a live source"):
        run(str(clips.h264()), "null")


def test_what_is_not_a_video_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("This is no video. " * 500)
    with pytest.raises(SourceOpenError, match="text: not a video stream"):
        run(str(tmp_path / "text"), "null", realtime=True)
    sound = clips.make("sound.mka", source="sine=duration=1")
    with pytest.raises(SourceOpenError, match="no video stream, only audio"):
        run(str(sound), "null", realtime=True)
    with web_server(functools.partial(Quiet, directory=str(tmp_path))) as url:
        with pytest.raises(SourceOpenError, match="text: not a video stream"):
            run(f"{url}text", "null")
        with pytest.raises(SourceOpenError, match="the server has no such stream"):
            run(f"{url}nosuch", "null")


def test_a_camera_in_use_is_told() -> None:
    # No camera is here to be used twice: the error is the one its driver gives.
    address = Address("/dev/video0", "/dev/video0", "v4l2", device=True)
    busy = refused_source(address, OSError(errno.EBUSY, os.strerror(errno.EBUSY)), 5.0)
    assert one_line(busy) == "/dev/video0: is in use by another program"
    assert isinstance(busy, SourceOpenError)


def test_a_peer_that_accepts_and_says_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        changes: list[Change] = []
        url = f"rtsp://127.0.0.1:{mute.getsockname()[1]}/live"
        session = Session(config(url, "null", timeout_s=0.5, retries=1), on_change=changes.append)
        with pytest.raises(VsrError, match=r"nothing came for 0\.5 s"):
            session.run()
        assert [change.state for change in changes].count("reconnecting") == 1


def test_credentials_are_in_no_address_that_is_shown() -> None:
    for text in (
        "rtsp://name:secret@host/x?key=secret",
        "srt://host:1?passphrase=secret",
        "https://u:secret@h/x.m3u8",
    ):
        assert "secret" not in parse_address(text).redacted


@pytest.mark.parametrize(
    "text", ["rtsp://", "rtsp:///x", "rtsp://user:word@/x", "rtmp://:1935/x", "http:///x", "udp://"]
)
def test_an_address_without_a_host_is_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigError, match="names no host") as caught:
        parse_address(text)
    assert caught.value.hint
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["udp://:1234", "udp://@:1234", "rtsp://[::1]:554/x", "rtsp://:pass/word@host/x"]
)
def test_a_port_alone_is_listened_at_and_a_host_is_found(text: str) -> None:
    assert parse_address(text).url == text
