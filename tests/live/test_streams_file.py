"""The file of several streams: what it means, and how its faults are told."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click
import pytest

from tests.support.forms import FORMS
from vsr.cli.stream import build_config, command
from vsr.core.errors import ConfigError, FaultsError
from vsr.live.config import StreamConfig
from vsr.live.streams_config import NamedStream, StreamsConfig
from vsr.live.streams_config import faults as places
from vsr.live.streams_file import read_streams
from vsr.live.streams_keys import KEYS

FORM = FORMS["stream"]
STREAM = '[[stream]]\nname = "{}"\nsource = "testsrc:64x48@25"\nsinks = ["null"]\n'


def read(tmp_path: Path, text: str, **options: Any) -> StreamsConfig:
    path = tmp_path / "streams.toml"
    path.write_text(text)
    return read_streams(path, **options)


def faults(tmp_path: Path, text: str) -> list[str]:
    """Its faults, without the file's name."""
    with pytest.raises(FaultsError) as caught:
        read(tmp_path, text)
    assert "\n".join(caught.value.faults) == caught.value.message
    return [fault.removeprefix(f"{tmp_path / 'streams.toml'}:") for fault in caught.value.faults]


def as_toml(words: str) -> str:
    """Options of the command line as entries of the file."""
    entries: dict[str, list[str]] = {}
    flags = {option for each in command.params if getattr(each, "is_flag", False) for option in each.opts}
    waiting = shlex.split(words)
    while waiting:
        option = waiting.pop(0)
        entries.setdefault(option.removeprefix("--"), []).append(
            "true" if option in flags else waiting.pop(0)
        )
    lines = []
    for key, values in entries.items():
        numbers = KEYS[key].kind in ("flag", "number")
        said = [value if numbers else f'"{value}"' for value in values]
        lines.append(f"{key} = [{', '.join(said)}]" if KEYS[key].kind == "list" else f"{key} = {said[0]}")
    return "\n".join(lines)


@pytest.mark.parametrize("option", [name for name, case in FORM.cases.items() if case.words.startswith("--")])
def test_an_option_means_the_same_as_on_the_command_line(
    option: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsr.live.streams_file.faults", lambda *_: ())  # No NPU is needed to name one.
    words = FORM.cases[option].words
    if "--preview" in words:
        pytest.skip("of all streams together")
    context = command.make_context("stream", shlex.split(f"testsrc:64x48@25 null {words}"))
    of_command = {"config", "report", "quiet", "as_json"}
    wanted = build_config({k: v for k, v in context.params.items() if k not in of_command})
    found = read(tmp_path, STREAM.format("a") + as_toml(words).replace('"out.mp4"', '"null"'))
    assert found.streams[0].config == wanted


def test_every_option_is_a_key() -> None:
    options = {
        option.removeprefix("--")
        for each in command.params
        if isinstance(each, click.Option)
        for option in each.opts[-1:]
        if option.startswith("--")
    }
    for_all = {"config", "preview", "token", "report", "quiet", "json"}
    assert KEYS.keys() == options - for_all | {"source", "sinks"}


def test_defaults_are_for_all_and_a_stream_may_have_its_own(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        'preview = ":0"\ntoken = "word"\n[defaults]\nmodel = "fast"\nsinks = ["null"]\nmax-latency = 500\n'
        '[[stream]]\nname = "a"\nsource = "testsrc:64x48@25"\nweight = 3\n'
        '[[stream]]\nname = "b"\nsource = "testsrc:64x48@25"\nmodel = "bicubic"\nsinks = []\n',
    )
    a, b = config.streams
    assert (config.preview, config.token, a.weight, b.weight) == (":0", "word", 3.0, 1.0)
    assert (a.config.network.model, b.config.network.model) == ("fast", "bicubic")
    assert (a.config.sinks, b.config.sinks) == (("null",), ())
    assert a.config.max_latency_s == b.config.max_latency_s == 0.5


def test_each_fault_is_told_with_its_line_and_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    found = faults(
        tmp_path,
        """preview = "8080x"
token = "${NO_SUCH}"
[defaults]
model = "nosuch"
max-latency = 5

[[stream]]
name = "door"
source = "rtsp://user:${NO_SUCH}@camera/live"
sinks = ["null", "/nowhere/x/y.m3u8"]
encoder-option = ['''
crf = 30
''']
crf = 20
bitrate = "4M"

[[stream]]
name = "yard"
source = "testsrc:160x90@10"
sise = "3x3"
weight = -1
realtime = "yes"
timeout = "5"
[[stream]]
name = "yard"
sinks = 5
[[stream]]
source = "testsrc:160x90@10"
preview = ":1"
[[stream]]
name = "gate"
source = "testsrc:160x90@10"
device = "npu"
model = "bicubic"
sinks = ["null"]
""",
    )
    for line, said in (
        (1, "`preview`: '8080x' is not an address"),
        (2, "`token`: ${NO_SUCH}: the environment has no NO_SUCH"),
        (4, "`model`: there is no model 'nosuch'"),
        (5, "`max-latency`: the latency, 0.005 s, is out of range"),
        (9, "door: `source`: ${NO_SUCH}: the environment has no NO_SUCH"),
        (10, "door: `sinks`: folder /nowhere does not exist"),
        (14, "door: `crf`: crf and bitrate exclude each other"),
        (20, "yard: `sise`: is unknown"),
        (21, "yard: `weight`: weight -1 is out of range"),
        (22, "yard: `realtime`: is true or false"),
        (23, "yard: `timeout`: must be a number"),
        (24, "yard: `source`: is missing"),
        (25, "yard: `name`: is another stream's, too"),
        (26, "yard: `sinks`: must be a list of texts"),
        (27, "`name`: is missing"),
        (29, "`preview`: is for all streams"),
        (33, "gate: `device`: npu cannot be used here"),
    ):
        told = [fault for fault in found if fault.startswith(f"{line}: {said}")]
        assert told, (line, said, found)
    assert len(found) == 17


def test_what_is_no_toml_is_one_fault_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"streams\.toml:3: "):
        read(tmp_path, "[[stream]]\nname = 'a'\nsource = \n")
    with pytest.raises(ConfigError, match=r"nosuch\.toml"):
        read_streams(tmp_path / "nosuch.toml")
    assert faults(tmp_path, "") == [
        "1: `stream`: there is no stream; write [[stream]] with name, source and sinks"
    ]


@pytest.mark.parametrize(
    ("of_one", "of_other", "said"),
    [
        ('sinks = ["rtsp://me:a@host/x"]', 'sinks = ["rtsp://host/x/"]', "rtsp://host/x/ is used by a, too"),
        ('sinks = ["hls/"]', 'sinks = ["hls/index.m3u8"]', "hls/index.m3u8 is used by a, too"),
        ('sinks = ["%Y.mp4"]', 'sinks = ["./%Y.mp4"]', "./%Y.mp4 is used by a, too"),
        ('sinks = ["udp://host:5000"]', 'sinks = ["udp://host:5000"]', "udp://host:5000 is used by a, too"),
        ('source = "udp://@:5000"', 'source = "udp://127.0.0.1:5000"', "udp://127.0.0.1:5000 is used by a"),
        (
            'source = "rtmp://0.0.0.0:1935/x?listen=1"',
            'source = "rtmp://localhost:1935/y?listen=1"',
            "is used by a",
        ),
        (
            'sinks = ["rtsp://localhost:8554/x"]',
            'sinks = ["rtsp://127.0.0.1:8554/x"]',
            "127.0.0.1:8554/x is used by a",
        ),
        ('sinks = ["rtsp://host/x"]', 'sinks = ["rtsp://host:554/x"]', "host:554/x is used by a"),
        ('sinks = ["rtsp://me:a[/b@host/x"]', 'sinks = ["rtsp://host/x"]', "rtsp://host/x is used by a"),
        (
            'source = "tcp://:5000?listen=1"',
            'source = "tcp://0.0.0.0:5000?listen"',
            "0.0.0.0:5000 is used by a",
        ),
        ('source = "camera:0"\nwait = true', 'source = "camera:video"\nwait = true', "video is used by a"),
    ],
)
def test_two_streams_share_no_sink_port_or_recording(
    of_one: str, of_other: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("video").symlink_to("/dev/video0")
    stream = '[[stream]]\nname = "{}"\n'
    rest = 'source = "testsrc:64x48@25"\n' if "sinks" in of_one else 'sinks = ["null"]\n'
    found = faults(tmp_path, f"{stream.format('a')}{rest}{of_one}\n{stream.format('b')}{rest}{of_other}\n")
    assert len(found) == 1
    assert found[0].partition(" ")[2].startswith("b: ")
    assert said in found[0]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("rtsp://host/x", "rtsp://host:8554/x"),
        ("rtsp://host/x", "rtsp://host/X"),
        ("srt://host:9000?streamid=x", "srt://host:9000?streamid=y"),
        ("whip://host:1984/api/webrtc?dst=x", "whip://host:1984/api/webrtc?dst=y"),
    ],
)
def test_two_places_at_one_server_are_two(one: str, other: str) -> None:
    first, second = (
        NamedStream(name, StreamConfig("testsrc:64x48@25", (sink,)))
        for name, sink in (("a", one), ("b", other))
    )
    assert [fault for fault in places((first, second)) if "used by" in fault.error.message] == []
    second = NamedStream("b", StreamConfig("testsrc:64x48@25", (one,)))
    assert "used by a" in [*places((first, second))][-1].error.message


def test_one_multicast_and_one_port_of_another_protocol_can_be_shared(tmp_path: Path) -> None:
    sources = [
        "udp://239.0.0.1:5000",
        "udp://@239.0.0.1:5000",
        "udp://[ff02::1]:5000",
        "udp://:5000",
        "tcp://:5000",
    ]
    text = "".join(
        f'[[stream]]\nname = "{name}"\nsource = "{source}"\nsinks = ["null"]\nmodel = "bicubic"\n'
        for name, source in zip("abcde", sources, strict=True)
    )
    assert len(read(tmp_path, text).streams) == 5


def test_the_report_is_no_sink_of_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = STREAM.format("a").replace('"null"', '"a.mp4"')
    with pytest.raises(FaultsError, match=r"a: `sinks`: a\.mp4 is used by the report, too"):
        read(tmp_path, text, report=Path("./a.mp4"))


@pytest.mark.parametrize(
    "source",
    [
        'source = "tcp://0.0.0.0:8080?listen"',
        'source = "tcp://:8080"',
        'source = "rtmp://0.0.0.0:8080/x"\nsource-option = ["listen=1"]',
        'source = "http://127.0.0.1:8080/x"\nsource-option = ["listen=2"]',
        'source = "rtsp://0.0.0.0:8080/x"\nsource-option = ["rtsp_flags=prefer_tcp+listen", "listen_timeout=9"]',
    ],
)
def test_no_stream_listens_at_the_port_of_the_page(source: str, tmp_path: Path) -> None:
    text = f'[[stream]]\nname = "a"\nsinks = ["null"]\n{source}\n'
    (found,) = faults(tmp_path, f'preview = ":8080"\n{text}')
    assert found.startswith("5: a: `source`: ")
    assert ":8080" in found
    assert "is used by the page, too" in found
    assert read(tmp_path, f'preview = ":8081"\n{text}').streams
    assert read(tmp_path, f'preview = ":0"\n{text.replace(":8080", ":0")}').streams


@pytest.mark.parametrize(
    "source",
    ["rtsp://0.0.0.0:8080/x", "tcp://host:8080?listen=0", "tcp://host:8080?listen_timeout=9", "udp://:8080"],
)
def test_who_does_not_listen_there_may_have_that_number(source: str, tmp_path: Path) -> None:
    text = STREAM.format("a").replace("testsrc:64x48@25", source)
    assert read(tmp_path, f'preview = ":8080"\n{text}').streams


def test_no_text_has_a_zero_byte(tmp_path: Path) -> None:
    text = STREAM.format("a").replace("null", "a\\u0000.mp4").replace("testsrc", "\\u0000")
    found = faults(tmp_path, f'preview = ":0"\n{text}')
    assert [fault.partition(";")[0] for fault in found] == [
        "4: a: `source`: contains a zero byte",
        "5: a: `sinks`: contains a zero byte",
    ]


def test_a_recording_is_nobodys_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.mkv").write_bytes(b"something")
    text = (
        '[[stream]]\nname = "a"\nsource = "testsrc:64x48@25"\nsinks = ["in.mkv"]\noverwrite = true\n'
        '[[stream]]\nname = "b"\nsource = "in.mkv"\nrealtime = true\nsinks = ["null"]\n'
    )
    assert faults(tmp_path, text) == ["8: b: `source`: in.mkv is written by a; choose another file"]


def test_what_variables_stand_for_is_part_of_the_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '[[stream]]\nname = "a"\nsource = "rtsp://x:${PASS_OF_A}@host/live"\nsinks = ["null"]\n'
    monkeypatch.setenv("PASS_OF_A", "first-secret")
    (first,) = read(tmp_path, text).streams
    assert read(tmp_path, text).streams == (first,)
    assert "first-secret" not in repr(first)
    monkeypatch.setenv("PASS_OF_A", "other-secret")
    assert read(tmp_path, text).streams != (first,)


def test_so_are_those_of_its_options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = STREAM.format("a") + 'source-option = ["headers=${PASS_OF_A}"]\n'
    monkeypatch.delenv("PASS_OF_A", raising=False)
    assert faults(tmp_path, text)[0].startswith("5: a: `source-option`: ${PASS_OF_A}: the environment has no")
    monkeypatch.setenv("PASS_OF_A", "first-secret")
    first = read(tmp_path, text)
    monkeypatch.setenv("PASS_OF_A", "other-secret")
    assert read(tmp_path, text) != first


def test_a_token_is_not_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_TOKEN", "")
    found = faults(tmp_path, 'preview = ":0"\ntoken = "${NO_TOKEN}"\n' + STREAM.format("a"))
    assert found == ["2: `token`: the token is empty; give one, or none for a page that anybody may see"]
    with pytest.raises(ConfigError, match="the token is empty"):
        StreamConfig("testsrc:64x48@25", preview=":0", token="${NO_TOKEN}")


def test_sinks_of_a_stream_that_runs_are_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASS_OF_A", "first-secret")
    text = STREAM.format("a").replace('"null"', '"a.mp4", "rtsp://x:${PASS_OF_A}@host/live"')
    config = read(tmp_path, text)
    Path("a.mp4").write_bytes(b"being recorded")
    assert read(tmp_path, text, running=config.streams) == config
    assert read(tmp_path, f"{text}weight = 3\n", running=config.streams).streams[0].weight == 3
    assert "exists" in faults(tmp_path, text)[0]


@pytest.mark.parametrize("name", ["", "a b", "../x", "x" * 64, "-a"])
def test_names_can_stand_in_addresses(name: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a stream's"):
        NamedStream(name, config=None)  # type: ignore[arg-type]
