from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.support.processes import PATIENCE_S
from vsr.cli import terminal, text
from vsr.cli.terminal import escaped

EVIL = "x\x1b[31m\nerror: forged\r\x9b2J\u202eend"
SHOWN = r"x\x1b[31m\nerror: forged\r\x9b2J\u202eend"


@pytest.mark.parametrize("plain", ["naïve 日本.mp4", "tab\tstays", r"C:\n", "\udce9.png"])
def test_plain_text_is_shown_as_it_is(plain: str) -> None:
    assert escaped(plain) == plain


def test_what_would_move_the_cursor_or_forge_a_line_is_shown_escaped(
    capsys: pytest.CaptureFixture[str],
) -> None:
    terminal.say(EVIL, "second")
    terminal.note(EVIL)
    assert capsys.readouterr() == (f"{SHOWN}\nsecond\n", f"{SHOWN}\n")


@pytest.mark.parametrize(
    ("name", "written"),
    [
        (os.fsdecode(b"a\xff\xe9.mp4"), r"a\xff\xe9.mp4"),
        ("日本 \U0001f600 naïve.mp4", "日本 \U0001f600 naïve.mp4"),
        (r"back\slash \udcff \x7f.mp4", r"back\slash \udcff \x7f.mp4"),
        (EVIL, EVIL),
        ("delete\x7f.mp4", "delete\x7f.mp4"),
    ],
)
def test_json_of_any_name_is_strict(name: str, written: str, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.note(terminal.json_of({"input": name}))
    terminal.say_json({"input": name})
    found = capsys.readouterr()
    assert json.loads(found.err) == json.loads(found.out) == {"input": written}
    assert json.loads(found.out)["input"].encode()  # Alone, a surrogate is no character.


def test_a_line_after_a_status_takes_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.status("12 frames")
    terminal.note("reconnecting")
    terminal.note("playing")
    assert capsys.readouterr().err == "\r\033[K12 frames\r\033[Kreconnecting\nplaying\n"


def vsr(*arguments: str | Path, encoding: str = "utf-8") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "vsr", *arguments],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
    )


def test_titles_and_names_from_elsewhere_reach_the_terminal_escaped(tmp_path: Path) -> None:
    clip = tmp_path / "bad\x1b[2J\nerror: forged.mkv"
    with av.open(os.fspath(tmp_path / "clip.mkv"), "w") as container:
        container.metadata["title"] = EVIL.replace("\x9b", "")
        stream = container.add_stream("ffv1", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
        frame = av.VideoFrame.from_ndarray(np.zeros((24, 16), np.uint8), "yuv420p")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    (tmp_path / "clip.mkv").rename(clip)
    package = tmp_path / "package"
    package.mkdir()
    toml = 'id = "a"\ntitle = "evil \\u001b]0;x\\u0007 title"\nscale = 2\ndomain = "luma"\nsize_multiple = 1\nhalo = 0\n'
    toml += 'macs_per_pixel = 1\nparameters = 1\nprecision = "any"\nlicence = "x"\n'
    (package / "model.toml").write_text(toml)
    (package / "card.md").write_text("# Card\n\x1b[8mhidden\nend\n")
    for command in (
        ("probe", clip),
        ("upscale", clip, tmp_path, "--model", "bicubic"),
        ("upscale", tmp_path / "no\nerror: forged.mkv"),
        ("model", "show", package),
    ):
        done = vsr(*command)
        lines = (done.stdout + done.stderr).splitlines()
        assert not any(byte < 0x20 for line in lines for byte in line), done
        assert not [line for line in lines if line.startswith(b"error: forged")]
    assert rb"\x1b[8mhidden" in lines
    assert b"end" in lines


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_the_terminal_does_not_know_are_replaced(encoding: str, tmp_path: Path) -> None:
    name = tmp_path / "日本.png"
    Image.new("L", (16, 16)).save(name)
    page = tmp_path / "é.html"
    done = vsr("compare", name, name, "-o", page, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u65e5\u672c.png (1) to" in done.stdout
    assert page.is_file()


def test_columns_are_aligned_by_what_they_hold() -> None:
    rows = [["name", "parameters"], ["2x-net", "7"], ["net", "1,234"]]
    assert text.table(rows, numbers=(1,)) == [
        "name    parameters",
        "2x-net           7",
        "net          1,234",
    ]
