"""Figures of a model on pictures and videos, through the api and the command line."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.media import clips
from vsr.cli import main
from vsr.core.errors import SourceOpenError
from vsr.evaluation import metrics
from vsr.evaluation.evaluate import EvaluateConfig, evaluate
from vsr.evaluation.resize import resize_bicubic


def save(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)


def smooth(seed: int) -> np.ndarray:
    """A colourful picture without sharp edges."""
    noise = np.random.default_rng(seed).integers(0, 256, (16, 20, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(noise).resize((81, 65), Image.Resampling.BICUBIC))


def test_bicubic_on_pictures_is_bicubic(tmp_path: Path) -> None:
    rgb = smooth(1)
    save(tmp_path / "A" / "one.png", rgb)
    save(tmp_path / "B" / "two.png", smooth(2))
    found = evaluate(EvaluateConfig((tmp_path,), "bicubic-x2"))
    assert list(found.sets) == ["A", "B"]
    assert (found.scale, found.border) == (2, 2)
    figures = found.sets["A"]["one"]
    luma = metrics.y_from_rgb(rgb)[:64, :80]
    larger = resize_bicubic(resize_bicubic(luma, 0.5), 2)
    assert figures["psnr_y"] == pytest.approx(metrics.psnr(larger, luma, border=2), abs=0.05)
    # The mean of a set of one is that one.
    assert found.means["A"] == figures
    assert figures["psnr_rgb"] == pytest.approx(10 * math.log10(255**2 / figures["mse_rgb"]))
    assert figures["mae_rgb"] ** 2 <= figures["mse_rgb"]


def test_flicker_is_what_changes_otherwise_than_in_the_original(tmp_path: Path) -> None:
    moving, still = (
        "testsrc2=size=64x48:rate=25:duration=0.4",
        "testsrc2=size=64x48:rate=25:duration=0.04,loop=9:1",
    )
    figures = {}
    for name, source in (("moving", moving), ("still", still)):
        clip = clips.make(f"{name}.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", source=source)
        folder = tmp_path / name
        folder.mkdir()
        (folder / clip.name).write_bytes(clip.read_bytes())
        figures[name] = evaluate(EvaluateConfig((folder,), "bicubic-x2", frames=6)).sets[name][name]
    assert figures["still"]["flicker"] == 0
    assert figures["moving"]["flicker"] > 0
    assert figures["moving"]["psnr_y"] > 15


def test_folders_without_anything(tmp_path: Path) -> None:
    with pytest.raises(SourceOpenError, match="neither pictures nor videos"):
        evaluate(EvaluateConfig((tmp_path,), "bicubic"))
    with pytest.raises(SourceOpenError, match="not a folder"):
        evaluate(EvaluateConfig((tmp_path / "none",), "bicubic"))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(tmp_path / "Set1" / "one.png", smooth(3))
    report = tmp_path / "report.json"
    assert (
        main(["evaluate", "--model", "bicubic", "--data", str(tmp_path / "Set1"), "--report", str(report)])
        == 0
    )
    out = capsys.readouterr().out
    assert "left out at each border" in out
    assert [line.split()[0] for line in out.splitlines()[-3:]] == ["Set1", "one", "mean"]
    found = json.loads(report.read_text())
    assert f"{found['means']['Set1']['psnr_y']:.2f}" in out
