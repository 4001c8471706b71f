from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from vsr.core.errors import ConfigError
from vsr.core.tables import filled, in_range, one_of, read_table, short


@dataclass(frozen=True)
class Sample:
    name: str
    count: int = 3
    share: float = 0.5
    fast: bool = False
    kind: Literal["a", "b"] | Literal["auto"] = "auto"
    names: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    at: int = 0
    folder: Path = Path()

    def __post_init__(self) -> None:
        in_range("count", self.count, 1, 10)


def test_entries_become_fields() -> None:
    table = {
        "name": "x",
        "share": 1,
        "fast": True,
        "kind": "b",
        "names": ["p", "q"],
        "shares": [1, 0.5],
        "extra": {"a": [1]},
    }
    assert filled(Sample, table | {"at": "0x10"}, parsers={"at": lambda text: int(text, 16)}, folder=Path("f")) == Sample(
        "x", 3, 1, True, "b", ("p", "q"), (1, 0.5), {"a": [1]}, 16, Path("f")
    )  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"name": 5}, "name must be text, got 5"),
        ({"count": 3.0}, "count must be a whole number, got 3.0"),
        ({"count": True}, "count must be a whole number, got True"),
        ({"count": 11}, "count must be from 1 to 10, got 11"),
        ({"count": 1 << 63}, f"count must fit in 64 bits, got {1 << 63}"),
        ({"share": "half"}, "share must be a number, got 'half'"),
        ({"share": True}, "share must be a number, got True"),
        ({"fast": 1}, "fast must be true or false, got 1"),
        ({"kind": "c"}, "kind must be a, b or auto, got 'c'"),
        ({"kind": ["a"]}, "kind must be a, b or auto, got ['a']"),
        ({"names": "p"}, "names must be a list, got 'p'"),
        ({"names": ["p", 1]}, "names: each must be text, got 1"),
        ({"extra": 1}, "extra must be a table, got 1"),
        ({"extra": {"a": {"b": 1 << 64}}}, f"[[extra] a] b must fit in 64 bits, got {1 << 64}"),
        ({"folder": "elsewhere"}, "folder is unknown"),
        ({"colour": "red"}, "colour is unknown"),
    ],
)
def test_a_fault_is_named(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        filled(Sample, {"name": "x"} | entries, "here: ", folder=Path())
    assert caught.value.message == f"here: {message}"


def test_what_is_missing_and_what_there_may_be() -> None:
    with pytest.raises(ConfigError, match=r"^here: name is missing$"):
        filled(Sample, {"count": 3}, "here: ")
    with pytest.raises(ConfigError) as caught:
        filled(Sample, {"nmae": "x"}, folder=Path())
    assert caught.value.hint == "there may be: name, count, share, fast, kind, names, shares, extra, at"


def test_tables_are_not_nested_for_ever() -> None:
    deep: list[Any] = []
    for _ in range(40):
        deep = [deep]
    with pytest.raises(ConfigError, match=r"^\[extra\] a is nested too deeply$"):
        filled(Sample, {"name": "x", "extra": {"a": deep}})


def test_numbers_and_choices() -> None:
    assert one_of("speed", 2, (1, 2, 3)) == 2
    with pytest.raises(ConfigError, match="speed must be 1, 2 or 3, got True"):
        one_of("speed", True, (1, 2, 3))
    with pytest.raises(ConfigError, match="speed must be fast, got 'slow'"):
        one_of("speed", "slow", ("fast",))
    in_range("share", 0.5, 0)
    with pytest.raises(ConfigError, match="share must be at least 0, got -1"):
        in_range("share", -1, 0)
    with pytest.raises(ConfigError, match="share must be from 0 to 1, got nan"):
        in_range("share", float("nan"), 0, 1)


def test_values_are_shown_in_one_short_line() -> None:
    assert short("a\n  b", str) == "a b"
    assert short("x" * 1000) == f"'{'x' * 59}..."
    assert short(10**5000) == "a value too long to be shown"


def test_reading(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\n")
    assert read_table(path) == {"a": 1}
    path.write_bytes(b'a = "\xff"')
    with pytest.raises(ConfigError, match=r"a\.toml is not TOML: .*utf-8"):
        read_table(path)
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "b.toml")


@dataclass(frozen=True)
class Part:
    name: str
    at: tuple[int, float]
    more: float | None = None


@dataclass(frozen=True)
class Whole:
    parts: tuple[Part, ...]
    by_name: Mapping[str, Part]


def test_a_table_in_a_table_becomes_the_dataclass_of_its_field() -> None:
    part = {"name": "a", "at": [1, 2.5], "more": None}
    found = filled(Whole, {"parts": [part], "by_name": {"b": part | {"more": 3}}})
    assert found == Whole((Part("a", (1, 2.5)),), {"b": Part("a", (1, 2.5), 3)})


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"name": 3, "at": [1, 2]}, "parts: each: name must be text, got 3"),
        ({"name": "a"}, "parts: each: at is missing"),
        ({"name": "a", "at": [1]}, "parts: each: at must be a list of 2"),
        ({"name": "a", "at": [1.5, 2]}, "parts: each: at: each must be a whole number, got 1.5"),
        ({"name": "a", "at": [1, 2], "more": "x"}, "parts: each: more must be a number, got 'x'"),
        ("a", "parts: each must be a table, got 'a'"),
    ],
)
def test_a_fault_in_an_inner_table_is_named_by_its_way(part: object, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        filled(Whole, {"parts": [part], "by_name": {}})
    assert words in caught.value.message
