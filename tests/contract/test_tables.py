"""What is wrong with a TOML file is an error that names it, whichever of vsr's readers reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vsr.backends.tensorrt.recipe import load_recipe as load_engine_recipe
from vsr.core.errors import ConfigError, VsrError, WeightsError
from vsr.models.registry import find_model
from vsr.models.spec import load_spec
from vsr.training.recipe import load_recipe


@dataclass(frozen=True)
class Reader:
    """One of them. text: a good file. whole, text_entry, choice: lines of it that hold a number, a text and one of a few."""

    load: Callable[[Path], Any]
    error: type[VsrError]
    text: str
    whole: str
    text_entry: str
    choice: str


def _spec_text() -> str:
    return (find_model("bicubic-x2").folder / "model.toml").read_text()


READERS = {
    "training": Reader(
        load_recipe,
        ConfigError,
        'scale = 2\n[arch]\nname = "espcn"\n[train]\nsteps = 5\nloss = "l1"\n',
        "steps",
        "name",
        "loss",
    ),
    "engine": Reader(
        load_engine_recipe,
        ConfigError,
        'model = "fast-x2"\noptimization_level = 3\nprecision = "fp16"\n',
        "optimization_level",
        "model",
        "precision",
    ),
    "spec": Reader(
        lambda path: load_spec(path.parent), WeightsError, _spec_text(), "halo", "licence", "domain"
    ),
}
FILE = "model.toml"

CONTENT: dict[str, bytes] = {
    "empty": b"",
    "half a line": b"scale =",
    "twice": b"scale = 2\nscale = 2\n",
    "no UTF-8": b'model = "\xff"\n',
    "UTF-16": 'model = "a"\n'.encode("utf-16"),
    "brackets": b"scale = " + b"[" * 50_000,
    "tables": b"scale = " + b"{a = " * 50_000,
    "digits": b"scale = " + b"1" * 5_000,
}
WHOLE = {
    "a fraction": "2.0",
    "true": "true",
    "a text": '"2"',
    "below": "-1",
    "65 bits": str(2**64),
    "hexadecimal": f"0x{'f' * 10_000}",
    "nan": "nan",
    "a list": "[2]",
    "a date": "2026-01-01",
}


@pytest.fixture(params=READERS)
def reader(request: pytest.FixtureRequest) -> Reader:
    return READERS[request.param]


def refusal(reader: Reader, folder: Path) -> str:
    """What is said of the file, in one short line."""
    with pytest.raises(VsrError) as caught:
        reader.load(folder / FILE)
    assert type(caught.value) is reader.error
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < len(str(folder)) + 200
    return caught.value.message


def with_entry(text: str, name: str, value: str) -> str:
    """The file with another value of an entry that it has."""
    lines = [f"{name} = {value}" if line.startswith(f"{name} = ") else line for line in text.splitlines()]
    assert lines != text.splitlines()
    return "\n".join(lines)


@pytest.mark.parametrize("start", ["", "\ufeff", "# a comment\r\n"])
def test_a_good_file_is_read(reader: Reader, start: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(start + reader.text, encoding="utf-8")
    reader.load(tmp_path / FILE)


@pytest.mark.parametrize("content", CONTENT)
def test_what_is_no_table_of_it_is_refused(reader: Reader, content: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(CONTENT[content])
    message = refusal(reader, tmp_path)
    assert "missing" in message if content == "empty" else f"{FILE} is not TOML" in message


def test_a_file_that_cannot_be_read(reader: Reader, tmp_path: Path) -> None:
    assert "No such file or directory" in refusal(reader, tmp_path)
    (tmp_path / FILE).mkdir()
    assert "Is a directory" in refusal(reader, tmp_path)


@pytest.mark.parametrize("value", WHOLE)
def test_a_whole_number_is_one(reader: Reader, value: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(with_entry(reader.text, reader.whole, WHOLE[value]))
    assert f"{reader.whole} must " in refusal(reader, tmp_path)


@pytest.mark.parametrize("value", ["5", "[]", "{}", "true", "1979-05-27"])
def test_a_text_is_one(reader: Reader, value: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(with_entry(reader.text, reader.text_entry, value))
    assert f"{reader.text_entry} must be text, got " in refusal(reader, tmp_path)


@pytest.mark.parametrize("value", ['"nosuch"', "[]", "1", f'"{"x" * 100_000}"', '"two\\nlines"'])
def test_a_choice_is_among_those_there_are(reader: Reader, value: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(with_entry(reader.text, reader.choice, value))
    message = refusal(reader, tmp_path)
    assert f"{reader.choice} must be " in message


@pytest.mark.parametrize("name", ["speed", '"two\\nlines"', f'"{"x" * 10_000}"'])
def test_an_entry_that_nothing_reads_is_named(reader: Reader, name: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(f"{name} = 1\n{reader.text}")
    assert " is unknown" in refusal(reader, tmp_path)
