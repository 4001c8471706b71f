"""Several streams in one process: what they share, and what no one of them does to the others."""

from __future__ import annotations

import json
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.live.test_away import Camera
from tests.live.test_page import get
from tests.support.browser import browser, needs_chromium
from tests.support.children import free_port
from tests.support.sessions import config, until
from vsr import api
from vsr.core.errors import ConfigError, FaultsError, VsrError
from vsr.live.one_of_several import OneOfSeveral
from vsr.live.report import StreamReport
from vsr.live.session import Session
from vsr.live.streams import Streams
from vsr.live.streams_config import NamedStream, StreamsConfig
from vsr.live.streams_file import read_streams
from vsr.media.live.address import Address
from vsr.media.live.capture import Capture

SOURCE = "testsrc:64x48@10"


def named(name: str, source: str = SOURCE, weight: float = 1.0, **options: object) -> NamedStream:
    return NamedStream(name, config(source, "null", **options), weight)


class AtWork:
    """Streams that run on a thread of their own."""

    def __init__(self, streams: Streams) -> None:
        self.streams = streams
        self.error: VsrError | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.streams.run()
        except VsrError as error:
            self.error = error

    def frames(self, name: str) -> int:
        return self.streams.streams[name].report().frames_out

    def wait_for_frames(self, *names: str, more: int = 3) -> None:
        wanted = {name: self.frames(name) + more for name in names}
        until(lambda: all(self.frames(name) >= least for name, least in wanted.items()))

    @property
    def url(self) -> str:
        until(lambda: self.streams.page is not None or self.error is not None)
        if self.error is not None:
            raise self.error
        assert self.streams.page is not None
        return self.streams.page.url


@contextmanager
def at_work(streams: Streams) -> Generator[AtWork]:
    work = AtWork(streams)
    try:
        yield work
    finally:
        streams.stop()
        work.thread.join(60)
        assert not work.thread.is_alive()


@contextmanager
def from_file(path: Path, text: str) -> Generator[AtWork]:
    path.write_text(text)
    with at_work(Streams(read_streams(path), read=lambda running: read_streams(path, running))) as work:
        yield work


def entry(name: str, *lines: str) -> str:
    entries = {"source": f'"{SOURCE}"', "sinks": '["null"]', "model": '"bicubic"', "max-latency": "30000"}
    given = dict(line.split(" = ", 1) for line in lines)
    return "\n".join([f'[[stream]]\nname = "{name}"', *(f"{k} = {v}" for k, v in (entries | given).items())])


def test_streams_share_a_network_and_each_gets_its_frames() -> None:
    streams = Streams(StreamsConfig((named("a"), named("b"), named("c", model="bicubic", scale=3))))
    a, b, c = (streams.streams[name].session._parts.rungs for name in "abc")
    assert a._upscalers[0] is b._upscalers[0]
    assert a._upscalers[0] is not c._upscalers[0]
    with at_work(streams) as work:
        work.wait_for_frames("a", "b", "c", more=5)
        assert len(a._upscalers[0].network.compiled) == 1, "one engine for both"
    reports = streams.reports()
    assert [reports[name].size_out for name in "abc"] == [(128, 96), (128, 96), (192, 144)]
    assert not streams._networks._shared, "all networks are closed"
    assert streams.missing == ()


def test_one_that_fails_is_begun_again_and_ends_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsr.live.one_of_several._FIRST_S", 0.05)
    monkeypatch.setattr("vsr.live.one_of_several._MOST_S", 0.05)
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(b"no video")
    bad = named("bad", str(broken), realtime=True)
    once = named("once", str(broken), realtime=True, retries=0)
    streams = Streams(StreamsConfig((named("good"), bad, once)))
    with at_work(streams) as work:
        first = streams.streams["bad"].session
        until(lambda: streams.streams["bad"].session is not first)
        work.wait_for_frames("good")
        until(lambda: streams.streams["once"].ended)
        assert streams.streams["once"].report().health.why_not[0].startswith(f"stopped: {broken}")
        assert work.thread.is_alive()
    assert f"once: {broken}: " in "\n".join(streams.missing)


def test_the_others_have_the_share_of_one_whose_source_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    camera, capture = Camera(), Capture

    def connect(address: Address, *args: Any, **options: Any) -> Any:
        return (camera.connect if address.url.startswith("udp:") else capture)(address, *args, **options)

    monkeypatch.setattr("vsr.live.session.Capture", connect)
    heavy = named("heavy", "udp://127.0.0.1:1234", 3.0, when_away="hold")
    streams = Streams(StreamsConfig((heavy, named("light"))))
    share = streams.streams["light"].session._parts.rungs.share
    with at_work(streams) as work:
        work.wait_for_frames("heavy", "light")
        until(lambda: share.part < 1.0)
        camera.lost.set()
        until(lambda: share.part == 1.0)
        camera.comes_back.set()
        until(lambda: share.part < 1.0)


def test_a_reload_adds_removes_and_changes_and_leaves_the_others_alone(tmp_path: Path) -> None:
    path = tmp_path / "streams.toml"
    with from_file(path, "\n".join(map(entry, "abcd"))) as work:
        streams = work.streams
        work.wait_for_frames("a", "b", "c", "d")
        before = {name: stream.session for name, stream in streams.streams.items()}
        path.write_text(
            "\n".join([entry("a"), entry("b", "weight = 3"), entry("d", "no-audio = true"), entry("e")])
        )
        assert streams.reload() == "added: e; removed: c; changed: b, d"
        assert list(streams.streams) == ["a", "b", "d", "e"]
        assert streams.streams["a"].session is before["a"]
        assert streams.streams["b"].session is before["b"]
        assert streams.streams["b"].session.weight == 3
        assert streams.streams["d"].session is not before["d"]
        assert before["c"].states.now == "stopped"
        work.wait_for_frames("a", "b", "d", "e")
        assert not before["a"].report().drops
        assert streams.reload() == "no change"


def test_a_reload_may_replace_all_streams(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "streams.toml"
    joined = OneOfSeveral.join

    def join(stream: OneOfSeveral) -> None:
        joined(stream)
        time.sleep(0.2)  # Long enough for the others to see that no stream runs.

    monkeypatch.setattr(OneOfSeveral, "join", join)
    with from_file(path, entry("a")) as work:
        work.wait_for_frames("a")
        path.write_text(entry("a", "no-audio = true"))
        assert work.streams.reload() == "changed: a"
        work.wait_for_frames("a")


def test_a_reload_may_come_before_the_streams_begin(tmp_path: Path) -> None:
    path = tmp_path / "streams.toml"
    path.write_text("\n".join(map(entry, "ab")))
    streams = Streams(read_streams(path), read=lambda running: read_streams(path, running))
    kept = streams.streams["a"]
    path.write_text("\n".join(map(entry, "ac")))
    assert streams.reload() == "added: c; removed: b"
    assert streams.streams["a"] is kept
    with at_work(streams) as work:
        work.wait_for_frames("a", "c")
    assert not streams._networks._shared, "all networks are closed"
    assert streams.reload() == "vsr is about to end"


def test_streams_made_in_python_cannot_be_read_again() -> None:
    with pytest.raises(ConfigError, match="from no file"):
        Streams(StreamsConfig((named("a"),))).reload()


def test_a_weight_that_comes_while_a_stream_is_begun_again_is_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vsr.live.one_of_several._FIRST_S", 0.01)
    heavy = named("a", weight=5.0)
    made = OneOfSeveral._made
    runs: list[float] = []

    def with_change(stream: OneOfSeveral) -> Session:
        session = made(stream)
        if stream.error is not None:
            stream.weigh(heavy)
        return session

    def run(session: Session) -> None:
        runs.append(session.weight)
        if len(runs) == 1:
            raise ValueError("what nobody expects")

    monkeypatch.setattr(OneOfSeveral, "_made", with_change)
    monkeypatch.setattr(Session, "run", run)
    Streams(StreamsConfig((named("a"),))).run()
    assert runs == [1.0, 5.0]


def test_what_nobody_expects_ends_one_stream_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ran = Session.run

    def run(session: Session) -> StreamReport:
        if not session.config.audio:
            raise ValueError("what nobody expects")
        return ran(session)

    monkeypatch.setattr(Session, "run", run)
    streams = Streams(StreamsConfig((named("good", duration_s=0.2), named("bad", audio=False, retries=0))))
    assert streams.run()["good"].frames_out
    assert streams.missing[0].startswith("bad: internal error in the stream: ValueError: what nobody expects")


def test_a_faulty_file_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "streams.toml"
    with from_file(path, "\n".join(map(entry, "ab"))) as work:
        before = work.streams.streams
        path.write_text("\n".join([entry("a"), entry("c", 'model = "nosuch"')]))
        with pytest.raises(FaultsError, match="there is no model 'nosuch'"):
            work.streams.reload()
        path.write_text('preview = ":0"\n' + entry("a"))
        with pytest.raises(FaultsError, match="cannot change while vsr runs"):
            work.streams.reload()
        assert work.streams.streams == before
        work.wait_for_frames("a", "b")


def test_faults_that_only_running_would_show_are_found_before_anything_begins(tmp_path: Path) -> None:
    recording = tmp_path / "a.mp4"
    both = NamedStream("a", config(SOURCE, str(recording))), NamedStream("b", config(SOURCE, str(recording)))
    with pytest.raises(FaultsError, match=r"b: `sinks`: .*a\.mp4 is used by a, too"):
        Streams(StreamsConfig(both))
    assert not recording.exists()


def test_all_end_when_each_has_ended() -> None:
    streams = Streams(StreamsConfig((named("a", duration_s=0.3), named("b", duration_s=0.5))))
    reports = streams.run()
    assert reports.keys() == {"a", "b"}
    assert all(report.frames_out for report in reports.values())


def test_frames_of_all_come_to_a_loop_in_python(tmp_path: Path) -> None:
    path = tmp_path / "streams.toml"
    path.write_text("\n".join(map(entry, "ab")))
    got: Counter[str] = Counter()
    with api.open_streams(path) as streams:
        for name, frame in streams:
            got[name] += 1
            assert frame.to_rgb().shape == (96, 128, 3)
            if min(got["a"], got["b"]) >= 3:
                break
        path.write_text(entry("a", "no-audio = true"))
        assert streams.reload() == "removed: b; changed: a"
        assert streams.report().keys() == {"a"}
        got.clear()
        for name, _ in streams:
            got[name] += 1
            if got["a"] >= 3:
                break
        assert got.keys() == streams.not_taken.keys() == {"a"}
        assert len(streams._queues) == 1, "those of before are gone"
    assert list(streams)[:3] is not None, "ends after close"


def test_the_page_of_several(tmp_path: Path) -> None:
    path = tmp_path / "streams.toml"
    text = "\n".join([entry("a"), entry("b", f'source = "rtsp://127.0.0.1:{free_port()}/x"', "wait = true")])
    with from_file(path, f'preview = ":0"\ntoken = "word"\n{text}') as work:
        url, token = work.url, {"Authorization": "Bearer word"}
        work.wait_for_frames("a")
        status, said = get(f"{url}healthz")
        assert status == 503
        assert said.startswith("a: streaming\nb: ")
        assert get(f"{url}healthz?stream=a") == (200, "streaming\n")
        assert get(f"{url}healthz?stream=b")[0] == 503
        assert get(f"{url}healthz?stream=c")[0] == 404
        reports = json.loads(get(f"{url}status", token)[1])["streams"]
        assert reports["a"]["frames_out"] > 0
        assert json.loads(get(f"{url}status?stream=a", token)[1]).keys() == reports["a"].keys()
        figures = get(f"{url}metrics", token)[1]
        assert figures.count("# TYPE vsr_frames_out_total counter\n") == 1
        assert 'vsr_state{stream="a",state="streaming"} 1.0\n' in figures
        assert 'vsr_healthy{stream="b"} 0\n' in figures
        assert 'stream="b"' not in get(f"{url}metrics?stream=a", token)[1]

        for query, width in (("before", 64), ("after", 128), ("after&width=32", 32)):
            asked = urllib.request.Request(f"{url}snapshot.jpg?stream=a&{query}", headers=token)
            with urllib.request.urlopen(asked, timeout=20) as answer:
                assert answer.headers["Content-Type"] == "image/jpeg"
                assert width_of(answer.read()) == width
        assert get(f"{url}snapshot.jpg?stream=a&width=x", token)[0] == 400
        assert get(f"{url}snapshot.jpg", token)[0] == 404
        assert get(f"{url}snapshot.jpg?stream=a")[0] == 401

        assert post(f"{url}reload", {}) == (401, "the token is missing or wrong: open /?token=...\n")
        assert post(f"{url}reload", token) == (200, "no change\n")
        path.write_text(f'preview = ":0"\ntoken = "word"\n{entry("a", "sise = 1")}')
        status, said = post(f"{url}reload", token)
        assert status == 422
        assert f"{path}:9: a: `sise`: is unknown" in said
        path.write_text(f'preview = ":0"\ntoken = "word"\n{entry("a")}')
        assert post(f"{url}reload", token) == (200, "removed: b\n")
        assert get(f"{url}healthz") == (200, "a: streaming\n")


def test_a_picture_that_does_not_come_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsr.live.page.server._SNAPSHOT_S", 0.1)
    stream = named("a", f"rtsp://127.0.0.1:{free_port()}/x", wait=True)
    with at_work(Streams(StreamsConfig((stream,), preview=":0"))) as work:
        status, said = get(f"{work.url}snapshot.jpg?stream=a")
        assert status == 503
        assert said.startswith("no picture within 0.1 s, ")
        assert post(f"{work.url}reload", {})[0] == 404, "no file to read again"


@needs_chromium
def test_the_page_shows_all_and_one_of_them(tmp_path: Path) -> None:
    streams = Streams(StreamsConfig((named("a"), named("b")), preview=":0"))
    with at_work(streams) as work, browser(tmp_path / "profile") as page:
        url = work.url
        work.wait_for_frames("a", "b")
        page.open(url)
        shown = (
            "return Array.from(document.querySelectorAll('#streams img'))"
            ".filter((one) => one.dataset.pictures >= 2 && one.naturalWidth === 128).length"
        )
        until(lambda: page.run(shown) == 2)
        until(lambda: "2 of 2 well" in page.run("return document.body.innerText"))
        page.run("document.querySelector('#streams a').click()")
        until(lambda: int(page.run("return document.getElementById('picture').dataset.frames")) >= 2)
        assert "a: testsrc" in page.run("return document.body.innerText")
        page.open("about:blank")
        until(lambda: all(stream.watchers.count == 0 for stream in streams.streams.values()))


def width_of(jpeg: bytes) -> int:
    """By the frame header (ITU-T T.81, B.2.2)."""
    at = jpeg.index(b"\xff\xc0")
    return int.from_bytes(jpeg[at + 7 : at + 9], "big")


def post(url: str, headers: dict[str, str]) -> tuple[int, str]:
    """(status, body)."""
    return get(url, headers, method="POST")
