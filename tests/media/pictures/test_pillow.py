from __future__ import annotations

from pathlib import Path
from subprocess import CalledProcessError

import pytest
from PIL import EpsImagePlugin, Image

from vsr.core.errors import DecodeError, SourceOpenError
from vsr.evaluation.datasets import read_rgb
from vsr.media.pictures.packets import FoundTags, tags_of_bytes, tags_of_file
from vsr.media.read.open import open_source


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tga", ".tif"])
def test_no_picture_starts_a_program(suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PostScript under another name: Pillow would give it to Ghostscript."""
    started = tmp_path / "started"
    ghostscript = tmp_path / "gs"
    ghostscript.write_text(f"#!/bin/sh\ntouch {started}\nexit 1\n")
    ghostscript.chmod(0o755)
    monkeypatch.setattr(EpsImagePlugin, "gs_binary", str(ghostscript))
    Image.new("RGB", (32, 32), (200, 10, 10)).save(tmp_path / "x.eps")
    named = (tmp_path / "x.eps").rename(tmp_path / f"x{suffix}")
    with pytest.raises(CalledProcessError), Image.open(named) as image:
        image.load()
    assert started.exists()
    started.unlink()
    with pytest.raises(DecodeError):
        read_rgb(named)
    with pytest.raises(SourceOpenError):
        open_source(str(named))
    assert tags_of_file(named) == tags_of_bytes(named.read_bytes()) == FoundTags()
    assert not started.exists()
