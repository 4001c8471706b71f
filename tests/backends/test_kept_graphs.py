"""Compiled graphs in the user's cache: the same codes come from them, and nothing that is wrong with them is met."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.processes import PATIENCE_S
from vsr.backends import kept_graphs, openvino, openvino_runtime
from vsr.backends.base import CompileOptions
from vsr.backends.kept_graphs import KeptGraphs
from vsr.core.color import Color
from vsr.core.frame import PixelFormat
from vsr.models import GraphLayout, ModelSpec, find_model
from vsr.models.spec import load_spec
from vsr.upscale.graph_inputs import small_inputs

GRAY = PixelFormat("gray", 8)
PLANE = np.random.default_rng(0).integers(0, 256, (1, 1, 20, 32), np.uint8)
INPUTS = {**small_inputs(GRAY, Color()), "y": PLANE}


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder they go to, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(openvino, "_KEPT", KeptGraphs())
    return tmp_path / "cache" / "vsr" / "compiled"


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The graphs that are read to be compiled from now on."""
    read = list[Path]()
    core = openvino_runtime.core()

    class Core:
        def __getattr__(self, name: str) -> Any:
            return getattr(core, name)

        def read_model(self, path: Path) -> Any:
            read.append(path)
            return core.read_model(path)

    monkeypatch.setattr(openvino_runtime, "core", Core)
    return read


def made(spec: ModelSpec, options: CompileOptions | None = None) -> np.ndarray[Any, Any]:
    layout = GraphLayout.of(GRAY, Color())
    with openvino.BACKEND.compile(spec, layout, {"y": PLANE.shape}, options or CompileOptions()) as engine:
        return engine.run(INPUTS)["y_out"]


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_kept_graph_makes_the_same_codes(kept: Path, compiled: list[Path], precision: Any) -> None:
    spec, options = find_model("fast-x2"), CompileOptions(precision=precision)
    first, again = made(spec, options), made(spec, options)
    assert len(compiled) == 1
    assert len(list(kept.iterdir())) == 1
    np.testing.assert_array_equal(first, again)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def flip(path: Path) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)


def empty(path: Path) -> None:
    path.write_bytes(b"")


def other(path: Path) -> None:
    """Whole, and no graph of OpenVINO's."""
    path.unlink()
    KeptGraphs().keep(path.stem, b"no graph")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("damage", [cut, flip, empty, other, folder])
def test_a_damaged_one_is_compiled_again(
    kept: Path, compiled: list[Path], damage: Callable[[Path], None]
) -> None:
    spec = find_model("bicubic-x2")
    first = made(spec)
    (path,) = kept.iterdir()
    damage(path)
    np.testing.assert_array_equal(made(spec), first)
    assert len(compiled) == 2
    if damage is not folder:
        made(spec)
        assert len(compiled) == 2


def test_where_nothing_can_be_kept_all_runs(kept: Path, compiled: list[Path]) -> None:
    kept.parent.parent.mkdir()
    kept.parent.write_bytes(b"a file")
    made(find_model("bicubic-x2"))
    made(find_model("bicubic-x2"))
    assert len(compiled) == 2


def test_what_a_graph_was_made_of_and_for_is_in_its_key(
    kept: Path, compiled: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another package under the same path, version, processor, number of frames at once."""
    shutil.copytree(find_model("fast-x2").folder, own := tmp_path / "own")
    spec = load_spec(own)
    first = made(spec, CompileOptions(precision="fp32"))
    for file in ("gray8.onnx", "weights.safetensors", "model.toml"):
        shutil.copy(find_model("balanced-x2").folder / file, own)
    assert not np.array_equal(made(load_spec(own), CompileOptions(precision="fp32")), first)
    monkeypatch.setattr(openvino_runtime, "flags", lambda: frozenset({"avx2"}))
    made(load_spec(own), CompileOptions(precision="fp32"))
    monkeypatch.setattr(openvino, "__version__", "another")
    made(load_spec(own), CompileOptions(precision="fp32"))
    made(load_spec(own), CompileOptions(precision="fp32", in_flight=3))
    assert len(compiled) == len(list(kept.iterdir())) == 5


def test_their_folder_stays_small(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_graphs, "MOST_BYTES", 3500)
    graphs = KeptGraphs()
    for number, name in enumerate("abc"):
        graphs.keep(name, name.encode() * 1000)
        os.utime(kept / f"{name}.graph", (number, number))
    assert graphs.find("a") == b"a" * 1000  # It was used just now.
    graphs.keep("d", b"d" * 1000)
    assert [bool(graphs.find(name)) for name in "abcd"] == [True, False, True, True]
    for number in range(20):
        graphs.keep(f"more{number}", b"")
    assert graphs.full
    assert len(list(kept.iterdir())) < 15  # A folder of pictures of many sizes fills no disk.


def test_two_processes_at_once(kept: Path) -> None:
    program = (
        "from vsr.backends.kept_graphs import KeptGraphs\n"
        "for turn in range(8): KeptGraphs().keep('one', b'x' * 300_000); assert KeptGraphs().find('one')"
    )
    both = [subprocess.Popen([sys.executable, "-c", program]) for _ in range(2)]
    assert [process.wait(PATIENCE_S) for process in both] == [0, 0]
    assert [path.name for path in kept.iterdir()] == ["one.graph"]
