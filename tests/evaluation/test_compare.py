"""Comparing videos and pictures: figures, refusals, and the page in a real browser."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser import browser, needs_chromium
from tests.media import clips
from vsr.cli import main
from vsr.core.errors import ConfigError, DecodeError
from vsr.evaluation import metrics
from vsr.evaluation.compare import CompareConfig, compare

CLIP = "testsrc2=size=320x240:rate=25:duration=0.4"


@pytest.fixture(scope="module")
def versions() -> tuple[Path, Path, Path]:
    """A clip compressed hard, compressed less, and without loss."""
    return (
        clips.make("hard.mp4", "-c:v", "libx264", "-crf", "45", "-pix_fmt", "yuv420p", source=CLIP),
        clips.make("less.mp4", "-c:v", "libx264", "-crf", "20", "-pix_fmt", "yuv420p", source=CLIP),
        clips.make("exact.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", source=CLIP),
    )


def test_the_better_one_is_better(versions: tuple[Path, Path, Path], tmp_path: Path) -> None:
    hard, less, exact = map(str, versions)
    found = compare(CompareConfig(hard, less, exact, tmp_path / "page.html"))
    assert list(found.means) == ["hard.mp4 to exact.mkv", "less.mp4 to exact.mkv"]
    worse, better = found.means.values()
    assert worse["psnr_y"] + 3 < better["psnr_y"]
    assert worse["ssim_y"] < better["ssim_y"] <= 1
    assert found.seconds == pytest.approx([n / 25 for n in range(10)])
    assert all(len(values) == 10 for rows in found.figures.values() for values in rows.values())


def test_pictures_of_two_sizes(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    image = Image.fromarray(rgb).resize((240, 160), Image.Resampling.BICUBIC)
    image.save(tmp_path / "large.png")
    image.resize((120, 80), Image.Resampling.BICUBIC).save(tmp_path / "small.png")
    found = compare(
        CompareConfig(str(tmp_path / "small.png"), str(tmp_path / "large.png"), None, tmp_path / "page.html")
    )
    assert found.size == (240, 160)
    assert any("120x80 to 240x160" in note for note in found.notes)
    assert 20 < found.means["small.png to large.png"]["psnr_y"] < 60


def test_the_same_picture_is_the_same(tmp_path: Path) -> None:
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    found = compare(
        CompareConfig(str(tmp_path / "a.png"), str(tmp_path / "b.png"), None, tmp_path / "page.html")
    )
    assert found.means["a.png to b.png"] == {"psnr_y": 100.0, "ssim_y": 1.0}
    assert metrics.psnr(np.zeros((2, 2)), np.zeros((2, 2))) == float("inf")


def test_refusals_leave_no_page(versions: tuple[Path, Path, Path], tmp_path: Path) -> None:
    hard, less, _ = map(str, versions)
    page = tmp_path / "page.html"
    short = clips.make("short.mkv", "-c:v", "ffv1", "-frames:v", "4", source=CLIP)
    with pytest.raises(DecodeError, match=r"short.mkv ends after 4 frames"):
        compare(CompareConfig(hard, str(short), None, page))
    wide = clips.make("wide.mkv", "-c:v", "ffv1", source="testsrc2=size=640x240:rate=25:duration=0.4")
    with pytest.raises(ConfigError, match="no smaller form"):
        compare(CompareConfig(hard, str(wide), None, page))
    assert list(tmp_path.iterdir()) == []
    page.write_text("mine")
    with pytest.raises(ConfigError, match="exists"):
        compare(CompareConfig(hard, less, None, page))
    assert page.read_text() == "mine"


@needs_chromium
def test_the_page_in_a_browser(
    versions: tuple[Path, Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.html"
    assert main(["compare", *map(str, versions), "-o", str(page), "--json"]) == 0
    means = json.loads(capsys.readouterr().out)["means"]
    with browser(tmp_path / "profile") as tab:
        tab.open(page.as_uri())
        assert tab.run("return document.title") == "hard.mp4 and less.mp4"
        # Nothing is asked of a network, and every picture is there.
        asked = tab.run("return performance.getEntriesByType('resource').map(r => r.name)")
        assert [name for name in asked if not name.startswith("data:")] == []
        sizes = tab.run("return [...document.images].map(i => i.naturalWidth)")
        assert len(sizes) == 4 * (2 + 2 * 3)
        assert min(sizes) > 0
        text = tab.run("return document.body.innerText")
        assert all(f"{mean['psnr_y']:.2f} dB" in text for mean in means.values())
        box = tab.run(
            "const p = document.querySelector('.pair'); p.scrollIntoView();"
            "const b = p.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]"
        )
        left, top, width, height = box
        before = tab.screenshot()
        shown = "return document.querySelector('.over').style.clipPath"
        assert tab.run(shown) == "inset(0px 50% 0px 0px)"
        tab.drag(int(left + width / 2), int(top + height / 3), int(left + width / 4))
        assert float(tab.run(shown).split()[1].removesuffix("%")) == pytest.approx(75, abs=1)
        tab.run("const s = document.querySelector('input'); s.value = 10;s.dispatchEvent(new Event('input'))")
        assert tab.run(shown) == "inset(0px 90% 0px 0px)"
        assert tab.screenshot() != before
        points = tab.run("return [...document.querySelectorAll('polyline')].map(p => p.points.length)")
        assert points == [10] * 4
