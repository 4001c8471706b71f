"""What vsr asks of a system, on pretended ones: none of Windows and macOS is at hand."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import clips
from tests.support.processes import PATIENCE_S

ROOT = Path(__file__).parents[1]
QUICK = ["--model", "bicubic", "--preset", "ultrafast"]
Said = list[tuple[int, str, str]]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return Path(shutil.copy2(clips.h264("cfr_sound.mp4", audio=True), tmp_path / "in.mp4"))


def on(system: str, folder: Path, *commands: list[str]) -> Said:
    """The exit code, the standard error and the standard output of each command of vsr."""
    places = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME", "VSR_MODELS", "VSR_CONFIG")
    environment = {name: value for name, value in os.environ.items() if name not in places}
    environment |= {
        "HOME": str(folder / "home"),
        "LOCALAPPDATA": str(folder / "local"),
        "PYTHONPATH": str(ROOT),
    }
    program = ["-m", "tests.support.pretended_system", system, json.dumps(commands)]
    done = subprocess.run(
        [sys.executable, *program], cwd=folder, env=environment, capture_output=True, text=True,
        timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [(code, err, out) for code, err, out in json.loads(done.stdout.splitlines()[-1])]


@pytest.mark.parametrize(
    ("system", "place"), [("win32", "local/vsr"), ("darwin", "home/Library/Application Support/vsr")]
)
def test_what_linux_has_alone_is_not_needed(system: str, place: str, clip: Path, tmp_path: Path) -> None:
    config = tmp_path / place / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[upscale]\nscale = 3\n")
    with (tmp_path / "other.mkv.part").open("wb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        shown, whole, parts, refused, recorded, listed = on(
            system,
            tmp_path,
            ["--help"],
            ["upscale", "in.mp4", "out.mp4", *QUICK],
            ["upscale", "in.mp4", "parts.mkv", "--segment", "0.4", *QUICK],
            ["upscale", "in.mp4", "other.mkv", "--segment", "0", *QUICK],
            [
                "stream",
                "in.mp4",
                "recorded.mkv",
                "--realtime",
                "--max-latency",
                "30000",
                "--model",
                "bicubic",
            ],
            ["jobs", "list"],
        )
    assert shown[0] == 0
    assert "Commands:" in shown[2]
    for code, err, _ in (whole, parts, recorded, listed):
        assert code == 0, err
    assert refused[0] == 2
    assert "another vsr is writing other.mkv.part" in refused[1]
    assert "64x48 to 192x144" in whole[2] or "160x120 to 480x360" in whole[2], "the user's options were found"
    for name in ("out.mp4", "parts.mkv", "recorded.mkv"):
        assert len(clips.frame_times(tmp_path / name)) == 25
    left = {"in.mp4", "out.mp4", "parts.mkv", "recorded.mkv", "other.mkv.part", "home", "local"}
    assert {path.name for path in tmp_path.iterdir()} <= left
