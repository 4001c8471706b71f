"""Figures of a model on pictures and videos, through the api and the command line."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support import clips
from tests.support.own_models import own_memory_network
from vsr.cli import main
from vsr.core.errors import ConfigError, DecodeError, SourceOpenError
from vsr.evaluation import metrics
from vsr.evaluation.evaluate import EvaluateConfig, evaluate
from vsr.evaluation.resize import resize_bicubic
from vsr.upscale.options import NetworkOptions


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
    found = evaluate(EvaluateConfig((tmp_path,), NetworkOptions("bicubic-x2")))
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
        figures[name] = evaluate(EvaluateConfig((folder,), NetworkOptions("bicubic-x2"), frames=10)).sets[
            name
        ][name]
    assert figures["still"]["flicker_psnr"] == 100
    assert figures["still"]["warping"] == pytest.approx(0, abs=1e-3)
    assert 15 < figures["moving"]["flicker_psnr"] < 100
    assert figures["moving"]["psnr_y"] > 15


def test_a_network_with_memory_is_measured_with_it_and_reset_at_each_frame(
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own_memory_network(monkeypatch, tmp_path_factory)
    clip = clips.make("pan.mkv", "-c:v", "ffv1", "-frames:v", "7", source="testsrc2=size=64x48:rate=25")
    (tmp_path / clip.name).write_bytes(clip.read_bytes())
    found = {
        name: evaluate(EvaluateConfig((tmp_path,), NetworkOptions(name))).sets[tmp_path.name]["pan"]
        for name in ("memory-x2", "bicubic-x2")
    }
    alone = found["bicubic-x2"]
    for figure in ("psnr_y", "flicker_psnr", "warping"):
        assert found["memory-x2"][f"{figure}_reset"] == pytest.approx(alone[figure])
        assert found["memory-x2"][figure] != pytest.approx(alone[figure])
    assert not any(name.endswith("_reset") for name in alone)
    assert main(["evaluate", "--model", "memory-x2", "--data", str(tmp_path)]) == 0
    assert "PSNR Y reset" in capsys.readouterr().out


def test_without_torch_the_warping_error_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsr.evaluation.clip_figures.find_spec", lambda name: None)
    clip = clips.make("tiny.mkv", "-c:v", "ffv1", "-frames:v", "2", source="testsrc2=size=64x48")
    (tmp_path / clip.name).write_bytes(clip.read_bytes())
    found = evaluate(EvaluateConfig((tmp_path,), NetworkOptions("bicubic")))
    assert any("warping error of videos is left out without torch" in note for note in found.notes)
    assert "warping" not in found.means[tmp_path.name]


def test_folders_without_anything(tmp_path: Path) -> None:
    with pytest.raises(SourceOpenError, match="neither pictures nor videos"):
        evaluate(EvaluateConfig((tmp_path,), NetworkOptions("bicubic")))
    with pytest.raises(SourceOpenError, match="not a folder"):
        evaluate(EvaluateConfig((tmp_path / "none",), NetworkOptions("bicubic")))


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


def test_an_identical_picture_is_100_db_and_valid_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "Set" / "flat.png", np.full((32, 32, 3), 90, np.uint8))
    save(tmp_path / "Set" / "noise.png", smooth(4))
    assert main(["evaluate", "--model", "bicubic", "--data", str(tmp_path / "Set"), "--json"]) == 0
    text = capsys.readouterr().out
    assert "Infinity" not in text
    found = json.loads(text)
    flat, noise = found["sets"]["Set"]["flat"], found["sets"]["Set"]["noise"]
    assert (flat["psnr_y"], flat["psnr_rgb"]) == (100, 100)
    assert found["means"]["Set"]["psnr_y"] == pytest.approx((100 + noise["psnr_y"]) / 2)


def test_sets_and_pictures_of_one_name_are_all_measured(tmp_path: Path) -> None:
    save(tmp_path / "A" / "HR" / "1.png", smooth(5))
    save(tmp_path / "A" / "HR" / "1.bmp", smooth(6))
    save(tmp_path / "B" / "HR" / "1.png", smooth(7))
    found = evaluate(
        EvaluateConfig((tmp_path / "A" / "HR", tmp_path / "B" / "HR"), NetworkOptions("bicubic"))
    )
    assert {name: list(rows) for name, rows in found.sets.items()} == {
        "A/HR": ["1.bmp", "1.png"],
        "B/HR": ["1"],
    }
    rows = found.sets["A/HR"].values()
    assert found.means["A/HR"]["mse_y"] == pytest.approx(np.mean([row["mse_y"] for row in rows]))


def test_gray_of_16_bits_is_measured_as_that_of_8(tmp_path: Path) -> None:
    gray = smooth(8)[..., 1]
    save(tmp_path / "8.png", gray)
    save(tmp_path / "16.png", gray.astype(np.uint16) * 257)
    rows = evaluate(EvaluateConfig((tmp_path,), NetworkOptions("bicubic"))).sets[tmp_path.name]
    assert rows["8"] == rows["16"]
    save(tmp_path / "float.tif", gray.astype(np.float32))
    with pytest.raises(DecodeError, match=r"float\.tif"):
        evaluate(EvaluateConfig((tmp_path,), NetworkOptions("bicubic")))


def test_auto_is_what_upscale_takes_for_each_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vsr.backends.choose.has_nvidia_gpu", lambda: False)
    save(tmp_path / "pictures" / "one.png", smooth(9)[:32, :32])
    (tmp_path / "clips").mkdir()
    clip = clips.make("tiny.mkv", "-c:v", "ffv1", "-frames:v", "2", source="testsrc2=size=64x48")
    (tmp_path / "clips" / clip.name).write_bytes(clip.read_bytes())
    report = tmp_path / "report.json"
    assert main(["evaluate", "--data", str(tmp_path), "--report", str(report)]) == 0
    shown = capsys.readouterr()
    found = json.loads(report.read_text())
    assert found["models"] == {"clips": "balanced-x2", "pictures": "quality-x2"}
    assert "pictures, quality-x2 " in shown.out
    assert "clips, balanced-x2 " in shown.out
    for note in ("model quality-x2, for pictures", "model balanced-x2, for video without a GPU"):
        assert f"note: {note}" in shown.err
        assert note in found["notes"]


@pytest.mark.parametrize(("model", "scale"), [("fast", 3.0), ("bicubic-x2", 1.5), ("auto", 3.0)])
def test_a_scale_the_model_does_not_come_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str, scale: float
) -> None:
    monkeypatch.setenv("VSR_MODELS", str(tmp_path))
    save(tmp_path / "one.png", smooth(10))
    with pytest.raises(ConfigError, match=rf"x{scale:g} cannot be reached by ") as found:
        evaluate(EvaluateConfig((tmp_path,), NetworkOptions(model, scale)))
    assert found.value.hint == ("give --scale 2" if scale < 2 else "give --scale 4, or --model bicubic-x3")


def test_what_is_too_small_is_left_out_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, side in (("dot", 1), ("thumbnail", 15), ("least", 16)):
        save(tmp_path / "Set" / f"{name}.png", smooth(11)[:side, :side])
    clip = clips.make("small.mkv", "-c:v", "ffv1", "-frames:v", "1", source="testsrc2=size=64x14")
    (tmp_path / "Set" / clip.name).write_bytes(clip.read_bytes())
    command = ["evaluate", "--model", "bicubic", "--data", str(tmp_path / "Set"), "--json"]
    assert main(command) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert found["sets"]["Set"].keys() == {"least"}
    for name in ("dot.png", "thumbnail.png", "small.mkv"):
        assert f"{name} is left out: x2 is measured from 16x16 pixels on" in shown.err
        assert any(name in note for note in found["notes"])
    (tmp_path / "Set" / "least.png").unlink()
    assert main(command) == 4
    assert "nothing can be measured" in capsys.readouterr().err


def test_a_name_that_is_no_utf_8_is_shown_as_far_as_it_can_be(tmp_path: Path) -> None:
    save(tmp_path / "a.png", smooth(12))
    os.rename(tmp_path / "a.png", os.fsencode(tmp_path) + b"/a\xff.png")  # noqa: PTH104 - bytes
    assert list(evaluate(EvaluateConfig((tmp_path,), NetworkOptions("bicubic"))).sets[tmp_path.name]) == [
        "a\ufffd"
    ]


def test_a_report_replaces_nothing_that_is_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(tmp_path / "Set" / "one.png", smooth(13))
    before = (tmp_path / "Set" / "one.png").read_bytes()
    report = str(tmp_path / "Set" / "one.png")
    assert main(["evaluate", "--model", "bicubic", "--data", str(tmp_path), "--report", report]) == 2
    assert "is the input" in capsys.readouterr().err
    assert (tmp_path / "Set" / "one.png").read_bytes() == before
