"""The page in a real browser, and the figures for programs."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.browser import browser, needs_chromium
from tests.support.children import free_port
from tests.support.sessions import Running, config, running, until
from vsr.core.errors import ConfigError
from vsr.live.latency import Percentiles
from vsr.live.page.metrics import exposition
from vsr.live.page.server import parse_listen
from vsr.live.session import Session

pytest.importorskip("aiohttp")

SOURCE = "testsrc:320x180@20"


def get(url: str, headers: dict[str, str] | None = None, method: str = "GET") -> tuple[int, str]:
    """(status, body)."""
    try:
        request = urllib.request.Request(url, headers=headers or {}, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def page_of(stream: Running) -> str:
    until(lambda: stream.session.page is not None or stream.error is not None)
    if stream.error is not None:
        raise stream.error
    assert stream.session.page is not None
    return stream.session.page.url


@needs_chromium
def test_the_page_shows_a_picture_that_moves_and_figures_that_do(tmp_path: Path) -> None:
    with running(SOURCE, "null", preview=":0") as stream, browser(tmp_path / "profile") as page:
        url = page_of(stream)
        stream.wait_for_frames(5)
        assert not stream.session.watchers.wanted, "nobody looks: no pictures are made"
        page.open(url)
        until(lambda: int(page.run("return document.getElementById('picture').dataset.frames")) >= 2)
        picture = "return document.getElementById('{}').toDataURL('image/jpeg', 0.5)"
        for which, size in (("before", [320, 180]), ("after", [640, 360])):
            assert (
                page.run(f"const c = document.getElementById('{which}'); return [c.width, c.height]") == size
            )
            first = page.run(picture.format(which))
            until(lambda which=which, first=first: page.run(picture.format(which)) != first)
        colours = (
            "const c = document.getElementById('after'); "
            "const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; "
            "return new Set(Array.from({length: 2000}, (_, i) => d[i * 460])).size"
        )
        assert page.run(colours) > 20, "a picture, not one colour"

        box = page.run(
            "const r = document.getElementById('picture').getBoundingClientRect(); return [r.x, r.y, r.width, r.height]"
        )
        x, y, width, height = map(int, box)
        cut = "return document.getElementById('picture').style.getPropertyValue('--cut')"
        page.drag(x + width // 2, y + height // 2, x + width // 5)
        assert 10 < float(page.run(cut).rstrip("%")) < 30

        out = "return Number(document.getElementById('out').textContent.replaceAll(',', ''))"
        before = page.run(out)
        until(lambda: page.run(out) > before)
        shown = page.run("return document.body.innerText")
        assert "streaming" in shown
        assert "bicubic-x2" in shown
        assert re.search(r"\d+ ms", shown)
        assert page.screenshot().startswith(b"\x89PNG")

        page.resize(500, 900)  # as on a phone
        beneath = (
            "const of = (id) => document.getElementById(id).getBoundingClientRect(); "
            "return of('figures').top >= of('picture').bottom && document.body.scrollWidth <= innerWidth"
        )
        until(lambda: page.run(beneath))
        page.open("about:blank")
        until(lambda: stream.session.watchers.count == 0)


def test_figures_for_programs() -> None:
    with running(SOURCE, "null", preview=":0") as stream:
        url = page_of(stream)
        stream.wait(lambda report: report.state == "streaming" and report.frames_out > 5)
        assert get(f"{url}healthz") == (200, "streaming\n")
        status, body = get(f"{url}status")
        report: dict[str, Any] = json.loads(body)
        assert status == 200
        assert report["frames_out"] > 5
        assert report["latency"]["p99_ms"] >= report["latency"]["p50_ms"] > 0
        status, body = get(f"{url}metrics")
        assert status == 200
        for line in body.splitlines():
            assert line.startswith("# ") or re.fullmatch(
                r'vsr_\w+(\{(\w+="[^"]*",?)+\})? -?[\d.e+-]+', line
            ), line
        assert 'vsr_state{state="streaming"} 1' in body
        assert "vsr_healthy 1" in body
        assert re.search(r"^vsr_frames_out_total [1-9]", body, re.MULTILINE)
        assert get(f"{url}nosuch")[0] == 404
        assert get(f"{url}..%2Fserver.py")[0] == 404
    with pytest.raises(urllib.error.URLError):
        get(f"{url}healthz")


def test_a_token_is_asked_for() -> None:
    with running(SOURCE, preview=":0", token="word") as stream:
        url = page_of(stream)
        assert get(url)[0] == 401
        assert get(f"{url}status?token=other")[0] == 401
        assert get(f"{url}status", {"Authorization": "Bearer word"})[0] == 200
        assert get(f"{url}status", {"Authorization": "Bearer \xff\xfe"})[0] == 401
        with urllib.request.urlopen(f"{url}?token=word", timeout=20) as answer:
            assert b"word" not in answer.read()
            cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith(f"vsr-{stream.session.page.port}=")
        assert "word" not in cookie
        assert get(f"{url}status", {"Cookie": cookie.partition(";")[0]})[0] == 200
        assert get(f"{url}healthz")[0] in (200, 503)


def test_idle_connections_neither_keep_others_out_nor_take_every_descriptor() -> None:
    with running(SOURCE, preview=":0", token="word") as stream, contextlib.ExitStack() as idle:
        url = page_of(stream)
        port = stream.session.page.port
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(150):
            idle.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        assert get(f"{url}status?token=word")[0] == 200
        ours = len(list(Path("/proc/self/fd").iterdir())) - before - 150
        assert ours <= 75


def test_whoever_asks_for_nothing_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsr.live.page.server._STRANGER_S", 0.1)
    with running(SOURCE, preview=":0", token="word") as stream:
        page_of(stream)
        port = stream.session.page.port
        for begun in (b"", b"GET /status HTTP/1.1\r\nHost: localhost\r\n", b"GET / HTTP/1.0\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
                slow.sendall(begun)
                with contextlib.suppress(ConnectionResetError):
                    while slow.recv(4096):
                        pass


def test_metrics_are_what_prometheus_takes(tmp_path: Path) -> None:
    big = 10_000_149
    report = replace(
        Session(config(SOURCE, "null")).report(),
        frames_in=big,
        frames_out=big,
        latency=Percentiles(big, 20.0, 30.0, 40.0, 50.0, 1.5e12),
        drops={'with "quotes"\n': 1},
    )
    text = exposition({"": report})
    assert f"vsr_frames_out_total {big}\n" in text
    assert "# TYPE vsr_latency_seconds summary" in text
    assert f"vsr_latency_seconds_count {big}\n" in text
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool, of the Debian package prometheus")
    said = subprocess.run(
        [promtool, "check", "metrics"], check=False, input=text.encode(), capture_output=True
    )
    assert (said.returncode, said.stdout, said.stderr) == (0, b"", b"")


def test_other_sites_are_not_let_in() -> None:
    with running(SOURCE, preview=":0") as stream:
        url = page_of(stream)
        assert get(f"{url}status", {"Origin": "http://elsewhere.example"})[0] == 403
        assert get(f"{url}status", {"Host": "elsewhere.example"})[0] == 403
        assert get(f"{url}status", {"Host": f"localhost:{url.rpartition(':')[2].strip('/')}"})[0] == 200


def test_it_listens_on_this_machine_only_unless_told_otherwise() -> None:
    assert parse_listen(":8080") == ("127.0.0.1", 8080)
    assert parse_listen("8080") == ("127.0.0.1", 8080)
    assert parse_listen("0.0.0.0:80") == ("0.0.0.0", 80)
    assert parse_listen("[::1]:80") == ("::1", 80)
    for wrong in ("", "host", ":99999", "a:b"):
        with pytest.raises(ConfigError, match="not an address to listen at"):
            parse_listen(wrong)


def test_a_port_in_use_is_one_clear_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        session = Session(config(SOURCE, "null", preview=f":{taken.getsockname()[1]}"))
        with pytest.raises(ConfigError, match=r"cannot listen at 127.0.0.1:\d+: address already in use"):
            session.run()
        assert [change.state for change in session.states.changes()] == ["connecting", "stopped"]


def test_health_is_told_with_its_reasons() -> None:
    dead = f"rtmp://127.0.0.1:{free_port()}/x/y"
    with running(SOURCE, dead, preview=":0", timeout_s=0.5) as stream:
        url = page_of(stream)
        said = f"{dead.replace('/y', '/...')}: no frame yet, after "
        until(lambda: get(f"{url}healthz")[1].startswith(said))
        assert get(f"{url}healthz")[0] == 503
        body = get(f"{url}metrics")[1]
        assert "vsr_healthy 0" in body
        assert "vsr_latency" not in body
        assert json.loads(get(f"{url}status")[1])["latency"] is None
