"""What runs networks writes nothing about its user."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support import clips


def test_onnxruntime_keeps_no_telemetry(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    left_out = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    clip = clips.h264("short.mp4", source="testsrc2=size=64x48:rate=25:duration=0.2")
    command = [sys.executable, "-m", "vsr", "upscale", str(clip), "null:", "--model", "bicubic", "-q"]
    subprocess.run([*command, "--backend", "onnxruntime"], env={**environment, "HOME": str(home)}, check=True)
    found = [path for path in home.rglob("*") if path.is_file() and ".cache/vsr" not in path.as_posix()]
    assert found == []
