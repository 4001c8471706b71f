"""README.md and docs/: their commands, programs, tables and links."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from tests.support.processes import PATIENCE_S
from vsr import api
from vsr.cli.app import vsr as vsr_command

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
PAGES = {path.name: path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}


def blocks(language: str, page: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], re.MULTILINE | re.DOTALL)


def commands(page: str) -> list[str]:
    """What a reader would type; a line that ends in a backslash goes on in the next."""
    lines = [line for block in blocks("console", page) for line in block.replace("\\\n", " ").splitlines()]
    assert all(line.startswith("$ ") for line in lines), page
    return [line.removeprefix("$ ") for line in lines]


def programs(line: str) -> list[list[str]]:
    """The words of each program of a pipe or a chain."""
    return [shlex.split(part) for part in re.split(r" \| | && ", line)]


ALL_COMMANDS = [(page, line) for page in PAGES for line in commands(page)]
RUN = ("upscale", "compare", "evaluate", "engine", "stream", "probe", "model")
# What needs another machine, a camera, a GPU or a model of one's own is parsed, and not run.
ELSEWHERE = (
    "://",
    "/dev/",
    "screen:",
    "cuda",
    "model import",
    "model export",
    "mine",
    "--cluster",
    "streams.toml",
)
SILENT = ("vsr evaluate", "vsr engine list", "vsr probe", "vsr model")


def to_run(page: str) -> list[str]:
    """The commands that can run here. Streams take their time, and run once."""
    lines = [line for line in commands(page) if line.startswith(tuple(f"vsr {name}" for name in RUN))]
    known = (
        []
        if page == "README.md"
        else [line for line in commands("README.md") if line.startswith("vsr stream")]
    )
    return [
        line for line in lines if line not in known and not any(what in line for what in (*ELSEWHERE, " | "))
    ]


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the inputs that the pages speak of."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VSR_ENGINES", str(tmp_path / "engines"))
    monkeypatch.setenv("VSR_MODELS", str(tmp_path / "models"))
    for name in ("frames", "photos", "Set5", "films"):
        (tmp_path / name).mkdir()
    larger = ["-vf", "scale=240:200", "-frames:v", "2"]
    outputs = ["-frames:v", "3", "-pix_fmt", "yuv420p", "in.mp4"]
    outputs += ["-frames:v", "2", "-c:v", "mpeg2video", "old.mpg", "-frames:v", "1", "photo.png"]
    outputs += ["-frames:v", "2", "frames/%06d.png", *larger, "photos/%d.png", *larger, "Set5/%d.png"]
    make = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=96x72:rate=25"]
    subprocess.run([*make, *outputs], cwd=tmp_path, check=True)
    shutil.copy(tmp_path / "in.mp4", tmp_path / "films")
    shutil.copy(ROOT / "vsr" / "training" / "recipes" / "fast-x2.toml", tmp_path / "my-recipe.toml")
    return tmp_path


@pytest.mark.parametrize("page", [page for page in PAGES if to_run(page)])
def test_commands_run(page: str, inputs: Path) -> None:
    """In the order of the page, as who reads it would."""
    from vsr.cli import main

    for line in to_run(page):
        before = set(inputs.rglob("*"))
        assert main(shlex.split(line)[1:]) == 0, line
        writes_nothing = line.startswith(SILENT) or "--dry-run" in line
        assert bool(set(inputs.rglob("*")) - before) != writes_nothing, line
    assert not list(inputs.rglob("*.part"))


@pytest.mark.parametrize(("page", "line"), ALL_COMMANDS)
def test_commands_are_taken(page: str, line: str) -> None:
    """Every program of a line is there, with its options. Those of others are looked at by name only."""
    for words in programs(line):
        if words[0] == "vsr":
            parse(vsr_command, words[1:])
        elif words[:2] == ["pip", "install"]:
            for wanted in words[2:]:
                name, _, extras = wanted.rstrip("]").partition("[")
                assert name in (".", "vsr-video")
                assert set(filter(None, extras.split(","))) <= set(EXTRAS)
        elif "/" in words[0]:
            assert (ROOT / words[0]).is_file() or words[0].startswith(".venv/")
        else:
            assert words[0] in "docker ffmpeg ffplay export mkdocs python3 ray . ".split(), words[0]


def parse(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    """As click does before it calls a command."""
    context = command.make_context(command.name, list(words), parent=parent)
    if isinstance(command, click.Group) and (rest := [*context._protected_args, *context.args]):
        _, child, left = command.resolve_command(context, rest)
        assert child is not None
        parse(child, left, context)


def test_the_file_of_streams_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PAGE_TOKEN", "DOOR_PASSWORD"):
        monkeypatch.setenv(name, "word")
    Path("yard").write_text("word")
    (block,) = blocks("toml", "streams.md")
    Path("streams.toml").write_text(block.replace("/run/secrets/yard", "yard"))
    door, yard = api.read_streams(Path("streams.toml")).streams
    assert (door.weight, yard.config.keep_s, yard.config.max_latency_s) == (3, 604_800, 0.5)


def test_a_wrong_option_is_not_taken() -> None:
    with pytest.raises(click.UsageError, match="--nosuch"):
        parse(vsr_command, ["bench", "compare", "a", "b", "--nosuch"])


# Of ray, docker, torchrun and scripts.
OTHERS = {"--address", "--head", "--target", "--nproc-per-node"}


@pytest.mark.parametrize("page", PAGES)
def test_options_in_the_text_exist(page: str) -> None:
    known = {
        name for command in every(vsr_command) for parameter in command.params for name in parameter.opts
    }
    text = re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`(python|ray|docker|systemctl)[^`]*`", "", text)
    assert set(re.findall(r"(?<![\w-])(--[a-z][a-z-]*)", text)) - OTHERS <= known | {"--help", "--version"}


def every(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                yield from every(child)


@pytest.mark.slow
def test_trainings_run(inputs: Path) -> None:
    from vsr.cli import main

    for line in blocks("console", "train.md")[0].splitlines():
        words = shlex.split(line.removeprefix("$ "))[1:]
        assert main(words + (["--steps", "2", "--quiet"] if words[0] == "train" else [])) == 0
    assert (inputs / "mine.mp4").is_file()


@pytest.mark.parametrize("page", [page for page in PAGES if blocks("python", page)])
def test_programs_run(page: str, inputs: Path) -> None:
    for block in blocks("python", page):
        exec(compile(block, page, "exec"), {})


def test_names_of_the_python_page_exist() -> None:
    named = set(re.findall(r"`vsr\.(\w+)", PAGES["python.md"]))
    assert named <= {*api.__all__, "api"}


def test_extras_are_those_there_are() -> None:
    section = PAGES["index.md"][PAGES["index.md"].index("## Extras") :]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(EXTRAS)


def test_names_of_progress_are_those_there_are() -> None:
    (part,) = re.findall(r"is an object with the names (.*?)\.", PAGES["reference.md"], re.DOTALL)
    assert re.findall(r"`(\w+)`", part) == [field.name for field in fields(api.Progress)]


def test_exit_codes_and_variables_are_those_there_are() -> None:
    from vsr.cli.app import INTERNAL_ERROR, INTERRUPTED
    from vsr.core import errors

    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.VsrError)
    ]
    codes = {0, INTERNAL_ERROR, INTERRUPTED, *(kind.exit_code for kind in kinds)}
    page = PAGES["reference.md"]
    assert {int(code) for code in re.findall(r"^\| [\w ]*\| (\d+) \|", page, re.MULTILINE)} == codes
    source = "".join(path.read_text() for path in (ROOT / "vsr").rglob("*.py"))
    assert set(re.findall(r"`(VSR_\w+)`", page)) == set(
        re.findall(r"environ[^\n]*\"(VSR_(?!TEST)\w+)\"", source)
    )


def test_the_tables_are_those_of_the_packages_and_measurements() -> None:
    done = subprocess.run([sys.executable, "benchmarks/tables.py", "--check"], cwd=ROOT, check=False)
    assert done.returncode == 0, "run: python benchmarks/tables.py"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(page: str) -> None:
    """Those of docs/ are checked as its site is built."""
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", (ROOT / page).read_text()):
        assert (ROOT / path).is_file(), path
        if anchor:
            headings = re.findall(r"^#+ (.*)$", (ROOT / path).read_text(), re.MULTILINE)
            assert anchor in {
                re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings
            }


def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs")
    command: list[Any] = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        tmp_path / "site",
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    python = (tmp_path / "site" / "python" / "index.html").read_text()
    for name in api.__all__:
        assert f'id="vsr.api.{name}"' in python or name == "VsrError", name
    assert (tmp_path / "site" / "repository" / "benchmarks" / "before-after.png").is_file()
