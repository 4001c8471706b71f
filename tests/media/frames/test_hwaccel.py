"""Decoding on a device gives the frames the processor gives, or the processor gives them and it is said why."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from vsr.backends.choose import has_nvidia_gpu
from vsr.cli import main
from vsr.core.errors import ConfigError
from vsr.media.read.open import open_source
from vsr.media.samples import CLIP
from vsr.media.types import SourceOptions


def test_the_frames_are_the_same() -> None:
    options = SourceOptions(hwaccel="cuda")
    with open_source(str(CLIP), options) as there, open_source(str(CLIP), SourceOptions()) as here:
        for found, expected in islice(zip(there, here, strict=True), 20):
            assert (found.pts, found.format, found.color) == (expected.pts, expected.format, expected.color)
            for one, other in zip(found.planes, expected.planes, strict=True):
                np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
        said = [note for note in there.notes if note.startswith("cuda")]
    assert bool(said) != has_nvidia_gpu()
    assert all(note.startswith("cuda not used for decoding: ") for note in said)


def test_what_no_device_is_called_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match="'cuba'"):
        open_source(str(CLIP), SourceOptions(hwaccel="cuba"))
    assert main(["upscale", str(CLIP), str(tmp_path / "out.mp4"), "--hwaccel", "cuba"]) == 2
    assert "--hwaccel takes: cuda" in capsys.readouterr().err
