"""The project as somebody meets it who clones it: imports, scripts and the built wheel."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

import vsr
from tests.support.processes import PATIENCE_S
from vsr.media.samples import CLIP

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "av", "openvino", "onnx", "onnxruntime", "numpy", "PIL", "rich")


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


def test_the_changelog_knows_the_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    headings = [line for line in changelog.splitlines() if line.startswith("## ")]
    assert headings[0] == "## [Unreleased]"
    assert headings[1].startswith(f"## [{vsr.__version__}] - ")


@pytest.mark.parametrize(
    "script", ["scripts/debian13", "scripts/demo", "scripts/test", "scripts/venv.sh", ".ci/run"]
)
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
