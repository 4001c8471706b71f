"""When a stream is well, while it runs and at its end, by a clock of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live.test_sink_queue import PROGRAM, packet
from tests.support.children import free_port
from tests.support.clock import PretendedClock
from tests.support.sessions import config, run_simulated, running, running_simulated, until
from vsr.core.errors import ConfigError
from vsr.live.health import Health, health, missing
from vsr.live.session import Session
from vsr.live.sinks import LiveSink
from vsr.media.live.destinations import parse_destination

SOURCE = "testsrc:160x120@25"
TIMEOUT_S = 5.0


def silent(name: str, clock: PretendedClock) -> LiveSink:
    """A sink whose thread never runs."""
    return LiveSink(parse_destination(name), TIMEOUT_S, None, lambda: None, lambda _change: None, clock)


def at(now: float, first_out_at: float | None, last_out_at: float | None, *sinks: LiveSink) -> Health:
    """Of a session that began at 0."""
    return health(now, TIMEOUT_S, "streaming", 0.0, first_out_at, last_out_at, sinks)


def test_it_is_starting_until_the_first_picture_is_out_and_for_no_longer_than_the_timeout() -> None:
    assert at(4.0, None, None) == Health(False, ("starting",))
    assert at(9.0, None, None) == Health(False, ("no picture yet, after 9 s",))
    assert at(9.0, 8.0, 9.0) == Health(True)


def test_a_picture_that_stands_still_is_not_well_whatever_the_state_says() -> None:
    assert at(14.0, 1.0, 10.0).well
    assert at(16.0, 1.0, 10.0) == Health(False, ("no picture for 6 s, streaming",))


def test_a_sink_that_got_nothing_within_the_timeout_is_not_well() -> None:
    clock = PretendedClock(10.0)
    sink = silent("rtsp://host/x", clock)
    sink.states.enter("reconnecting", "rtsp://host/x: connection refused")
    assert at(11.0, 10.0, 11.0, sink).why_not == (
        "rtsp://host/x: starting (reconnecting: connection refused)",
    )
    assert at(17.0, 10.0, 17.0, sink).why_not == (
        "rtsp://host/x: no frame yet, after 7 s (reconnecting: connection refused)",
    )
    sink.counts.last_at = 18.0
    sink.states.enter("streaming")
    assert at(20.0, 10.0, 20.0, sink).well
    assert at(24.0, 10.0, 24.0, sink).why_not == ("rtsp://host/x: no frame for 6 s",)


def test_a_recording_grows_by_some_seconds_at_once(tmp_path: Path) -> None:
    sink = silent(f"{tmp_path}/r.mp4", PretendedClock())
    sink.counts.last_at = 10.0
    assert at(17.9, 10.0, 17.9, sink).well
    assert not at(18.1, 10.0, 18.1, sink).well


def test_what_is_missing_at_the_end(tmp_path: Path) -> None:
    clock = PretendedClock(100.0)
    server, recording = silent("rtsp://host/x", clock), silent(f"{tmp_path}/r.mp4", clock)

    def found(frames_in: int, frames_out: int, *, cancelled: bool = False) -> list[str]:
        told = missing(
            (server, recording), frames_in, frames_out, clock.now(), TIMEOUT_S, cancelled=cancelled
        )
        return [one.replace(f"{tmp_path}/", "") for one in told]

    assert found(0, 0) == [], "nothing came, and nothing is missing"
    assert found(9, 0) == ["rtsp://host/x: got no frame", "r.mp4: got no frame"], "all was dropped"
    for sink in (server, recording):
        sink.counts.last_at = 98.0
        sink.counts.drops["not connected"] = 3
        sink.counts.drops["stopped"] = 1
    recording.states.enter("reconnecting", f"{recording.name}: no space left on device")
    assert found(9, 9) == ["r.mp4: 4 of 9 frames are missing (no space left on device)"]
    assert found(9, 9, cancelled=True) == ["r.mp4: 3 of 9 frames are missing (no space left on device)"]
    clock.advance(10.0)
    assert found(9, 9)[0] == "rtsp://host/x: got no frame for the last 12 s"


def test_latency_is_that_of_a_sink_that_works_or_none() -> None:
    dead = f"rtmp://127.0.0.1:{free_port()}/x/y"
    with running(SOURCE, dead, "null", timeout_s=1.0, require=("null",)) as stream:
        assert stream.session.report().latency is None
        stream.wait(lambda report: report.sinks[1]["frames"] > 10)
        report = stream.session.report()
        assert report.latency is not None
        assert report.latency.count > 0
        assert report.sinks[0]["latency"] is None
        until(lambda: stream.session.report().health == Health(True))
        report = stream.stop()
    assert not report.missing, "the one that is dead is not required"


def test_every_sink_is_required_unless_some_are_named(tmp_path: Path) -> None:
    dead = f"rtmp://127.0.0.1:{free_port()}/x/y"
    with running(SOURCE, dead, "null", timeout_s=0.5) as stream:
        stream.wait(lambda report: "no frame yet, after" in str(report.health.why_not))
        stream.wait(lambda report: "connection refused" in str(report.health.why_not))
        assert not stream.session.report().health.well
        report = stream.stop()
    assert len(report.missing) == 1
    assert "got no frame (connection refused)" in report.missing[0]
    with pytest.raises(ConfigError, match="other is required, and no sink"):
        Session(config(SOURCE, "null", require=("other",)))


def test_a_stream_without_sinks_is_well_while_pictures_come() -> None:
    with running_simulated(SOURCE) as stream:
        stream.wait(lambda report: report.health.well)
        assert not stream.stop().missing


def test_the_time_of_a_frame_counts_when_it_is_confirmed() -> None:
    clock = PretendedClock(7.0)
    sink = silent("rtsp://host/x", clock)
    sink.offer(packet(keyframe=True).packet, PROGRAM)
    assert sink._worker.queue.take()
    assert sink._worker.queue.confirm_but(1)
    assert sink.counts.last_at is None
    assert sink._worker.queue.confirm_but(0)
    assert sink.counts.last_at == 7.0


def test_a_recording_that_is_whole_lacks_nothing(tmp_path: Path) -> None:
    report = run_simulated(SOURCE, f"{tmp_path}/r.mp4", duration_s=0.5)
    assert (report.missing, report.health.why_not) == ((), ("stopped",))
