"""From a real RTSP server, and to it."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from tests.support import clips
from tests.support.rtsp import needs_rtsp_server, rtsp_server
from tests.support.sessions import adds_up, config, run, running, until
from vsr.core.errors import AccessDeniedError, SourceOpenError, VsrError
from vsr.live.session import Session
from vsr.live.states import Change
from vsr.media.live.encoder import EncoderOptions

pytestmark = needs_rtsp_server

RICH = EncoderOptions(crf=0.0, preset="ultrafast")


def test_in_enlarged_and_out_to_a_server_and_a_recording(tmp_path: Path) -> None:
    published, recorded = tmp_path / "published.mkv", tmp_path / "recorded.mp4"
    with (
        rtsp_server() as camera,
        rtsp_server("--record", str(published)) as server,
        running(camera.url(), server.url("record"), str(recorded), audio=False) as stream,
    ):
        stream.wait_for_frames(60)
        # What the server got lies in its own queues for a while, and goes when the publisher does.
        until(lambda: published.stat().st_size > 5000 and len(clips.packet_times(published, "v:0")) >= 50)
        report = stream.stop()
    assert adds_up(report)
    assert set(report.drops) <= {"starting"}
    assert report.size_out == (640, 360)
    for sink in report.sinks:
        assert sink["latency"].count == sink["frames"]
        # A server that answers late, on a busy machine, misses frames, which are counted; a file misses none.
        assert sink["frames"] + sum(sink["drops"].values()) == report.frames_out
    assert not report.sinks[1]["drops"]
    assert len(clips.frame_times(recorded)) == report.frames_out
    # RTSP gives the first frame of a connection no time; from there on the source's distances are kept, but for what
    # brings its clock and ours together.
    steps = [after - before for before, after in itertools.pairwise(clips.packet_times(recorded, "v:0"))]
    # Where the server was held up itself, its clock is set anew.
    uneven = [step for step in steps[1:] if abs(step - 3600 * round(step / 3600)) > 36]
    assert len(uneven) <= 2, steps


def test_sound_goes_along(tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.mkv"
    with rtsp_server() as camera, running(camera.url(), str(recorded)) as stream:
        stream.wait_for_frames(60)
        stream.stop()
    video, audio = (
        clips.ffprobe(recorded, "packet=pts_time", "-select_streams", kind)["packets"] for kind in "va"
    )
    for packets in (video, audio):
        times = [float(packet["pts_time"]) for packet in packets]
        assert all(before < after for before, after in itertools.pairwise(times))
    assert abs(float(video[0]["pts_time"]) - float(audio[0]["pts_time"])) < 0.2
    assert abs(float(video[-1]["pts_time"]) - float(audio[-1]["pts_time"])) < 0.5


def test_sound_is_published_too(tmp_path: Path) -> None:
    published = tmp_path / "published.mkv"
    with (
        rtsp_server("--record", str(published)) as server,
        running(server.url(), server.url("record-av")) as stream,
    ):
        stream.wait_for_frames(30)
        until(lambda: published.stat().st_size > 20_000)
        report = stream.stop()
    assert not report.sinks[0]["reconnects"]
    found = clips.ffprobe(published, "stream=codec_name,sample_rate,channels")["streams"]
    assert {stream["codec_name"] for stream in found} == {"h264", "aac"}
    assert len(clips.packet_times(published, "a:0")) > 10


@pytest.mark.parametrize("times", [3, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.timeout(300)
def test_a_server_that_is_killed_and_comes_back(times: int, tmp_path: Path) -> None:
    recorded = tmp_path / "recorded.mkv"
    threads: list[int] = []
    memory: list[int] = []
    with rtsp_server() as camera, running(camera.url(), str(recorded), timeout_s=2.0) as stream:
        stream.wait_for_frames(10)
        for done in range(times):
            camera.kill()
            stream.wait(lambda report: report.state == "reconnecting")
            camera.start()
            stream.wait(lambda report: report.state == "streaming")
            stream.wait_for_frames(5)
            assert stream.session.report().reconnects == done + 1
            threads.append(threading.active_count())
            gc.collect()
            memory.append(resident_bytes())
        report = stream.stop()
    assert report.reconnects >= times
    assert adds_up(report)
    assert len(set(threads[1:])) == 1, threads
    assert memory[-1] - memory[len(memory) // 2] < 40 << 20, memory
    recorded_times = clips.frame_times(recorded)
    assert len(recorded_times) == report.sinks[0]["frames"]
    assert all(before < after for before, after in itertools.pairwise(recorded_times))


def test_a_server_that_says_nothing_more_without_closing(tmp_path: Path) -> None:
    with rtsp_server() as camera, running(camera.url(), "null", timeout_s=0.7) as stream:
        stream.wait_for_frames(10)
        camera.freeze()
        stream.wait(lambda report: report.state != "streaming")
        camera.thaw()
        stream.wait_for_frames(10)
        report = stream.stop()
    assert report.reconnects >= 1
    assert adds_up(report)


def test_a_wrong_password_fails_at_once_and_is_never_shown() -> None:
    with rtsp_server("--user", "name", "--password", "word") as camera:
        with pytest.raises(
            AccessDeniedError, match=r"^rtsp://127.0.0.1:\d+/live: the server wants another"
        ) as caught:
            run(camera.url(login="name:secret@"), "null")
        assert "secret" not in str(caught.value)
        report = run(camera.url(login="name:word@"), "null", duration_s=2.0)
        assert report.frames_out
        assert "word" not in str(report)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_encrypted_in_and_out(tmp_path: Path) -> None:
    pem, published = tmp_path / "server.pem", tmp_path / "published.mkv"
    make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout"
    subprocess.run([*make.split(), pem, "-out", pem], check=True, capture_output=True)
    arguments = ("--tls", str(pem), "--user", "name", "--password", "word", "--record", str(published))
    with rtsp_server(*arguments) as server:
        source, sink = (
            server.url(path, "name:word@").replace("rtsp:", "rtsps:") for path in ("live", "record-av")
        )
        with running(source, sink) as stream:
            stream.wait_for_frames(30)
            until(lambda: published.stat().st_size > 5000)
            report = stream.stop()
    assert adds_up(report)
    assert not report.sinks[0]["reconnects"]
    assert len(clips.packet_times(published, "v:0")) >= 10


def test_a_path_that_is_not_there_fails_at_once() -> None:
    with rtsp_server() as camera, pytest.raises(SourceOpenError, match="has no such stream"):
        run(camera.url("nosuch"), "null")


def test_nobody_there_is_given_up_after_so_many_retries() -> None:
    with rtsp_server() as camera:
        url = camera.url()
    changes: list[Change] = []
    with pytest.raises(VsrError, match="connection refused"):
        Session(config(url, "null", retries=2), on_change=changes.append).run()
    assert [change.state for change in changes if not change.of] == ["reconnecting", "stopped"]


def test_a_sink_that_goes_away_is_retried_and_holds_up_nothing(tmp_path: Path) -> None:
    published = tmp_path / "published.mkv"
    recorded = tmp_path / "recorded.mkv"
    with (
        rtsp_server("--record", str(published)) as server,
        # Much data, or it would fit into the buffers between here and there.
        running(
            "testsrc:480x270@25", str(recorded), server.url("record"), timeout_s=1.0, encoder=RICH
        ) as stream,
    ):
        stream.wait(lambda report: report.sinks[1]["frames"] > 10)
        server.kill()
        stream.wait(lambda report: report.sinks[1]["state"] == "reconnecting")
        server.start()
        before = stream.session.report().sinks[1]["frames"]
        stream.wait(lambda report: report.sinks[1]["frames"] > before + 10)
        server.freeze()
        stream.wait(lambda report: report.sinks[1]["state"] in ("stalled", "reconnecting"))
        stream.wait_for_frames(10)
        server.thaw()
        report = stream.stop()
    recording, publishing = report.sinks
    assert recording["frames"] == report.frames_out
    assert not recording["drops"]
    assert publishing["reconnects"] >= 2
    assert publishing["drops"]
    assert publishing["frames"] + sum(publishing["drops"].values()) == report.frames_out


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
