"""What the figures of clips see: a pan of known speed, and results that differ from it in known ways."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from vsr.evaluation.clip_figures import RESET, ClipFigures
from vsr.evaluation.figures import Figures

Luma = npt.NDArray[np.uint8]


def pan(frames: int) -> list[Luma]:
    """A soft texture that moves by two samples a frame: [64, 96]."""
    noise = np.random.default_rng(0).integers(40, 200, (16, 32), np.uint8)
    wide = np.asarray(Image.fromarray(noise).resize((128, 64), Image.Resampling.BICUBIC))
    return [np.ascontiguousarray(wide[:, 2 * n : 2 * n + 96]) for n in range(frames)]


def figures(results: list[Luma], originals: list[Luma]) -> Figures:
    clip = ClipFigures(2)
    for result, original in zip(results, originals, strict=True):
        clip.add({"": result}, original)
    return clip.figures()


def test_light_that_goes_up_and_down_flickers() -> None:
    originals = pan(8)
    exact = figures(originals, originals)
    assert (exact["psnr_y"], exact["flicker_psnr"]) == (100, 100)
    assert exact["warping"] < 0.5, "it moves as the original"
    steady = figures([frame + 3 for frame in originals], originals)
    assert steady["psnr_y"] == pytest.approx(20 * np.log10(255 / 3))
    assert steady["flicker_psnr"] == 100
    assert steady["warping"] == pytest.approx(exact["warping"])
    unsteady = figures([frame + 3 * (n % 2) for n, frame in enumerate(originals)], originals)
    assert unsteady["flicker_psnr"] == pytest.approx(20 * np.log10(255 / 3))
    assert unsteady["warping"] == pytest.approx(3, abs=0.3)


def test_detail_that_stands_still_on_what_moves_is_a_warping_error() -> None:
    originals = pan(8)
    grain = np.random.default_rng(1).integers(0, 20, (64, 128), np.uint8)
    along = figures([frame + grain[:, 2 * n : 2 * n + 96] for n, frame in enumerate(originals)], originals)
    stuck = figures([frame + grain[:, :96] for frame in originals], originals)
    assert stuck["warping"] > 3 * along["warping"]


def test_the_fifth_frame_is_the_first_that_counts() -> None:
    originals = pan(7)
    wrong = [frame + 9 if n < 4 else frame for n, frame in enumerate(originals)]
    assert figures(wrong, originals)["psnr_y"] == 100
    assert figures(wrong[:4], originals[:4])["psnr_y"] == pytest.approx(20 * np.log10(255 / 9))


def test_other_results_have_three_figures_of_their_own() -> None:
    originals = pan(6)
    clip = ClipFigures(2)
    for original in originals:
        clip.add({"": original, RESET: original + 5}, original)
    found = clip.figures()
    assert found["psnr_y"] == 100
    assert found["psnr_y_reset"] == pytest.approx(20 * np.log10(255 / 5))
    assert {name for name in found if name.endswith(RESET)} == {
        "psnr_y_reset",
        "flicker_psnr_reset",
        "warping_reset",
    }
