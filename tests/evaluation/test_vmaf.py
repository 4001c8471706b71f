"""VMAF by whichever FFmpeg has it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support import clips
from vsr.cli import main
from vsr.core.errors import InferenceError, MissingDependencyError
from vsr.evaluation.evaluate import EvaluateConfig, evaluate
from vsr.media.frames import vmaf as module
from vsr.media.frames.vmaf import check_vmaf, vmaf
from vsr.upscale.options import NetworkOptions

NOISE = np.random.default_rng(1)
# Between 16 and 235, and moving: a still picture has nothing that VMAF's motion could look at.
LARGE = np.kron(NOISE.integers(40, 200, (40, 50)), np.ones((8, 8))).astype(np.uint8)
FRAMES = [LARGE[at : at + 193, 2 * at : 2 * at + 255] for at in range(6)]


@pytest.fixture(params=["_InPyav", "_InProgram"])
def one_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    there = module._in_pyav() if request.param == "_InPyav" else module._program() is not None
    if not there:
        pytest.skip("no libvmaf there")
    monkeypatch.setattr(module, "_in_pyav", lambda: request.param == "_InPyav")
    return str(request.param)


def measured(distorted: list[np.ndarray]) -> dict[str, float]:
    with vmaf(255, 193) as meter:
        for one, original in zip(distorted, FRAMES, strict=True):
            meter.add(one, original)
        return meter.figures()


@pytest.mark.usefixtures("one_way")
def test_equal_frames_are_near_100_and_less_is_less() -> None:
    """Odd sides too."""
    equal = measured(FRAMES)
    assert min(equal.values()) > 95
    noisy = measured(
        [(frame + NOISE.normal(0, 12, frame.shape)).clip(16, 235).astype(np.uint8) for frame in FRAMES]
    )
    assert max(noisy.values()) < min(equal.values()) - 1
    contrast = measured(
        [(128 + 1.25 * (frame.astype(float) - 128)).clip(16, 235).astype(np.uint8) for frame in FRAMES]
    )
    assert contrast["vmaf_neg"] < contrast["vmaf"] - 1, "NEG gives nothing for contrast"


@pytest.mark.usefixtures("one_way")
def test_who_leaves_early_leaves_nothing_behind() -> None:
    def left() -> None:
        with vmaf(64, 64) as meter:
            meter.add(LARGE[:64, :64], LARGE[:64, :64])
            raise KeyError

    with pytest.raises(KeyError):
        left()


def test_a_program_that_dies_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    if module._program() is None:
        pytest.skip("no ffmpeg has libvmaf")
    monkeypatch.setattr(module, "_in_pyav", lambda: False)
    with vmaf(64, 64) as meter, pytest.raises(InferenceError, match="VMAF: "):  # noqa: PT012
        meter._process.kill()  # type: ignore[attr-defined]
        meter._process.wait()  # type: ignore[attr-defined]
        for _ in range(100):
            meter.add(LARGE[:64, :64], LARGE[:64, :64])


@pytest.mark.usefixtures("one_way")
def test_of_pictures_and_videos(tmp_path: Path) -> None:
    (tmp_path / "clip.mkv").symlink_to(clips.make("vmaf.mkv", "-c:v", "ffv1", "-t", "0.3"))
    (row,) = evaluate(EvaluateConfig((tmp_path,), NetworkOptions("bicubic-x2"), vmaf=True)).means.values()
    assert 20 < row["vmaf_neg"] <= row["vmaf"] <= 100


def test_where_no_ffmpeg_has_it_one_line_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_in_pyav", lambda: False)
    monkeypatch.setattr(module, "_program", lambda: None)
    with pytest.raises(MissingDependencyError):
        check_vmaf()
    (tmp_path / "clip.mkv").symlink_to(clips.make("vmaf.mkv", "-c:v", "ffv1", "-t", "0.3"))
    assert main(["evaluate", "--data", str(tmp_path), "--vmaf"]) != 0
    said = capsys.readouterr().err
    assert "VMAF needs libvmaf" in said
    assert "pip install" in said
    assert "Traceback" not in said
