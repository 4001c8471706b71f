"""Publishing by WHIP."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import clips
from tests.support.children import free_port
from tests.support.processes import started
from tests.support.sessions import config, running
from vsr.core.errors import ConfigError, MissingDependencyError
from vsr.live.session import Session
from vsr.media.live import whip
from vsr.media.live.bridge_command import are_secrets_seen, writing
from vsr.media.live.destinations import parse_destination
from vsr.media.live.encoder import EncoderOptions

SERVER = Path(__file__).parents[1] / "support" / "whip_server.py"
SOURCE = "testsrc:160x120@10"
LONG = (
    *("-f", "lavfi", "-i", "testsrc2=size=160x120:rate=10:duration=60"),
    *("-f", "lavfi", "-i", "sine=duration=60"),
    *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
)
needs_ffmpeg = pytest.mark.skipif(whip.ffmpeg_with_whip() is None, reason="needs an ffmpeg 8.0 or later")


@needs_ffmpeg
@pytest.mark.skipif(importlib.util.find_spec("aiortc") is None, reason="needs aiortc")
@pytest.mark.parametrize("sound", [False, True])
def test_pictures_and_sound_arrive(sound: bool) -> None:
    port = free_port()
    command = (sys.executable, SERVER, port)
    with started(*command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        source = str(clips.made("long.mkv", LONG, lambda path: clips.run(*LONG, path))) if sound else SOURCE
        with running(source, f"whip://127.0.0.1:{port}/whip", realtime=sound) as stream:
            wanted = {"video"} | ({"audio"} if sound else set())
            seen: dict[str, int] = {}
            while any(seen.get(kind, 0) < 5 for kind in wanted):
                line = server.stdout.readline()
                assert line, stream.session.report()
                seen[line.split()[0]] = seen.get(line.split()[0], 0) + 1
            stream.wait(lambda report: report.sinks[0]["state"] == "streaming")


@needs_ffmpeg
def test_what_other_sides_take() -> None:
    session = Session(config(SOURCE, "whip://host/x"))
    assert session._parts.publisher._options.encoder_options == {"profile": "baseline"}
    session.discard()
    own = EncoderOptions(encoder_options={"profile": "high"})
    session = Session(config(SOURCE, "whip://host/x", encoder=own))
    assert session._parts.publisher._options.encoder_options == {"profile": "high"}
    session.discard()
    with pytest.raises(ConfigError, match=r"WHIP takes H\.264"):
        Session(config(SOURCE, "whip://host/x", encoder=EncoderOptions("libx265")))


@needs_ffmpeg
def test_the_command_and_what_it_shows() -> None:
    words, preset = writing("whips://host:8889/door/whip", "/dev/fd/9")
    assert words[0] == whip.ffmpeg_with_whip()
    assert "https://host:8889/door/whip" in words
    assert not preset
    assert not are_secrets_seen("whip://host/door")
    assert are_secrets_seen("whip://host/door?token=word")
    assert "accepts secrets only on its command line" in parse_destination("whip://me:word@host/x").note


def test_without_such_an_ffmpeg_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whip, "ffmpeg_with_whip", lambda: None)
    with pytest.raises(MissingDependencyError, match=r"whip://host/x: needs an ffmpeg with WHIP") as caught:
        parse_destination("whip://host/x")
    assert caught.value.hint == "pip install imageio-ffmpeg"
