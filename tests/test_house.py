"""Which module may import which, beyond what import-linter holds."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

Graph = Mapping[str, set[str]]


def modules(root: Path, package: str) -> dict[str, Path]:
    """The modules of a package that lies in `root`, by their dotted names."""
    found = {}
    for path in (root / package).rglob("*.py"):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def imports(root: Path, package: str) -> dict[str, set[str]]:
    """Module: the modules of the same package that it imports, anywhere in its text."""
    paths = modules(root, package)
    return {
        name: {target for target in _imported(ast.parse(path.read_text()), paths) if target != name}
        for name, path in paths.items()
    }


def _imported(tree: ast.Module, known: Mapping[str, Path]) -> Iterator[str]:
    for node in ast.walk(tree):
        assert not getattr(node, "level", 0), "imports are absolute"
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                # `from package import module` needs the module, any other name the package itself.
                name = f"{node.module}.{alias.name}"
                yield name if name in known else node.module


def circles(graph: Graph) -> list[list[str]]:
    """Groups of modules each of which leads to all others of its group, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = lowest[name] = len(index)
        stack.append(name)
        for target in graph[name]:
            if target not in index:
                visit(target)
                lowest[name] = min(lowest[name], lowest[target])
            elif target in stack:
                lowest[name] = min(lowest[name], index[target])
        if lowest[name] == index[name]:
            group = stack[stack.index(name) :]
            del stack[stack.index(name) :]
            if len(group) > 1:
                found.append(sorted(group))

    for name in graph:
        if name not in index:
            visit(name)
    return found


def layers_of_line(text: str) -> list[list[str]]:
    """Rooms from the top down, as the fenced line `cli > api > bench | training > … > core` names them."""
    (line,) = re.findall(r"^```\w*\n([^\n]* > core)\n```$", text, re.MULTILINE)
    return [sorted(name.strip() for name in layer.split("|")) for layer in line.split(" > ")]


def layers_of_contracts(pyproject: str) -> list[list[str]]:
    """The same of import-linter's contract over the rooms of vsr."""
    contracts = tomllib.loads(pyproject)["tool"]["importlinter"]["contracts"]
    (rooms,) = [contract for contract in contracts if contract.get("containers") == ["vsr"]]
    return [sorted(name.strip(" ()") for name in layer.split("|")) for layer in rooms["layers"]]


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Also not for the type checker, nor in a function: what needs that is in the wrong file."""
    graph = imports(ROOT, "vsr")
    assert "vsr.core.errors" in graph["vsr.api"]
    assert circles(graph) == []


@pytest.mark.parametrize(
    "text",
    [
        "from house.b import thing\n",
        "import house.b\n",
        "from house import b\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from house.b import thing\n",
        "def late():\n    from house.b import thing\n",
    ],
)
def test_a_circle_is_found_wherever_it_is_closed(text: str, tmp_path: Path) -> None:
    house = tmp_path / "house"
    house.mkdir()
    (house / "__init__.py").write_text("")
    (house / "a.py").write_text(text)
    (house / "b.py").write_text("from house.c import thing\n")
    (house / "c.py").write_text("import sys\n")
    assert circles(imports(tmp_path, "house")) == []
    (house / "c.py").write_text("from house.a import thing\n")
    assert circles(imports(tmp_path, "house")) == [["house.a", "house.b", "house.c"]]


def test_the_architecture_page_tells_the_layers_that_are_checked() -> None:
    told = layers_of_line((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))
    assert told == layers_of_contracts((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert told[0] == ["cli"]
    assert told[-1] == ["core"]


def log_users(text: str) -> set[str]:
    """What of `av.logging`, or on top of it, a module uses."""
    listening = {"set_level", "Capture", "dumps_format", "restore_default_callback", "set_libav_level"}
    names = {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}
    imported = {
        alias.name
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.ImportFrom) and node.module == "av.logging"
        for alias in node.names
    }
    return (names | imported) & listening


def test_nobody_listens_to_the_log_of_ffmpeg_in_this_process() -> None:
    """PyAV takes the interpreter's lock on FFmpeg's threads to hand it over, and holds it while it waits for them."""
    users = {name: log_users(path.read_text()) for name, path in modules(ROOT, "vsr").items()}
    found = {name: used for name, used in users.items() if used}
    # In processes of their own, where FFmpeg itself writes it to standard error.
    processes = ("vsr.media.ffmpeg_log", "vsr.media.live.connection_process")
    assert found == {name: {"set_libav_level", "restore_default_callback"} for name in processes}
    assert log_users("import av.logging\nwith av.logging.Capture(): pass\n") == {"Capture"}
    assert log_users("from av.logging import set_level\n") == {"set_level"}


def test_every_room_has_a_layer() -> None:
    rooms = {
        path.stem
        for path in (ROOT / "vsr").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }
    layers = layers_of_contracts((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert {name for layer in layers for name in layer} == rooms - {"__init__", "__main__"}


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Calls by their names, with what stands before a dot: `Image.open`, `print`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def test_one_module_prints() -> None:
    """Lines with names and titles from elsewhere are escaped there."""
    printing = {
        module
        for module, path in modules(ROOT, "vsr").items()
        for name, _ in calls(ast.parse(path.read_text()))
        if name in ("print", "click.echo", "click.secho", "traceback.print_exception")
        or name.startswith(("sys.stdout.write", "sys.stderr.write"))
    }
    assert printing == {"vsr.cli.terminal"}


def test_pictures_are_opened_by_a_list_of_formats() -> None:
    """Else Pillow tries every plugin it has, and one of them starts Ghostscript."""
    opening = {
        module
        for module, path in modules(ROOT, "vsr").items()
        for name, _ in calls(ast.parse(path.read_text()))
        if name.endswith("Image.open")
    }
    assert opening == {"vsr.media.pictures.pillow"}
