from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import click
import pytest

from vsr.cli import options
from vsr.cli.upscale import split_paths
from vsr.core.errors import ConfigError


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (options.SIZE, "1920x1080", (1920, 1080)),
        (options.SIZE, "8X6", (8, 6)),
        (options.SECONDS, "90", 90.0),
        (options.SECONDS, "1:30", 90.0),
        (options.SECONDS, "1:00:01.5", 3601.5),
        (options.BITRATE, "2500000", 2_500_000),
        (options.BITRATE, "8M", 8_000_000),
        (options.BITRATE, "1.5k", 1500),
        (options.RATE, "25", Fraction(25)),
        (options.RATE, "29.97", Fraction(2997, 100)),
        (options.RATE, "30000/1001", Fraction(30000, 1001)),
        (options.KEY_VALUE, "x264-params=a=1:b=2", ("x264-params", "a=1:b=2")),
        (options.KEY_VALUE, "tune=", ("tune", "")),
    ],
)
def test_what_options_take(kind: click.ParamType[Any], text: str, value: object) -> None:
    assert kind.convert(text, None, None) == value
    assert kind.convert(value, None, None) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (options.SIZE, "1920"),
        (options.SIZE, "0x1080"),
        (options.SIZE, "1920x-8"),
        (options.SECONDS, "-1"),
        (options.SECONDS, "1:2:3:4"),
        (options.SECONDS, "soon"),
        (options.SECONDS, "99999999999999999999"),
        (options.BITRATE, "0"),
        (options.BITRATE, "8G"),
        (options.BITRATE, "99999999999999999999"),
        (options.BITRATE, "9" * 400),
        (options.RATE, "0"),
        (options.RATE, "1/0"),
        (options.RATE, "23.9760239760239"),
        (options.RATE, "fast"),
        (options.KEY_VALUE, "tune"),
        (options.KEY_VALUE, "=film"),
    ],
)
def test_what_options_refuse(kind: click.ParamType[Any], text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not"):
        kind.convert(text, None, None)


def test_one_path_is_the_input() -> None:
    assert split_paths(["a.mp4"]) == (("a.mp4",), None)


def test_the_last_of_two_is_the_output() -> None:
    assert split_paths(["a.mp4", "b.mkv"]) == (("a.mp4",), "b.mkv")
    assert split_paths(["-", "-"]) == (("-",), "-")


def test_several_inputs_go_into_a_folder(tmp_path: Path) -> None:
    assert split_paths(["a.mp4", "b.mp4", "new"]) == (("a.mp4", "b.mp4"), "new/")
    assert split_paths(["a.mp4", "b.mp4", "new.d/"]) == (("a.mp4", "b.mp4"), "new.d/")
    folder = tmp_path / "folder.d"
    folder.mkdir()
    assert split_paths(["a.mp4", "b.mp4", str(folder)]) == (("a.mp4", "b.mp4"), str(folder))


def test_several_inputs_go_nowhere_or_to_standard_output() -> None:
    assert split_paths(["a.mp4", "b.mp4", "null:"]) == (("a.mp4", "b.mp4"), "null:")
    assert split_paths(["a.mp4", "b.mp4", "-"]) == (("a.mp4", "b.mp4"), "-")


def test_a_folder_of_too_long_a_name_is_told() -> None:
    with pytest.raises(ConfigError, match="File name too long"):
        split_paths(["a.mp4", "b.mp4", "n" * 300])


def test_several_inputs_do_not_go_into_a_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="2 inputs cannot go to one file"):
        split_paths(["a.mp4", "b.mp4", "c.mp4"])
    there = tmp_path / "there"
    there.touch()
    with pytest.raises(ConfigError):
        split_paths(["a.mp4", "b.mp4", str(there)])
