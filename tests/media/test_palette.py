"""Pictures in 255 colours of their own, with transparency: through the function, and into GIF files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageSequence

from tests.support import clips
from tests.support.sinks import through
from vsr.media.palette import TRANSPARENT, Palettes


def shown(pixels: npt.NDArray[np.uint8], palettes: Palettes) -> npt.NDArray[np.uint8]:
    found = palettes(pixels)
    return found.colours[found.indices]


def psnr(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    return -10 * np.log10(np.square((a.astype(float) - b) / 255).mean() + 1e-10)


def smooth() -> npt.NDArray[np.uint8]:
    y, x = np.mgrid[:96, :128]
    return np.stack([2 * x, y * 2.6, (x + y) / 1.2], 2).astype(np.uint8)


def test_few_colours_stay_exactly_and_the_palette_too() -> None:
    palettes = Palettes()
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (255, 3)).astype(np.uint8)
    first = colours[rng.integers(0, 255, (40, 50))]
    second = colours[rng.integers(0, 9, (40, 50))]
    np.testing.assert_array_equal(shown(first, palettes)[..., :3], first)
    np.testing.assert_array_equal(shown(second, palettes)[..., :3], second)
    np.testing.assert_array_equal(palettes(first).colours, palettes(second).colours)
    np.testing.assert_array_equal(shown(255 - first, palettes)[..., :3], 255 - first)


def test_many_colours_come_close_and_a_palette_serves_until_it_does_not() -> None:
    palettes = Palettes()
    assert psnr(shown(smooth(), palettes)[..., :3], smooth()) > 33
    before = palettes(smooth()).colours
    np.testing.assert_array_equal(palettes(smooth()[::-1]).colours, before)
    other = 255 - smooth() // 3
    assert psnr(shown(other, palettes)[..., :3], other) > 38
    assert (palettes(other).colours != before).any()


def test_what_is_more_than_half_transparent_is_so_altogether() -> None:
    pixels = np.dstack([smooth(), np.full((96, 128), 255, np.uint8)])
    pixels[10:40, 10:60, 3] = 127
    pixels[50:60, 50:60, 3] = 128
    found = Palettes()(pixels)
    np.testing.assert_array_equal(found.indices == TRANSPARENT, pixels[..., 3] < 128)
    assert found.colours[TRANSPARENT, 3] == 0
    assert (Palettes()(pixels * np.uint8(0)).indices == TRANSPARENT).all()


def frames_of(path: Path) -> list[npt.NDArray[np.uint8]]:
    with Image.open(path) as image:
        return [np.asarray(frame.convert("RGBA")) for frame in ImageSequence.Iterator(image)]


def test_a_gif_gets_a_palette_of_its_pictures(tmp_path: Path) -> None:
    """With FFmpeg's fixed one it was 21 dB."""
    photo = "mandelbrot=size=96x64:rate=5"
    given = clips.make("photo.mkv", "-frames:v", "3", "-c:v", "ffv1", "-pix_fmt", "bgr0", source=photo)
    sink = through(given, tmp_path / "out.gif")
    assert sink.encoder == "gif pal8"
    through(given, tmp_path / "out.apng")
    for found, expected in zip(
        frames_of(tmp_path / "out.gif"), frames_of(tmp_path / "out.apng"), strict=True
    ):
        assert psnr(found[..., :3], expected[..., :3]) > 30


@pytest.mark.parametrize("pictures", [1, 4])
def test_a_gif_keeps_its_transparency(pictures: int, tmp_path: Path) -> None:
    y, x = np.mgrid[:24, :32]
    drawn = np.zeros((pictures, 24, 32, 4), np.uint8)
    for number in range(pictures):
        drawn[number][(x - 8 - 5 * number) ** 2 + (y - 12) ** 2 < 40] = (250, 60 * number, 40, 255)
    first, *rest = map(Image.fromarray, drawn)
    first.save(tmp_path / "in.gif", save_all=True, append_images=rest, duration=80, disposal=2)
    sink = through(tmp_path / "in.gif", tmp_path / "out.gif", scale=2)
    assert sink.warnings == []
    found = frames_of(tmp_path / "out.gif")
    assert len(found) == pictures
    for frame, expected in zip(found, drawn, strict=True):
        large = expected.repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(frame[..., 3], large[..., 3])
        np.testing.assert_array_equal(frame[frame[..., 3] > 0], large[large[..., 3] > 0])


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_every_picture_becomes_a_gif(mode: str, tmp_path: Path) -> None:
    Image.fromarray(smooth()).convert(mode).save(tmp_path / "in.png")
    through(tmp_path / "in.png", tmp_path / "out.gif")
    (found,) = frames_of(tmp_path / "out.gif")
    with Image.open(tmp_path / "in.png") as image:
        assert psnr(found[..., :3], np.asarray(image.convert("RGB"))) > 33
