"""A network with memory in a job: in one pass, in segments, and the reasons why it begins again."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vsr
from tests.support import clips
from tests.support.enlarged import pictures
from tests.support.memory_network import write_memory_network
from vsr.jobs import in_segments

QUICK: dict[str, Any] = {"encoder": "ffv1"}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_memory_network(tmp_path_factory.mktemp("packages") / "memory-x2").folder)


def clip(folder: Path, *, interlaced: bool = False) -> Path:
    """40 frames, with keyframes every 10."""
    source = f"testsrc2=size=64x48:rate={50 if interlaced else 25}:duration=1.6"
    encoding = ["-c:v", "libx264", "-bf", "2", "-g", "10", "-pix_fmt", "yuv420p"]
    encoding += ["-vf", "interlace", "-flags", "+ilme+ildct"] if interlaced else []
    made = clips.make(f"remembers-{interlaced}.mp4", *encoding, source=source)
    return Path(shutil.copy2(made, folder / "in.mp4"))


def same(one: Path, other: Path) -> bool:
    found, wanted = pictures(one), pictures(other)
    return len(found) == len(wanted) and all(np.array_equal(a, b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("fields", [False, True])
def test_segments_are_as_in_one_pass(
    fields: bool, package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each begins with frames from before it, which its file does not hold; also where a frame becomes two."""
    options: dict[str, Any] = {**QUICK, "model": package, "deinterlace": "field"}
    video = clip(tmp_path, interlaced=fields)
    names = [tmp_path / f"{name}.mkv" for name in ("whole", "parts", "cold")]
    whole = vsr.upscale_file(str(video), str(names[0]), segment=0, **options)
    parts = vsr.upscale_file(str(video), str(names[1]), segment=0.4, **options)
    assert parts.frames_out == whole.frames_out == (80 if fields else 40)
    assert parts.frames_in == whole.frames_in == whole.frames_out
    assert same(names[0], names[1])
    assert dict(whole.resets) == dict(parts.resets) == {"start": 1}
    monkeypatch.setattr(in_segments, "LEAD", 0)
    cold = vsr.upscale_file(str(video), str(names[2]), segment=0.4, **options)
    assert sum(cold.resets.values()) == 4
    assert not same(names[0], names[2]), "the memory shows in these frames"
