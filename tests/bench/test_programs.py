"""The programs of benchmarks/ and scripts/ use what vsr offers them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = sorted([*ROOT.glob("benchmarks/**/*.py"), *ROOT.glob("scripts/*.py")])


# What a NamedTuple offers is named so that no field can be.
OFFERED = ("_fields", "_asdict", "_replace", "_make")


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in OFFERED


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_none_reaches_into_privates(path: Path) -> None:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and private(node.attr):
            if not (isinstance(node.value, ast.Name) and node.value.id == "self"):
                found.append(ast.unparse(node))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("vsr"):
            found += [name.name for name in node.names if private(name.name)]
    assert not found


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_each_finds_what_it_imports(path: Path) -> None:
    """None is run here: one of them needs a GPU, and others take hours."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("vsr"):
            module = __import__(node.module, fromlist=["_"])
            for name in node.names:
                assert hasattr(module, name.name), f"{node.module} has no {name.name}"
