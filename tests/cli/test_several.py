"""`vsr upscale` of folders: what is said first, what is skipped, and where outputs go."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support import clips
from vsr.cli import upscale
from vsr.cli.app import run
from vsr.cli.show import Run

QUICK = ["--model", "bicubic", "--preset", "ultrafast"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """films/a.mp4, films/old/b.mp4 and films/old/deeper/c.mp4, with some that are no inputs."""
    monkeypatch.chdir(tmp_path)
    clip = clips.h264("short.mp4", source="testsrc2=size=64x48:rate=25:duration=0.2")
    for name in ("a.mp4", "old/b.mp4", "old/deeper/c.mp4", ".hidden/d.mp4"):
        path = tmp_path / "films" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, path)
    (tmp_path / "films" / "empty").mkdir()
    return tmp_path


def tree(folder: str) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file())


MADE = ["a_x2.mp4", "old/b_x2.mp4", "old/deeper/c_x2.mp4"]


def test_folders_below_are_kept(here: Path) -> None:
    assert run(["upscale", "films", "larger/", "--recursive", *QUICK]) == 0
    assert tree("larger") == MADE


def test_without_it_folders_below_are_left_alone(here: Path) -> None:
    assert run(["upscale", "films", "larger/", *QUICK]) == 0
    assert tree("larger") == ["a_x2.mp4"]


def test_beside_the_inputs_and_once_only(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    again = ["upscale", "films", "--recursive", "--skip-existing", *QUICK]
    assert run(again) == 0
    made = tree("films")
    assert [name for name in made if "_x2" in name] == MADE
    capsys.readouterr()
    assert run(again) == 0
    assert capsys.readouterr().err.count("exists, so its input is skipped") == 3
    assert run([*again, "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert tree("films") == made


def test_an_output_folder_inside_is_no_input(here: Path) -> None:
    for _ in range(2):
        assert run(["upscale", "films", "films/larger/", "--recursive", "--overwrite", *QUICK]) == 0
    assert tree("films/larger") == MADE


def test_what_exists_counts_as_done_and_the_rest_is_made(here: Path) -> None:
    Path("larger").mkdir()
    Path("larger/a_x2.mp4").write_bytes(b"mine")
    assert run(["upscale", "films", "larger/", "--recursive", "--skip-existing", *QUICK]) == 0
    assert Path("larger/a_x2.mp4").read_bytes() == b"mine"
    assert tree("larger") == MADE


def test_it_excludes_overwriting(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["upscale", "films", "--skip-existing", "--overwrite"]) == 2
    assert "exclude each other" in capsys.readouterr().err


def test_numbered_pictures_that_are_there_count_as_done(here: Path) -> None:
    Path("frames").mkdir()
    Path("frames/000007.png").write_bytes(b"mine")
    assert run(["upscale", "films/a.mp4", "frames/%06d.png", "--skip-existing", *QUICK[:2]]) == 0
    assert tree("frames") == ["000007.png"]


def test_a_dry_run_says_all_and_makes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = tree(".")
    assert run(["upscale", "films", "larger/", "--recursive", "--dry-run", *QUICK]) == 0
    out = capsys.readouterr().out
    assert out.count("64x48 to 128x96, bicubic-x2 on ") == 3
    assert "would write larger/old/deeper/c_x2.mp4" in out
    assert (tree("."), Path("larger").exists()) == (before, False)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ("films/a.mp4 nosuch/out.mp4", 2),
        ("films/a.mp4 films/old/b.mp4", 2),  # it exists
        ("nosuch.mp4 out.mp4", 4),
        ("broken.mp4 out.mp4", 4),
        ("films/a.mp4 out.mp4 --encoder nosuch", 4),
        ("films/a.mp4 out.webm --encoder libx264", 2),
    ],
)
def test_a_dry_run_fails_as_the_run_would(here: Path, words: str, code: int) -> None:
    Path("broken.mp4").write_bytes(Path("films/a.mp4").read_bytes()[:100])
    dry = run(["upscale", *words.split(), "--dry-run"])
    assert dry == run(["upscale", *words.split(), *QUICK[:2]])
    assert dry == code
    assert not Path("out.mp4").exists()


def test_what_cannot_be_kept_is_said_before_the_first_frame_and_once(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("words.srt").write_text("1\n00:00:00,000 --> 00:00:00,100\nhello\n")
    clips.run("-i", "films/a.mp4", "-i", "words.srt", "-c:v", "copy", "-c:s", "ass", Path("words.mkv"))
    assert run(["upscale", "words.mkv", "out.mp4", *QUICK]) == 0
    said = capsys.readouterr()
    lines = said.err.splitlines()
    assert lines[0].startswith("words.mkv: 64x48 to 128x96, bicubic-x2 on ")
    assert "warning: subtitle stream" in lines[1]
    assert ".mkv does" in lines[1]
    assert "warning" not in said.out


def test_the_report_grows_with_each_input(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that fails at its last input has written of those before it."""
    (here / "films" / "z.mp4").write_bytes(b"no video")
    counts = []
    real = upscale.write_json

    def write(path: Path, run: Run) -> None:
        real(path, run)
        counts.append(len(json.loads(path.read_text())["reports"]))

    monkeypatch.setattr(upscale, "write_json", write)
    assert run(["upscale", "films", "larger/", "--recursive", "--report", "report.json", *QUICK]) != 0
    assert counts == [1, 2, 3, 3]
