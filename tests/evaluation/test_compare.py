"""Comparing videos and pictures: figures, refusals, and the page in a real browser."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.support import clips
from tests.support.browser import browser, needs_chromium
from vsr.cli import main
from vsr.core.errors import ConfigError, DecodeError
from vsr.evaluation.compare import CompareConfig, compare
from vsr.evaluation.comparison import Comparison

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


def test_what_nobody_sees_makes_no_difference_and_alpha_does(tmp_path: Path) -> None:
    rgba = np.random.default_rng(0).integers(0, 256, (40, 48, 4)).astype(np.uint8)
    rgba[..., 3] = 255
    rgba[8:30, 10:40, 3] = 0
    hidden, thinner = rgba.copy(), rgba.copy()
    hidden[rgba[..., 3] == 0] = 0
    thinner[..., 3] //= 2
    for name, pixels in (("a", rgba), ("b", hidden), ("c", thinner)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    Image.fromarray(hidden).resize((96, 80), Image.Resampling.NEAREST).save(tmp_path / "d.png")

    def compared(other: str) -> Comparison:
        return compare(
            CompareConfig(str(tmp_path / "a.png"), str(tmp_path / other), None, tmp_path / f"{other}.html")
        )

    same = compared("b.png")
    assert same.means["a.png to b.png"]["psnr_y"] == 100
    assert "a.png has alpha, and is compared on a checkerboard" in same.notes
    assert compared("c.png").means["a.png to c.png"]["psnr_y"] < 25
    assert compared("d.png").size == (96, 80)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_compared_as_they_are_displayed(orientation: int, tmp_path: Path) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8))
    exif = Image.Exif()
    exif[274] = orientation
    image.save(tmp_path / "tag.png", exif=exif)
    with Image.open(tmp_path / "tag.png") as tagged:
        ImageOps.exif_transpose(tagged).save(tmp_path / "pixels.png", exif=b"")
    found = compare(
        CompareConfig(str(tmp_path / "tag.png"), str(tmp_path / "pixels.png"), None, tmp_path / "page.html")
    )
    assert found.means["tag.png to pixels.png"]["psnr_y"] == 100
    assert found.size == ((32, 48) if orientation > 4 else (48, 32))


def test_a_clip_turned_by_a_tag_is_one_turned_by_its_samples(tmp_path: Path) -> None:
    upright = clips.make("upright.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", source=CLIP)
    lying = clips.make(
        "lying.mov",
        "-vf",
        "transpose=cclock",
        "-c:v",
        "libx264",
        "-qp",
        "0",
        "-pix_fmt",
        "yuv420p",
        source=CLIP,
    )
    turned = clips.derive("turned.mov", lying, "-c", "copy", "-metadata:s:v:0", "rotate=270")
    found = compare(CompareConfig(str(upright), str(turned), None, tmp_path / "page.html"))
    assert found.means["upright.mkv to turned.mov"]["psnr_y"] > 60


def test_the_same_picture_is_the_same(tmp_path: Path) -> None:
    Image.fromarray(np.full((32, 32, 3), 90, np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes())
    found = compare(
        CompareConfig(str(tmp_path / "a.png"), str(tmp_path / "b.png"), None, tmp_path / "page.html")
    )
    assert found.means["a.png to b.png"] == {"psnr_y": 100.0, "ssim_y": 1.0}


def test_refusals_leave_no_page(versions: tuple[Path, Path, Path], tmp_path: Path) -> None:
    hard, less, _ = map(str, versions)
    page = tmp_path / "page.html"
    short = clips.make("short.mkv", "-c:v", "ffv1", "-frames:v", "4", source=CLIP)
    with pytest.raises(DecodeError, match=r"short.mkv ends after 4 frames"):
        compare(CompareConfig(hard, str(short), None, page))
    wide = clips.make("wide.mkv", "-c:v", "ffv1", source="testsrc2=size=640x240:rate=25:duration=0.4")
    with pytest.raises(ConfigError, match="is not a reduction of"):
        compare(CompareConfig(hard, str(wide), None, page))
    assert list(tmp_path.iterdir()) == []
    page.write_text("mine")
    with pytest.raises(ConfigError, match="exists"):
        compare(CompareConfig(hard, less, None, page))
    assert page.read_text() == "mine"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not a regular file"):  # before any frame is compared
        compare(CompareConfig(hard, str(short), None, tmp_path / "pipe", overwrite=True))


@pytest.mark.parametrize("which", ["a.png", "b.png", "c.png"])
def test_a_page_replaces_no_input(which: str, tmp_path: Path) -> None:
    a, b, c = (picture(tmp_path / f"{name}.png", 90) for name in "abc")
    before = (tmp_path / which).read_bytes()
    (tmp_path / "link").symlink_to(tmp_path / which)
    with pytest.raises(ConfigError, match=f"is the input .*{which}"):
        compare(CompareConfig(a, b, c, tmp_path / "link", overwrite=True))
    picture(tmp_path / "1.png", 90)
    with pytest.raises(ConfigError, match=r"is the input .*1\.png"):
        compare(CompareConfig(a, str(tmp_path / "%d.png"), None, tmp_path / "1.png", overwrite=True))
    assert (tmp_path / which).read_bytes() == before


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("faster.mkv", ("-vf", "setpts=N/50/TB", "-r", "50"), "has 50 frames a second, plain.mkv 25"),
        ("late.mkv", ("-output_ts_offset", "2"), "begins at 2.000 s, plain.mkv at 0.000 s"),
        (
            "gap.mkv",
            ("-vf", "select=not(eq(n\\,4))", "-fps_mode", "passthrough"),
            "shows frame 4 0.200 s after its first, plain.mkv 0.160 s",
        ),
    ],
)
def test_videos_of_other_times_are_told(
    tmp_path: Path, name: str, options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = clips.make("plain.mkv", "-c:v", "ffv1", source=CLIP)
    other = clips.make(name, "-c:v", "ffv1", *options, source=CLIP)
    page = tmp_path / "page.html"
    assert main(["compare", str(plain), str(other), "--frames", "9", "-o", str(page)]) == 0
    told = f"{name} {words}: frames are compared by number"
    assert f"note: {told}" in capsys.readouterr().out
    assert f"<p>{told}</p>" in page.read_text()


def test_the_same_times_in_another_container_are_not_told(tmp_path: Path) -> None:
    source = "testsrc2=size=64x48:rate=30000/1001:duration=0.5"
    exact = clips.make("ntsc.mp4", "-c:v", "libx264", "-pix_fmt", "yuv420p", source=source)
    rounded = clips.make("ntsc.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", source=source)
    assert compare(CompareConfig(str(exact), str(rounded), None, tmp_path / "page.html")).notes == ()


def test_the_end_of_a_video_of_other_times_is_no_reason_to_compare_fewer(tmp_path: Path) -> None:
    plain = clips.make("plain.mkv", "-c:v", "ffv1", source=CLIP)
    halved = clips.make("halved.mkv", "-c:v", "ffv1", "-r", "12.5", source=CLIP)
    with pytest.raises(DecodeError, match=r"halved.mkv ends after 6 frames") as found:
        compare(CompareConfig(str(plain), str(halved), None, tmp_path / "page.html"))
    assert "halved.mkv has 12.5 frames a second, plain.mkv 25" in (found.value.hint or "")
    assert "the same frames first" in (found.value.hint or "")


def picture(path: Path, value: int, side: int = 32) -> str:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((side, side, 3), value, np.uint8)).save(path)
    return str(path)


def test_inputs_of_one_name(tmp_path: Path) -> None:
    a, b = picture(tmp_path / "a.png", 90), picture(tmp_path / "b.png", 93)
    found = compare(CompareConfig(a, a, b, tmp_path / "page.html"))
    assert list(found.means) == ["a.png (1) to b.png", "a.png (2) to b.png"]
    assert found.means["a.png (1) to b.png"] == found.means["a.png (2) to b.png"]
    other = picture(tmp_path / "other" / "a.png", 97)
    found = compare(CompareConfig(a, other, b, tmp_path / "page.html", overwrite=True))
    assert list(found.means) == [f"{a} to {b}", f"{other} to {b}"]


def test_names_that_are_no_utf_8(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    a, b = picture(tmp_path / "a.png", 90), picture(tmp_path / "b.png", 93)
    odd, page = (os.fsdecode(os.fsencode(tmp_path) + name) for name in (b"/a\xff.png", b"/page\xff.html"))
    Path(a).rename(odd)
    assert main(["compare", odd, b, "-o", page]) == 0
    out = capfdbinary.readouterr().out
    assert "a\ufffd.png to b.png".encode() in out
    assert b"page\xff.html" in out
    assert "<title>a\ufffd.png and b.png</title>" in Path(page).read_text()


def test_pictures_too_small_are_named(tmp_path: Path) -> None:
    small = [picture(tmp_path / name, 90, 8) for name in ("a.png", "b.png")]
    with pytest.raises(ConfigError, match=r"a\.png is 8x8: SSIM needs 11"):
        compare(CompareConfig(*small, None, tmp_path / "page.html"))


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
        assert len(sizes) == 4 * (2 + 2 * 3) + 2 * 3
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
