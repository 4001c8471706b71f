"""Every command where only the core packages are installed: it works, or one line says which package it lacks."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from PIL import Image

from tests.support import clips
from vsr.cli.app import vsr
from vsr.core.extras import install, missing, packages

# As a core install has it: what only extras bring is not found. Each command's exit code and what it said, as JSON.
_CHILD = """
import contextlib, io, json, sys
from importlib.machinery import PathFinder

OF_EXTRAS = {"onnx", "onnxruntime", "torch", "torchvision", "safetensors", "onnxscript", "spandrel", "matplotlib", "tensorrt",
    "tensorrt_rtx", "pycuda", "cuda", "ray", "aiohttp", "ffmpeg", "triton", "scipy"}

class CoreOnly(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in OF_EXTRAS else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = CoreOnly
from vsr.cli.app import run

results = []
for arguments in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = run(arguments)
    results.append([code, said.getvalue()])
print(json.dumps(results))
"""

WORKS = (
    "upscale clip.mp4 larger.mp4 --model fast-x2 --preset ultrafast",
    "upscale picture.png larger.png --model bicubic",
    "jobs list",
    "stream clip.mp4 null: --realtime --model bicubic --duration 0.2",
    "demo --help",
    "probe clip.mp4",
    "try clip.mp4 --output try.html",
    "doctor",
    "model list",
    "model show fast-x2",
    "engine list",
    "evaluate --model bicubic-x2 --data clips",
    "compare clip.mp4 other.mp4 --output page",
    "bench --model bicubic-x2 --size 64x48 --budget 0.01 --report result.json",
    "bench compare result.json result.json",
    "train --help",
)
NEEDS = (
    "stream clip.mp4 null: --realtime --model bicubic --preview :0",
    "model import network.onnx mine",
    "model import network.pth mine",
    "model import network.safetensors mine",
    "model export weights.safetensors mine",
    "engine build fast-x2 --for 8.9",
    "upscale clip.mp4 x.mp4 --backend torch",
    "upscale clip.mp4 x.mp4 --backend onnxruntime",
    "upscale clip.mp4 x.mp4 --backend tensorrt",
    "bench --model bicubic-x2 --plot plot.png",
    "train fast-x2 --data . --out run",
)
NO_FILE = "model import nowhere.pth mine"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, str]]:
    """The exit code of each command, and its standard error."""
    folder = tmp_path_factory.mktemp("core")
    clip = clips.h264("short.mp4", source="testsrc2=size=64x48:rate=25:duration=0.2")
    shutil.copy(clip, folder / "clip.mp4")
    shutil.copy(clip, folder / "other.mp4")
    (folder / "clips").mkdir()
    shutil.copy(clip, folder / "clips")
    Image.new("RGB", (32, 32), "red").save(folder / "picture.png")
    for name in ("network.onnx", "network.pth", "network.safetensors", "weights.safetensors"):
        (folder / name).write_bytes(b"any bytes")
    commands = [*WORKS, *NEEDS, NO_FILE]
    lines = json.dumps([command.split() for command in commands])
    ran = subprocess.run(
        [sys.executable, "-c", _CHILD, lines], cwd=folder, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    results = json.loads(ran.stdout.splitlines()[-1])
    return dict(zip(commands, (tuple(one) for one in results), strict=True))


@pytest.mark.parametrize("command", WORKS)
def test_what_needs_no_more_works(command: str, said: dict[str, tuple[int, str]]) -> None:
    assert said[command][0] == 0, said[command]


@pytest.mark.parametrize("command", NEEDS)
def test_what_needs_more_says_what_to_install(command: str, said: dict[str, tuple[int, str]]) -> None:
    code, message = said[command]
    error, hint = message.strip().splitlines()[-2:]
    assert code == 3, message
    assert error.startswith("error: ")
    assert hint.startswith("hint: pip install ")
    assert "bug in vsr" not in message
    assert "Traceback" not in message


def test_a_checkpoint_asks_for_all_it_needs_at_once(said: dict[str, tuple[int, str]]) -> None:
    for command in ("model import network.pth mine", "model import network.safetensors mine"):
        hint = said[command][1].splitlines()[-1]
        assert hint == f"hint: {install('torch')}"


def test_a_model_that_does_not_exist_asks_for_no_package(said: dict[str, tuple[int, str]]) -> None:
    assert said[NO_FILE] == (5, "error: cannot read nowhere.pth: no such file\n")


def test_no_command_is_left_out() -> None:
    tried = {command.split()[0] for command in (*WORKS, *NEEDS)}
    assert tried == set(vsr.list_commands(None))


def test_what_is_installed_is_named_by_packages() -> None:
    assert "aiohttp" in packages("live")
    assert packages("no such extra") == []
    wanted = [name for name in packages("cluster") if name in missing("cluster")]
    assert (
        install("cluster") == f"pip install {' '.join(wanted)}"
        if wanted
        else "pip install 'vsr-video[cluster]'"
    )
