"""Recordings and what is published, read by other programs."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import sys
import threading
from pathlib import Path

import pytest

from tests.live.test_sources import background
from tests.support import clips
from tests.support.broken_rtsp import BrokenRtsp
from tests.support.children import free_port
from tests.support.enlarged import descriptors
from tests.support.link import Link
from tests.support.processes import Processes
from tests.support.rtsp import needs_rtsp_server, rtsp_server
from tests.support.sessions import (
    adds_up,
    config,
    run,
    run_simulated,
    running,
    running_simulated,
    simulated,
    until,
)
from tests.support.tiers import slow_except
from vsr.core.errors import ConfigError, EncodeError, VsrError
from vsr.live.session import Session
from vsr.media.live.encoder import EncoderOptions

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")

SOURCE = "testsrc:160x120@25"


@pytest.mark.parametrize("ending", ["mp4", "mkv", "mov", "ts", "flv"])
def test_a_recording_holds_every_frame_that_went_out(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"recorded.{ending}"
    report = run_simulated(SOURCE, str(path), duration_s=1.5)
    assert adds_up(report)
    assert not report.drops
    assert len(clips.frame_times(path)) == report.frames_out > 10


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
def test_a_recording_plays_while_it_is_written(ending: str, tmp_path: Path) -> None:
    path = tmp_path / f"recorded.{ending}"
    with running_simulated(SOURCE, str(path)) as stream:
        stream.wait_for_frames(120)
        copy = tmp_path / f"copy.{ending}"
        shutil.copy(path, copy)
        assert len(clips.frame_times(copy)) >= 50
        stream.stop()


@pytest.mark.parametrize("limit", [{"rotate_s": 1.0}, {"rotate_bytes": 20_000}])
def test_recordings_are_rotated_at_keyframes_and_nothing_is_lost(
    limit: dict[str, float], tmp_path: Path
) -> None:
    report = run_simulated(SOURCE, str(tmp_path / "day.mkv"), duration_s=5.5, **limit)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == [f"day-{number:04d}.mkv" for number in range(1, len(files) + 1)]
    assert len(files) >= 2
    counts = [len(clips.frame_times(file)) for file in files]
    assert all(counts)
    assert sum(counts) == report.frames_out == report.sinks[0]["frames"]
    assert all(clips.frame_times(file)[0] == 0 for file in files)


def test_a_recording_that_exists_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "recorded.mkv"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="exists"):
        Session(config(SOURCE, str(path)))
    assert path.read_text() == "precious"


@pytest.mark.parametrize(
    ("sink", "said"),
    [
        ("nosuch/recorded.mkv", "does not exist"),
        ("nosuch/folder/index.m3u8", "does not exist"),
        ("recorded.avi", "cannot be avi"),
        ("recorded", "cannot choose the container"),
        ("http://host/x", "cannot publish over http"),
        ("rtsp:///x", "names no host"),
    ],
)
def test_a_sink_that_cannot_work_is_told_at_once(
    sink: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said) as caught:
        Session(config(SOURCE, sink))
    assert caught.value.hint


@pytest.mark.parametrize(
    "sinks",
    [("d.mp4", "./d.mp4"), ("null", "d.mp4", "d.mp4"), ("d.mp4", "link.mp4"), ("h/", "h/index.m3u8")],
)
def test_two_sinks_that_are_one_file_are_refused(
    sinks: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("link.mp4").symlink_to("d.mp4")
    with pytest.raises(ConfigError, match=r"^output \S+ is the output ") as caught:
        Session(config(SOURCE, *sinks))
    assert caught.value.hint


@pytest.mark.parametrize("sink", ["base.mp4", "link.mp4", "hard.mp4"])
def test_a_source_is_not_recorded_over(sink: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    before = shutil.copy(clips.h264("cfr.mp4"), "base.mp4")
    content = Path(before).read_bytes()
    Path("link.mp4").symlink_to("base.mp4")
    Path("hard.mp4").hardlink_to("base.mp4")
    with pytest.raises(ConfigError, match="is the input") as caught:
        Session(config("base.mp4", sink, realtime=True, overwrite=True))
    assert caught.value.hint
    assert Path("base.mp4").read_bytes() == content


RTP = ("rtp://127.0.0.1:{}", ["-i", "rtp://127.0.0.1:{}"])


@pytest.mark.parametrize(("url", "told"), slow_except(RTP, [
    ("udp://127.0.0.1:{}", ["-f", "mpegts", "-i", "udp://127.0.0.1:{}"]),
    RTP,
    ("srt://127.0.0.1:{}", ["-f", "mpegts", "-i", "srt://127.0.0.1:{}?mode=listener"]),
    (
        "srt://127.0.0.1:{}?passphrase=it's+a%2Bpassword&mode=caller&streamid=%23!::r=a=b,u=me",
        ["-f", "mpegts", "-i", "srt://127.0.0.1:{}?mode=listener&passphrase=it's+a%2Bpassword"],
    ),
    ("rtmp://127.0.0.1:{}/app/key", ["-f", "flv", "-listen", "1", "-i", "rtmp://127.0.0.1:{}/app/key"]),
]))  # fmt: skip
def test_what_is_published_arrives(url: str, told: list[str], tmp_path: Path) -> None:
    port, arrived = free_port(), tmp_path / "arrived.mkv"
    command = ["ffmpeg", "-v", "error", "-nostdin", *(word.format(port) for word in told)]
    with (
        background([*command, "-c", "copy", "-frames:v", "20", str(arrived)]) as receiver,
        running(SOURCE, url.format(port), retries=20) as stream,
    ):
        until(lambda: receiver.poll() is not None)
        assert "key" not in str(stream.session.report())
    assert len(clips.frame_times(arrived)) >= 15
    found = clips.ffprobe(arrived, "stream=width,height,codec_name")["streams"][0]
    assert (found["codec_name"], found["width"], found["height"]) == ("h264", 320, 240)


@needs_rtsp_server
def test_a_wrong_password_to_publish_with_fails_at_once(tmp_path: Path) -> None:
    with (
        rtsp_server("--record", str(tmp_path / "x.mkv"), "--user", "name", "--password", "word") as server,
        pytest.raises(EncodeError, match="another user or password") as caught,
    ):
        run(SOURCE, server.url("record", "name:secret@"))
    assert "secret" not in str(caught.value)


def test_a_full_disk_holds_up_nothing_else(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full")
    (tmp_path / "full.ts").symlink_to(full)
    good = tmp_path / "good.ts"
    with running_simulated(SOURCE, str(good), str(tmp_path / "full.ts"), overwrite=True) as stream:
        stream.wait(lambda report: report.sinks[1]["reconnects"])
        stream.wait_for_frames(20)
        report = stream.stop()
    assert report.sinks[0]["frames"] == report.frames_out
    assert "no space left" in str(report.sinks[1]["changes"])


@pytest.mark.parametrize(("scheme", "method"), [
    ("rtsp", "CONNECT"), ("rtsp", "ANNOUNCE"), ("rtmp", "CONNECT"),
])  # fmt: skip
def test_a_server_that_hangs_while_we_connect_holds_up_nothing_else(scheme: str, method: str) -> None:
    with (
        BrokenRtsp("--hang", method) as server,
        running(SOURCE, "null", f"{scheme}://127.0.0.1:{server.port}/x/y", timeout_s=600.0) as stream,
    ):
        if method != "CONNECT":
            until(lambda: any(line.startswith(method) for line in server.lines))
        stream.wait_for_frames(25)
        assert stream.session.report().sinks[1]["state"] == "connecting"
        stream.session.cancel()


@needs_rtsp_server
def test_what_is_published_arrives_through_a_slow_link(tmp_path: Path) -> None:
    published = tmp_path / "published.mkv"
    with (
        rtsp_server("--record", str(published)) as server,
        Link(server.port, "--delay", 0.15) as link,
        running(SOURCE, f"rtsp://127.0.0.1:{link.port}/record") as stream,
    ):
        stream.wait(lambda report: report.sinks[0]["frames"] > 30)
        until(lambda: published.stat().st_size > 5000)
        report = stream.stop()
    assert not report.sinks[0]["reconnects"]


@needs_rtsp_server
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what waits in a socket")
def test_what_waits_in_the_socket_of_a_server_that_does_not_read_is_limited_and_counted(
    tmp_path: Path,
) -> None:
    with (
        rtsp_server("--record", str(tmp_path / "published.mkv")) as server,
        Link(server.port) as link,
        running(SOURCE, f"rtsp://127.0.0.1:{link.port}/record", timeout_s=600.0) as stream,
    ):
        stream.wait(lambda report: report.sinks[0]["frames"] > 5)
        link.freeze()
        stream.wait(lambda report: "too slow" in report.sinks[0]["drops"])
        before = stream.session.report().sinks[0]["frames"]
        link.thaw()
        stream.wait(lambda report: report.sinks[0]["frames"] > before + 10)
        report = stream.stop()
    sink = report.sinks[0]
    assert not sink["reconnects"]
    assert sink["frames"] + sum(sink["drops"].values()) == report.frames_out


def test_the_address_of_a_server_is_in_no_command_line(tmp_path: Path) -> None:
    with (
        BrokenRtsp("--hang", "ANNOUNCE") as server,
        running(SOURCE, server.url("x", "name:secret@"), timeout_s=600.0) as stream,
    ):
        until(lambda: any(line.startswith("ANNOUNCE") for line in server.lines))
        for process in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                assert b"name:secret@" not in process.read_bytes()
        stream.session.cancel()


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_what_connects_for_us_ends_with_us(processes: Processes) -> None:
    with BrokenRtsp("--hang", "ANNOUNCE") as server:
        command = (sys.executable, "-m", "vsr", "stream", SOURCE, server.url("x"), "--model", "bicubic", "-q")
        process = processes.start(*command, cwd=Path(__file__).parents[2])
        until(lambda: any(line.startswith("ANNOUNCE") for line in server.lines))
        threads = Path(f"/proc/{process.pid}/task").glob("*/children")
        (child,) = [int(pid) for thread in threads for pid in thread.read_text().split()]
        process.kill()
        until(lambda: not Path(f"/proc/{child}").exists())


def test_datagrams_hold_whole_packets() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        with running(SOURCE, f"udp://127.0.0.1:{receiver.getsockname()[1]}"):
            sizes = [len(receiver.recv(65536)) for _ in range(40)]
    assert max(sizes) == 7 * 188
    assert not any(size % 188 for size in sizes)


@pytest.mark.parametrize("scheme", ["rtsp", "rtmp"])
def test_nobody_there_for_a_sink_is_given_up_after_so_many_retries(scheme: str) -> None:
    with pytest.raises(VsrError, match=r"/x/\S+: connection refused"):
        run(SOURCE, f"{scheme}://127.0.0.1:{free_port()}/x/y", retries=1)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    run_simulated(SOURCE, str(tmp_path / "first.mkv"), duration_s=0.5)
    before, threads = descriptors(), threading.active_count()
    for number in range(3):
        run_simulated(SOURCE, str(tmp_path / f"{number}.mkv"), f"{tmp_path}/hls/", "null", duration_s=0.5)
    assert threading.active_count() == threads
    assert {name for name in descriptors() - before if "/dev/" not in name} == set()
    assert not [name for name in os.listdir(tmp_path) if name.endswith((".part", ".tmp"))]  # noqa: PTH208


def test_a_fault_of_the_network_ends_the_stream_and_finishes_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = simulated(config(SOURCE, str(tmp_path / "recorded.mp4")))
    whole, calls = session._parts.rungs.upscale, []

    def failing(frame: object) -> object:
        calls.append(frame)
        if len(calls) == 20:
            raise RuntimeError("out of luck")
        return whole(frame)  # type: ignore[arg-type]

    monkeypatch.setattr(session._parts.rungs, "upscale", failing)
    with pytest.raises(VsrError, match="internal error in infer: RuntimeError: out of luck"):
        session.run()
    assert len(clips.frame_times(tmp_path / "recorded.mp4")) == 19
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("vsr-")]


def test_an_encoder_that_cannot_work_is_told_at_once() -> None:
    with pytest.raises(VsrError, match="no video encoder 'nosuch'"):
        Session(config(SOURCE, "null", encoder=EncoderOptions("nosuch")))
    with pytest.raises(ConfigError, match="MPEG-TS cannot hold av1"):
        Session(config(SOURCE, "hls/", encoder=EncoderOptions("libsvtav1")))


def test_a_fault_of_the_encoder_ends_the_stream() -> None:
    with pytest.raises(VsrError, match="encoder libx264 refuses 320x240"):
        run(SOURCE, "null", encoder=EncoderOptions(encoder_options={"profile": "nosuch"}))
    with pytest.raises(ConfigError, match="libx264 has no option 'nosuch'"):
        run(SOURCE, "null", encoder=EncoderOptions(encoder_options={"nosuch": "1"}))
    report = run_simulated(SOURCE, "null", duration_s=0.3, encoder=EncoderOptions(bitrate=400_000))
    assert "crf" not in report.encoder


@pytest.mark.parametrize(
    ("encoder", "ending", "tag"),
    [("libx265", "mp4", "hvc1"), ("libx265", "mov", "hvc1"), ("libsvtav1", "mp4", "av01")],
)
def test_other_encoders(encoder: str, ending: str, tag: str, tmp_path: Path) -> None:
    path = tmp_path / f"recorded.{ending}"
    report = run_simulated(SOURCE, str(path), duration_s=0.5, encoder=EncoderOptions(encoder))
    assert len(clips.frame_times(path)) == report.frames_out > 3
    assert clips.ffprobe(path, "stream=codec_tag_string")["streams"][0]["codec_tag_string"] == tag
