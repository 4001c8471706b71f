"""Nobody sees a secret of an address that a stream was given: not in the log, the page, the report, exceptions or processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from tests.support.children import free_port
from tests.support.processes import started, until
from tests.support.secret_addresses import SECRET, SECRET_ADDRESSES
from tests.support.sessions import config
from vsr.core.errors import VsrError
from vsr.live.page.metrics import exposition
from vsr.live.session import Session
from vsr.live.states import Change
from vsr.media.live import bridge_command
from vsr.media.live.destinations import parse_destination

# A third of them: all end at the same places.
SRT_ADDRESSES = [address for address in SECRET_ADDRESSES if address.startswith("srt")]
SINKS = [address for address in SECRET_ADDRESSES if not address.startswith(("http", "tcp"))][::3]


def seen_of(source: str, *sinks: str) -> str:
    """Every text that vsr prints or reports about a stream that fails."""
    changes: list[Change] = []
    told = ""
    try:
        session = Session(config(source, *sinks, retries=0, duration_s=4.0), on_change=changes.append)
    except VsrError as error:
        return "".join(traceback.format_exception(error))
    try:
        session.run()
    except VsrError as error:
        one: BaseException | None = error
        while one is not None:
            told += f"{one!r} {one} {one.args} {vars(one)}"
            one = one.__cause__ or one.__context__
        told += "".join(traceback.format_exception(error)) + str(error.hint)
    report = session.report()
    return told + str(changes) + json.dumps(report.as_dict(), default=str) + exposition({"": report})


@pytest.mark.parametrize("address", SECRET_ADDRESSES)
def test_of_a_source(address: str) -> None:
    seen = seen_of(address, "null")
    assert "127.0.0.1" in seen or "::1" in seen
    assert SECRET not in seen


@pytest.mark.parametrize("address", SINKS)
def test_of_a_sink(address: str) -> None:
    seen = seen_of("testsrc:160x120@25", address)
    assert SECRET not in seen


@pytest.mark.parametrize("has_hls", [True, False])
def test_of_the_command_that_reads(has_hls: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_command, "_has_hls", lambda: has_hls)
    for address in SRT_ADDRESSES:
        words, given = bridge_command.reading(address)
        assert SECRET not in str(words)
        assert address in given


def test_of_the_command_that_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_command, "_heeds_presets", lambda: True)
    for address in SRT_ADDRESSES:
        words, given = bridge_command.writing(address, "/dev/fd/9")
        assert SECRET not in str(words)
        assert SECRET in given
        assert not parse_destination(address).note
    assert bridge_command.parted(
        "srt://me:x@host:1/y?mode=caller&streamid=%23a%2Fb+c=d&latency=9&pass=w"
    ) == (
        "srt://host:1?mode=caller&latency=9",
        {"streamid": "#a/b c=d", "pass": "w"},
    )


def test_where_ffmpeg_shows_what_it_is_given_a_note_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge_command, "_heeds_presets", lambda: False)
    session = Session(config("testsrc:160x120@25", *SRT_ADDRESSES, "srt://127.0.0.1:1?mode=caller"))
    assert len(session.notes) == len(SRT_ADDRESSES)
    assert all("srt://127.0.0.1:1" in note and "command line" in note for note in session.notes)
    assert SECRET not in str(session.notes)
    words, given = bridge_command.writing(SRT_ADDRESSES[0], "/dev/fd/9")
    assert SRT_ADDRESSES[0] in words
    assert not given


def test_of_a_running_command(tmp_path: Path) -> None:
    port, report = free_port(), tmp_path / "report.json"
    (tmp_path / "key").write_text(f"{SECRET}\n")
    words = [
        "vsr", "stream", f"srt://127.0.0.1:{port}?passphrase=${{WORD}}", f"srt://127.0.0.1:{port}?passphrase=${{WORD}}",
        f"rtmp://127.0.0.1:{port}/app/${{file:{tmp_path}/key}}", f"rtsp://name:${{WORD}}@127.0.0.1:{port}/x",
        "--retries", "3", "--wait", "--model", "bicubic", "--report", report, "--source-option", "x=${WORD}",
    ]  # fmt: skip
    environment = {**os.environ, "WORD": f"{SECRET}{SECRET}", "VSR_DEBUG": "1"}
    with started(
        sys.executable,
        "-m",
        *words,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        commands = ""

        def bridged() -> bool:
            nonlocal commands
            commands += "".join(
                path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                for path in Path("/proc").glob("[0-9]*/cmdline")
                if path.exists()
            )
            return "pipe:1" in commands and "connection_process" in commands

        until(bridged)
        said, _ = process.communicate(timeout=60)
    assert "srt://127.0.0.1" in said
    assert SECRET not in said + commands
    assert not report.exists() or SECRET not in report.read_text()
