"""Pictures, sequences and animations."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from tests.support import clips
from tests.support.sinks import through
from vsr.core.color import Range
from vsr.core.errors import SourceOpenError
from vsr.core.frame import Frame
from vsr.media.pictures.files import exif_orientation
from vsr.media.read.open import open_source
from vsr.media.types import Source, SourceOptions


def picture(mode: str = "RGB", size: tuple[int, int] = (37, 23)) -> Image.Image:
    rng = np.random.default_rng(1)
    channels = {"L": 1, "RGB": 3, "RGBA": 4, "LA": 2, "CMYK": 4}[mode]
    shape = (size[1], size[0], channels) if channels > 1 else (size[1], size[0])
    return (
        Image.fromarray(rng.integers(0, 256, shape, np.uint8), mode=None)
        if mode != "CMYK"
        else picture().convert("CMYK")
    )


def read(path: Path) -> tuple[Source, Frame]:
    with open_source(str(path)) as source:
        frames = list(source)
        assert len(frames) == 1
        assert source.info.is_picture
        return source, frames[0]


def rgb(frame: Frame) -> np.ndarray:
    g, b, r, *alpha = [np.asarray(p) for p in frame.planes]
    return np.stack([r, g, b, *alpha], -1)


@pytest.mark.parametrize("suffix", [".png", ".tiff", ".bmp", ".ppm", ".tga", ".webp"])
def test_rgb_comes_exactly(tmp_path: Path, suffix: str) -> None:
    image = picture()
    image.save(tmp_path / f"a{suffix}", **({"lossless": True} if suffix == ".webp" else {}))
    _, frame = read(tmp_path / f"a{suffix}")
    assert frame.format.kind == "rgb"
    assert frame.color.range is Range.FULL
    assert np.array_equal(rgb(frame)[..., :3], np.asarray(image))


@pytest.mark.parametrize(("mode", "name"), [("L", "gray"), ("LA", "graya"), ("RGBA", "gbrap")])
def test_gray_and_alpha_stay(tmp_path: Path, mode: str, name: str) -> None:
    image = picture(mode)
    image.save(tmp_path / "a.png")
    _, frame = read(tmp_path / "a.png")
    assert frame.format.name == name
    got = rgb(frame) if mode == "RGBA" else np.stack([np.asarray(p) for p in frame.planes], -1).squeeze()
    assert np.array_equal(got, np.asarray(image))


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_stay(tmp_path: Path, suffix: str) -> None:
    codes = np.random.default_rng(2).integers(0, 65536, (23, 37), np.uint16)
    Image.fromarray(codes).save(tmp_path / f"a{suffix}")
    _, frame = read(tmp_path / f"a{suffix}")
    assert frame.format.name == "gray16"
    assert np.array_equal(np.ascontiguousarray(np.asarray(frame.planes[0])).view("<u2"), codes)


def test_palette_is_expanded_and_opaque_ones_have_no_alpha(tmp_path: Path) -> None:
    image = picture().quantize(32)
    image.save(tmp_path / "opaque.png")
    _, frame = read(tmp_path / "opaque.png")
    assert frame.format.name == "gbrp"
    assert np.array_equal(rgb(frame), np.asarray(image.convert("RGB")))
    image.save(tmp_path / "clear.png", transparency=3)
    _, frame = read(tmp_path / "clear.png")
    assert frame.format.name == "gbrap"


def test_jpeg_keeps_its_samples(tmp_path: Path) -> None:
    picture(size=(64, 48)).save(tmp_path / "a.jpg", subsampling=2)
    _, frame = read(tmp_path / "a.jpg")
    assert frame.format.name == "yuv420p"
    assert frame.color.range is Range.FULL


def test_cmyk_goes_to_rgb_with_a_note(tmp_path: Path) -> None:
    picture("CMYK", (64, 48)).save(tmp_path / "a.jpg", quality=100)
    source, frame = read(tmp_path / "a.jpg")
    assert frame.format.name == "gbrp"
    assert any("CMYK" in note for note in source.notes)
    with Image.open(tmp_path / "a.jpg") as image:
        assert np.array_equal(rgb(frame), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff", ".webp", ".avif"])
def test_icc_profile_and_exif_are_read(tmp_path: Path, suffix: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "a test"
    picture().save(tmp_path / f"a{suffix}", icc_profile=profile, exif=exif)
    source, _ = read(tmp_path / f"a{suffix}")
    assert source.carried.picture_tags is not None
    assert source.carried.picture_tags.icc_profile == profile
    if suffix != ".tiff":  # there EXIF lies among the tags of the file itself
        assert source.carried.picture_tags.exif is not None
        assert b"a test" in source.carried.picture_tags.exif
    assert source.info.rotation == 270
    assert source.info.display_size == (23, 37)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_says_what_pillow_does(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = picture()
    image.save(tmp_path / "a.png", exif=exif)
    source, frame = read(tmp_path / "a.png")
    pixels = rgb(frame)
    if source.info.mirrored:
        pixels = pixels[:, ::-1]
    pixels = np.rot90(pixels, source.info.rotation // 90)
    with Image.open(tmp_path / "a.png") as opened:
        upright = ImageOps.exif_transpose(opened)
    assert np.array_equal(pixels, np.asarray(upright))
    assert source.info.display_size == upright.size


def test_animated_gif_and_webp_are_videos(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.roll(np.asarray(picture(size=(32, 24))), 5 * i, 0)) for i in range(4)]
    frames[0].save(
        tmp_path / "a.webp",
        save_all=True,
        append_images=frames[1:],
        duration=[40, 80, 120, 40],
        lossless=True,
    )
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=[40, 80, 120, 40])
    frames[0].save(tmp_path / "a.apng", save_all=True, append_images=frames[1:], duration=[40, 80, 120, 40])
    for name in ("a.webp", "a.gif", "a.apng"):
        with open_source(str(tmp_path / name)) as source:
            got = list(source)
            assert not source.info.is_picture
        assert len(got) == 4, name
        times = [f.pts * f.time_base for f in got]
        assert [float(t - times[0]) for t in times] == pytest.approx([0, 0.04, 0.12, 0.24]), name
        assert got[0].format.name in ("gbrp", "gbrap"), name


def test_avif_is_read(tmp_path: Path) -> None:
    picture(size=(64, 48)).save(tmp_path / "a.avif", quality=90)
    source, frame = read(tmp_path / "a.avif")
    assert (frame.width, frame.height) == (64, 48)
    picture("RGBA", (64, 48)).save(tmp_path / "b.avif", quality=90)
    source, frame = read(tmp_path / "b.avif")
    assert frame.format.alpha
    assert source.carried.copied == ()


def test_sequence_of_pictures_is_a_video(tmp_path: Path) -> None:
    for i in range(9, 13):
        picture().save(tmp_path / f"f_{i:04d}.png")
    with open_source(str(tmp_path / "f_%04d.png")) as source:
        frames = list(source)
        assert not source.info.is_picture
        assert source.info.frame_rate == 25
    assert [f.pts * f.time_base for f in frames] == [Fraction(i, 25) for i in range(4)]
    assert np.array_equal(rgb(frames[3]), np.asarray(picture()))
    with open_source(str(tmp_path / "f_%04d.png"), SourceOptions(frame_rate=Fraction(24000, 1001))) as source:
        assert [f.pts * f.time_base for f in source] == [Fraction(i * 1001, 24000) for i in range(4)]


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
@pytest.mark.parametrize("name", ["1{}", "%d{}"], ids=["single", "sequence"])
def test_gray_without_a_tag_is_full_range(tmp_path: Path, suffix: str, name: str) -> None:
    for i in (1, 2):
        picture("L").save(tmp_path / f"{i}{suffix}")
    with open_source(str(tmp_path / name.format(suffix))) as source:
        assert source.info.color.range is Range.FULL
        assert all(frame.color.range is Range.FULL for frame in source)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_sequence_is_turned_as_its_first_file_and_says_where_others_differ(
    tmp_path: Path, suffix: str
) -> None:
    for i, orientation in enumerate((1, 6, 6, 8), start=1):
        exif = Image.Exif()
        exif[0x0112] = orientation
        picture().save(tmp_path / f"{i}{suffix}", exif=exif)
    with open_source(str(tmp_path / f"%d{suffix}")) as source:
        assert source.info.rotation == 0
        tags = [frame.side["picture_tags"] for frame in source]
        assert [exif_orientation(t.exif) for t in tags] == [1, 6, 6, 8]
        assert [note for note in source.notes if note.startswith("3 of the pictures are turned")]
    with open_source(str(tmp_path / f"%d{suffix}"), SourceOptions(start_s=0.04, duration_s=0.08)) as source:
        assert source.info.rotation == 270
        assert [exif_orientation(f.side["picture_tags"].exif) for f in source] == [6, 6]
        assert not source.notes


def test_sequence_without_padding_and_in_a_folder_with_percent(tmp_path: Path) -> None:
    folder = tmp_path / "50%d off"
    folder.mkdir()
    for i in range(8, 12):
        picture().save(folder / f"{i}.png")
    with open_source(str(folder / "%d.png")) as source:
        assert len(list(source)) == 4


def test_a_per_cent_sign_in_the_name_of_a_sequence_is_written_twice(tmp_path: Path) -> None:
    for i in range(3):
        picture().save(tmp_path / f"100%_{i:02d}%d.png")
    name = str(tmp_path / "100%%_%02d%%d.png")
    with open_source(name) as source:
        assert len(list(source)) == 3
    out = tmp_path / "out"
    out.mkdir()
    sink = through(name, out / "50%%d_%d.png")
    assert sink.counters.frames == 3
    assert sorted(path.name for path in out.iterdir()) == [f"50%d_{i}.png" for i in (1, 2, 3)]


def test_linear_light_is_encoded_as_srgb(tmp_path: Path) -> None:
    """Of 0.2, sRGB makes 0.485; the code itself would be shown far too dark."""
    exr = clips.make("x.exr", "-frames:v", "1", "-pix_fmt", "gbrpf32le", source="color=0x333333:size=32x24")
    hdr = tmp_path / "x.hdr"
    row = b"\x02\x02\x00\x20" + b"\xa0\xcc" * 3 + b"\xa0\x7e"  # runs of 32: mantissas of 0.8, exponent -2
    hdr.write_bytes(b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 24 +X 32\n" + 24 * row)
    for path in (exr, hdr):
        source, frame = read(path)
        codes = np.asarray(frame.planes[0]).view("<u2") / 65535
        assert "its linear light is encoded as sRGB" in source.notes
        np.testing.assert_allclose(codes, 0.485, atol=0.003)


@pytest.mark.parametrize("given", ["png", "jpg", "tif"])
@pytest.mark.parametrize("output", ["png", "jpg", "tif", "bmp"])
def test_dots_an_inch_stay(given: str, output: str, tmp_path: Path) -> None:
    picture().save(tmp_path / f"in.{given}", dpi=(300, 150))
    through(tmp_path / f"in.{given}", tmp_path / f"out.{output}")
    with Image.open(tmp_path / f"out.{output}") as image:
        assert [float(value) for value in image.info["dpi"]] == pytest.approx([300, 150], abs=0.1)


def test_hole_in_a_sequence_is_named(tmp_path: Path) -> None:
    for i in (1, 2, 4):
        picture().save(tmp_path / f"{i:03d}.png")
    with pytest.raises(SourceOpenError, match=r"003\.png is missing") as error:
        open_source(str(tmp_path / "%03d.png"))
    assert error.value.hint
    with pytest.raises(SourceOpenError, match="no such files"):
        open_source(str(tmp_path / "x%03d.png"))


def test_picture_beyond_ffmpeg_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("1", (20000, 20000)).save(buffer, "png")
    (tmp_path / "huge.png").write_bytes(buffer.getvalue())
    with pytest.raises(SourceOpenError, match="20000x20000"):
        open_source(str(tmp_path / "huge.png"))


@pytest.mark.parametrize("size", [20, 60, 1000])
def test_beginning_of_a_picture_is_refused(tmp_path: Path, size: int) -> None:
    picture(size=(200, 200)).save(tmp_path / "a.jpg")
    (tmp_path / "cut.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:size])
    if size == 1000:  # enough for a decoder to show the rest in gray
        read(tmp_path / "cut.jpg")
        return
    with pytest.raises(SourceOpenError) as error:
        read(tmp_path / "cut.jpg")
    assert error.value.hint


def test_a_gif_without_its_end_is_read(tmp_path: Path) -> None:
    picture("L").save(tmp_path / "x.gif")
    data = (tmp_path / "x.gif").read_bytes()
    assert data[-1:] == b";"
    (tmp_path / "x.gif").write_bytes(data[:-1])
    read(tmp_path / "x.gif")


def test_a_tiff_whose_second_page_is_broken_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.tiff"
    picture("L").save(path, save_all=True, append_images=[picture("L")])
    data = path.read_bytes()
    first = int.from_bytes(data[4:8], "little")
    to_second = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    nowhere = (len(data) - 4).to_bytes(4, "little")
    path.write_bytes(data[:to_second] + nowhere + data[to_second + 4 :])
    read(path)
