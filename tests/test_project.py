"""The project as somebody meets it who clones it: imports, scripts, README and the built wheel."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

import vsr
from tests.support.processes import PATIENCE_S
from vsr.media.samples import CLIP

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "av", "openvino", "onnx", "onnxruntime", "numpy", "PIL", "rich")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
README = (ROOT / "README.md").read_text()


def run_python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
        timeout=PATIENCE_S,
    )
    return done.stdout


def blocks(language: str) -> list[str]:
    """The README's fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def readme_commands() -> list[str]:
    lines = [line for block in blocks("console") for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines)
    return [line.removeprefix("$ ") for line in lines]


def loaded_by(program: str) -> set[str]:
    """The modules that are there after a program."""
    said = run_python(f"import sys\n{program}\nprint('\\n', *sys.modules, sep=' ')")
    return set(said.splitlines()[-1].split())


@pytest.mark.parametrize(
    "program",
    [
        "import vsr",
        "from vsr.cli import main; main(['--help'])",
        "from vsr.cli import main; main(['upscale', '--help'])",
        "from vsr.cli import main; main(['upscale', 'a', 'b', '--device', 'no such'])",
        "import vsr.core.errors, vsr.pipeline",
    ],
)
def test_importing_is_light(program: str) -> None:
    assert not set(HEAVY) & loaded_by(program)


def test_upscaling_a_video_in_one_pass_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """The first frame would come later."""
    words = ["upscale", str(CLIP), str(tmp_path / "out.mkv"), "--model", "bicubic-x2", "--quiet"]
    loaded = loaded_by(f"from vsr.cli import main; assert main({words}) == 0")
    assert "vsr.media.write.mux" in loaded
    assert not loaded & {
        "PIL",
        "rich",
        "email",
        "importlib.metadata",
        "openvino.tools",
        "torch",
        "onnx",
        "vsr.jobs.resumable",
        "multiprocessing",
    }


def test_what_vsr_offers() -> None:
    from vsr import api

    assert len(set(api.__all__)) == len(api.__all__)
    for name in api.__all__:
        assert getattr(vsr, name) is getattr(api, name)
        assert getattr(vsr, name).__doc__, f"vsr.{name} has no docstring"
    assert set(api.__all__) <= set(dir(vsr))
    assert {"upscale_file", "Upscaler"} <= set(api.__all__)


def test_what_vsr_does_not_offer() -> None:
    with pytest.raises(AttributeError, match="'vsr' has no attribute 'nosuch'"):
        vsr.nosuch  # noqa: B018
    with pytest.raises(AttributeError, match="_private"):
        vsr._private  # noqa: B018


def test_every_error_is_in_the_tree() -> None:
    from vsr.core import errors

    for name, value in vars(errors).items():
        if isinstance(value, type) and issubclass(value, Exception):
            assert issubclass(value, errors.VsrError), name
            assert 1 <= value.exit_code < 126


def test_extras_in_the_readme_are_those_there_are() -> None:
    section = README[README.index("## Extras") :]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(PROJECT["optional-dependencies"])


def test_the_readmes_tables_are_those_of_the_packages_and_measurements() -> None:
    done = subprocess.run([sys.executable, "benchmarks/tables.py", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "run: python benchmarks/tables.py"


def test_the_changelog_knows_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in changelog or f"## [{vsr.__version__}]" in changelog


@pytest.mark.parametrize("script", ["scripts/demo", "scripts/test", "scripts/venv.sh", ".ci/run"])
def test_scripts_are_whole(script: str) -> None:
    path = ROOT / script
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert path.suffix == ".sh" or path.stat().st_mode & 0o111


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=PATIENCE_S)
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_and_its_data(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    files = {path for path in (ROOT / "vsr").rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    missing = {path.relative_to(ROOT).as_posix() for path in files} - held
    assert not missing
    assert wheel.stat().st_size < 20_000_000
    assert any(name.endswith("licenses/LICENSE") for name in held)
    assert not any(name.startswith("tests/") for name in held)


CLIENT = """\
from pathlib import Path

import vsr


def enlarged(path: Path) -> int:
    report = vsr.upscale_file(str(path), scale=2)
    vsr.upscale_file(path)  # type: ignore[arg-type]
    report.frames_out = 1  # type: ignore[misc]
    vsr.nosuch()  # type: ignore[attr-defined]
    return report.frames_out
"""


def test_what_is_installed_has_types(wheel: Path, tmp_path: Path) -> None:
    """mypy follows the types of an installed package only where it has a `py.typed`, and says where an ignore is needless."""
    pytest.importorskip("mypy")
    venv.create(tmp_path / "venv")
    (packages,) = (tmp_path / "venv").glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (tmp_path / "client.py").write_text(CLIENT)
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = true\n")

    def mypy() -> str:
        python = tmp_path / "venv" / "bin" / "python"
        command = [sys.executable, "-m", "mypy", "--python-executable", str(python), "client.py"]
        clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
        done = subprocess.run(
            command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False, timeout=110
        )
        return done.stdout + done.stderr

    assert mypy() == "Success: no issues found in 1 source file\n"
    (packages / "vsr" / "py.typed").unlink()
    assert "missing library stubs or py.typed marker" in mypy()


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the inputs that the README speaks of."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    folder = tmp_path_factory.mktemp("readme")
    (folder / "frames").mkdir()
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25"]
    subprocess.run([*make, "-frames:v", "6", "-pix_fmt", "yuv420p", "in.mp4"], cwd=folder, check=True)
    subprocess.run([*make, "-frames:v", "1", "photo.png"], cwd=folder, check=True)
    subprocess.run([*make, "-frames:v", "3", "frames/%06d.png"], cwd=folder, check=True)
    for name in ("photos", "Set5"):
        (folder / name).mkdir()
        picture = ["-vf", "scale=240:200", "-frames:v", "2", f"{name}/%d.png"]
        subprocess.run([*make, *picture], cwd=folder, check=True)
    shutil.copy(ROOT / "vsr" / "training" / "recipes" / "fast-x2.toml", folder / "my-recipe.toml")
    return folder


RUN = ("vsr upscale", "vsr compare", "vsr evaluate", "vsr engine", "vsr stream")
# What needs another machine, or a camera, is not run here.
ELSEWHERE = ("://", "/dev/", "screen:")
SILENT = ("vsr evaluate", "vsr engine list")
OWN_MODEL = "mine-x2"


@pytest.mark.parametrize(
    "line",
    [
        line
        for line in readme_commands()
        if line.startswith(RUN) and OWN_MODEL not in line and not any(what in line for what in ELSEWHERE)
    ],
)
def test_the_readmes_commands(line: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vsr.cli import main

    monkeypatch.chdir(here)
    monkeypatch.setenv("VSR_ENGINES", str(here / "engines"))
    before = set(here.rglob("*"))
    assert main(shlex.split(line)[1:]) == 0
    assert set(here.rglob("*")) - before or line.startswith(SILENT)
    assert not list(here.rglob("*.part"))


@pytest.mark.slow
def test_the_readmes_trainings(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vsr.cli import main

    monkeypatch.chdir(here)
    monkeypatch.setenv("VSR_MODELS", str(here / "models"))
    block = next(block for block in blocks("console") if "vsr train" in block)
    for line in block.splitlines():
        words = shlex.split(line.removeprefix("$ "))[1:]
        assert main(words + (["--steps", "2", "--quiet"] if words[0] == "train" else [])) == 0
    assert (here / "mine.mp4").is_file()


def test_the_readmes_python(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(here)
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})


def test_the_readmes_scripts_and_options_exist() -> None:
    for line in readme_commands():
        if line.startswith("scripts/"):
            assert (ROOT / line).is_file()
    from vsr.cli.stream import command as stream
    from vsr.cli.upscale import command as upscale

    for command, begin, end in (
        (upscale, "## Upscaling", "Other commands"),
        (stream, "## Live", "## What is kept"),
    ):
        known = {name for parameter in command.params for name in parameter.opts}
        section = README[README.index(begin) : README.index(end)]
        assert set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", section)) - {"--help"} <= known
