"""Passwords and keys in addresses are hidden; the rest of an address is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.secret_addresses import SECRET, SECRET_ADDRESSES
from vsr.core import secrets
from vsr.core.errors import ConfigError, SourceLostError
from vsr.core.secrets import hide, masked, redacted
from vsr.core.variables import expanded

MISTAKEN = [
    f"rtsp:/user:{SECRET}@host/x",
    f"rtsp//user:{SECRET}@host/x",
    f"user:{SECRET}@host/x",
    f"rtsp/user:{SECRET}@host/x",
    f"async:rtsp://user:{SECRET}@host/x",
    f"concat:http://user:{SECRET}@host/a|http://user:{SECRET}@host/b",
]


@pytest.mark.parametrize("address", SECRET_ADDRESSES + MISTAKEN)
def test_a_secret_is_hidden_wherever_an_address_stands(address: str) -> None:
    assert SECRET not in redacted(address)
    said = masked(
        f"[tcp @ 0x5581] Connection to {address} failed: Input/output error ('{address}'; {address})."
    )
    assert SECRET not in said
    assert "failed" in said
    assert SECRET not in str(SourceLostError(f"{address}: gone", hint=f"try {address}"))
    assert SECRET not in str(SourceLostError("gone", hint=f"try {address}").hint)


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://camera:554/Streaming/Channels/101",
        "rtsp://[::1]:554/x",
        "http://host/hls/index.m3u8",
        "testsrc:640x360@30",
        "screen::0.0",
        "/tmp/a:b/clip 2.mp4",
        "clip.mp4: no such file",
        "C:/videos/x.mp4",
        "--encoder-option takes KEY=VALUE, as in crf=18",
        "16:9 at 10:30, 3 of 4 frames/s",
        "udp://:1234",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert masked(text) == text
    assert redacted(text) == text


def test_what_an_exception_came_from_is_hidden_too() -> None:
    address = f"rtsp://user:{SECRET}@host/x"
    try:
        try:
            raise OSError(5, "Input/output error", address)
        except OSError as first:
            raise ValueError(f"{address}: refused", ("log", address)) from first
    except ValueError as second:
        raised = second
    hide(raised)
    assert SECRET not in f"{raised!r} {raised} {raised.__cause__!r} {raised.__cause__}"
    assert "rtsp://host/x" in str(raised.__cause__)


def test_secrets_come_from_the_environment_and_from_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(secrets, "_known", set())
    (tmp_path / "word").write_text("of-a-file\nand more")
    monkeypatch.setenv("CAMERA_KEY", "of%2Dthe-environment")
    text = expanded(f"rtsp://host/${{CAMERA_KEY}}/${{file:{tmp_path}/word}}/$HOME")
    assert text == "rtsp://host/of%2Dthe-environment/of-a-file/$HOME"
    assert redacted(text) == "rtsp://host/.../.../$HOME"
    assert masked("no host of-the-environment") == "no host ..."


@pytest.mark.parametrize("name", ["NOSUCH_VARIABLE", "file:/nosuch/file", ""])
def test_one_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        expanded(f"rtsp://user:${{{name}}}@host/x")
    assert f"${{{name}}}" in str(caught.value)
    assert caught.value.hint


def test_a_known_secret_within_the_name_of_an_entry_does_not_unmask_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(secrets, "_known", {"word"})
    for address in SECRET_ADDRESSES:
        assert SECRET not in masked(f"{address} failed ({address}).")
    assert masked("the word is word") == "the ... is ..."
