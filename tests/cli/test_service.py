"""`vsr stream` as a service: what systemd and Docker hear of it."""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.children import free_port
from tests.support.processes import PATIENCE_S, Processes, until
from tests.support.sessions import run_simulated, running
from vsr.cli.service import Service
from vsr.live.report import StreamReport

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "scripts" / "vsr-stream@.service"
SOURCE = "testsrc:64x48@10"


def listening(place: str) -> socket.socket:
    """As a service manager has it; `place` as NOTIFY_SOCKET names it."""
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(place.replace("@", "\0", 1) if place.startswith("@") else place)
    manager.settimeout(PATIENCE_S)
    return manager


def heard(manager: socket.socket) -> list[str]:
    """All that lies there."""
    manager.setblocking(False)
    said = []
    try:
        while True:
            said.append(manager.recv(4096).decode())
    except BlockingIOError:
        return said


def test_a_service_manager_hears_of_the_beginning_the_stream_and_the_end(
    processes: Processes, tmp_path: Path
) -> None:
    with listening(str(tmp_path / "notify")) as manager:
        process = processes.start(
            *(sys.executable, "-m", "vsr", "stream", SOURCE, "null", "--model", "bicubic", "-q"),
            cwd=ROOT,
            env={**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "60000000"},
        )
        assert manager.recv(4096) == b"READY=1"
        seen = set()
        while not {"WATCHDOG=1", "frames"} <= seen:
            said = manager.recv(4096).decode()
            seen.add(
                "frames" if re.fullmatch(r"STATUS=streaming, [\d.]+ fps, bicubic-x2, .*", said) else said
            )
        process.terminate()
        while manager.recv(4096) != b"STOPPING=1":
            assert process.poll() in (None, 0)
        assert process.wait(PATIENCE_S) == 0


@pytest.fixture(scope="module")
def streaming() -> StreamReport:
    return replace(run_simulated(SOURCE, "null", duration_s=1.0), state="streaming")


@pytest.mark.parametrize("place", ["{folder}/notify", "@vsr-{pid}"])
def test_alive_is_who_sends_what_comes(
    place: str, streaming: StreamReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = place.format(folder=tmp_path, pid=os.getpid())
    monkeypatch.setenv("NOTIFY_SOCKET", place)
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    at, report = 0.0, replace(streaming, frames_out=0)
    with (
        listening(place) as manager,
        Service(
            lambda: [report], lambda reports: f"{reports[0].state},\n{reports[0].frames_out}", lambda: at
        ) as service,
    ):
        assert "NOTIFY_SOCKET" not in os.environ, "it is not for what vsr starts"

        def after_a_second() -> list[str]:
            nonlocal at
            at += 1.0
            service()
            return heard(manager)

        service()
        assert heard(manager) == ["READY=1", "STATUS=streaming, 0", "WATCHDOG=1"]
        service()
        assert heard(manager) == [], "not more often than is needed"
        assert "WATCHDOG=1" in after_a_second(), "the first picture may take long"
        report = replace(report, frames_out=5)
        assert after_a_second() == ["STATUS=streaming, 5", "WATCHDOG=1"]
        assert after_a_second() == ["STATUS=streaming, 5"], "nothing goes out though pictures come"
        report = replace(report, state="reconnecting")
        assert after_a_second() == ["STATUS=reconnecting, 5", "WATCHDOG=1"], "a restart would not help"
        service.ends()
        assert heard(manager) == ["STOPPING=1"]


def test_of_several_one_that_is_alive_is_enough(
    streaming: StreamReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    at, stuck, works = 0.0, replace(streaming, frames_out=5), replace(streaming, frames_out=5)
    with (
        listening(str(tmp_path / "notify")) as manager,
        Service(lambda: [stuck, works], lambda _: "x", lambda: at) as service,
    ):
        service()
        assert heard(manager) == ["READY=1", "STATUS=x", "WATCHDOG=1"]
        at, works = 1.0, replace(works, frames_out=6)
        service()
        assert heard(manager) == ["STATUS=x", "WATCHDOG=1"]
        at = 2.0
        service()
        assert heard(manager) == ["STATUS=x"], "no stream sends anything"


@pytest.mark.parametrize(
    "environment",
    [{}, {"NOTIFY_SOCKET": "{folder}/nobody"}, {"NOTIFY_SOCKET": "vsock:2:1"}, {"WATCHDOG_USEC": "soon"}],
)
def test_without_a_service_manager_nothing_happens(
    environment: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(folder=tmp_path))
    with Service(lambda: pytest.fail("asked"), str) as service:
        service()
        service.ends()


def test_of_another_process_nothing_is_watched(
    streaming: StreamReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    with (
        listening(str(tmp_path / "notify")) as manager,
        Service(lambda: [streaming], lambda _: "x") as service,
    ):
        service()
        assert heard(manager) == ["READY=1", "STATUS=x"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text, count = re.subn(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", UNIT.read_text())
    assert count == 1
    (tmp_path / UNIT.name).write_text(text)
    verify = ["systemd-analyze", "verify", "--man=no", str(tmp_path / UNIT.name)]
    done = subprocess.run(verify, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    # Unknown keys are warnings.
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def health_of(port: int) -> tuple[int, str]:
    command = [sys.executable, str(ROOT / "scripts" / "healthz.py"), str(port)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert not done.stderr
    return done.returncode, done.stdout.strip()


def test_docker_hears_whether_output_flows() -> None:
    pytest.importorskip("aiohttp")
    port = free_port()
    assert health_of(port) == (0, f"no page at port {port}")
    nobody = f"rtsp://127.0.0.1:{free_port()}/live"
    with running(nobody, "null", preview=f":{port}", timeout_s=0.5, wait=True) as stream:
        until(lambda: stream.session.report().health.why_not[0].startswith("no picture yet"))
        code, said = health_of(port)
        assert code == 1
        assert said.startswith("no picture yet, after")
    port = free_port()
    with running(SOURCE, "null", preview=f":{port}") as stream:
        stream.wait_for_frames()
        assert health_of(port) == (0, "streaming")


def test_what_docker_copies_is_not_ignored() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = re.findall(r"(?m)^COPY (?!--)(\S+) ", (ROOT / "Dockerfile").read_text())
    for source in {*copied, "vsr", "pyproject.toml"} - {"."}:
        assert (ROOT / source).exists()
        assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), source
    checks = re.findall(
        r'HEALTHCHECK .* CMD \["python", "/opt/vsr/(\S+)", "8080"\]', (ROOT / "Dockerfile").read_text()
    )
    assert checks == ["healthz.py", "healthz.py"]
