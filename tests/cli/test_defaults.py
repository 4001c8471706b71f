"""Options from the user's file, beside those of the command line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import clips
from vsr.cli.app import run


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a clip, where the user's configuration lies in `config`."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VSR_CONFIG", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / "config" / "vsr").mkdir(parents=True)
    shutil.copy(
        clips.h264("short.mp4", source="testsrc2=size=64x48:rate=25:duration=0.2"), tmp_path / "in.mp4"
    )
    return tmp_path


def write(here: Path, text: str) -> Path:
    path = here / "config" / "vsr" / "config.toml"
    path.write_text(text)
    return path


UPSCALE = """
[upscale]
model = "bicubic"
preset = "ultrafast"
crf = 33
encoder-option = ["tune=film"]
overwrite = true
size = "96p"
"""


def test_what_the_file_says_is_taken(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, UPSCALE)
    for _ in range(2):  # overwrite = true
        assert run(["upscale", "in.mp4", "out.mp4"]) == 0
    out = capsys.readouterr().out
    assert "64x48 to 128x96" in out
    assert "crf=33 preset=ultrafast" in out


def test_the_command_line_replaces_it(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, UPSCALE)
    assert run(["upscale", "in.mp4", "out.mp4", "--crf", "21", "--size", "x144"]) == 0
    out = capsys.readouterr().out
    assert "64x48 to 192x144" in out
    assert "crf=21" in out


def test_what_excludes_an_option_of_the_file_replaces_that(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, UPSCALE)
    assert run(["upscale", "in.mp4", "out.mp4", "--bitrate", "1M", "--scale", "3", "--skip-existing"]) == 0
    out = capsys.readouterr().out
    assert "64x48 to 192x144" in out
    assert "crf" not in out
    assert run(["upscale", "in.mp4", "out2.mp4", "--bitrate", "1M", "--crf", "20"]) == 2


def test_commands_below_commands_and_flags_that_say_no(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, "[jobs.list]\njson = true\n[stream]\nno-audio = true\n")
    assert run(["jobs", "list"]) == 0
    assert capsys.readouterr().out.strip() == "[]"
    assert run(["doctor"]) == 0


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[upscale\n", "config.toml: "),
        ("[upscal]\n", "[upscal] is not a command"),
        ("upscale = 3\n", "upscale is not a table"),
        ("[upscale]\ncfr = 20\n", "[upscale] cfr is not an option of `vsr upscale`"),
        ("[upscale]\ncrf = 'low'\n", "crf"),
        ("[upscale]\noverwrite = 'yes'\n", "overwrite is true or false"),
        ("[upscale]\nencoder-option = 'tune=film'\n", "encoder-option = [...]"),
        *(
            (f"[upscale]\n{key} = {value}\n", f"[upscale] {key} takes text or a number")
            for key, value in (
                ("crf", "[1]"),
                ("crf", "{a = 1}"),
                ("crf", "1979-05-27"),
                ("size", "true"),
                ("report", "true"),
                ("workers", "true"),
                ("encoder-option", "[['tune=film']]"),
            )
        ),
        pytest.param(f"[upscale]\ncrf = {'[' * 5000}{']' * 5000}\n", "config.toml: ", id="deep"),
    ],
)
def test_mistakes_are_named(here: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(here, text)
    assert run(["upscale", "in.mp4", "out.mp4"]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 2
    assert not (here / "out.mp4").exists()


def test_another_file_and_none(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(here, "[upscale]\nnonsense = 1\n")
    (here / "mine.toml").write_text(UPSCALE)
    monkeypatch.setenv("VSR_CONFIG", str(here / "mine.toml"))
    assert run(["upscale", "in.mp4", "out.mp4"]) == 0
    monkeypatch.setenv("VSR_CONFIG", str(here / "none.toml"))
    assert run(["upscale", "in.mp4", "out.mp4"]) == 2
    assert "none.toml: No such file" in capsys.readouterr().err
    monkeypatch.setenv("VSR_CONFIG", "/dev/null")
    assert run(["upscale", "in.mp4", "out3.mp4", "--model", "bicubic"]) == 0
