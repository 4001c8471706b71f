"""What a whole job keeps of its pictures: size, shape, colour, depth, tags."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import vsr
from tests.support import clips
from tests.support.enlarged import QUICK, enlarge, frame_seconds, luma, pictures, stream
from tests.support.tiers import slow_except
from vsr.core.errors import ConfigError
from vsr.jobs.size import OutputSize

# Shape


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sample_aspect_ratio_stays(suffix: str, tmp_path: Path) -> None:
    path = clips.h264(
        "anamorphic.mp4", "-vf", "setsar=16/11", source="testsrc2=size=72x58:rate=25:duration=0.2"
    )
    out = tmp_path / f"out{suffix}"
    enlarge(path, out, **QUICK)
    assert stream(out)["sample_aspect_ratio"] == "16:11"
    assert (stream(out)["width"], stream(out)["height"]) == (144, 116)


def rotated() -> Path:
    """A clip of 160x120 that players show upright, 120x160."""
    return clips.derive("rotated.mp4", clips.h264(), "-c", "copy", "-metadata:s:v", "rotate=90")


def test_rotation_stays(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    enlarge(rotated(), out, **QUICK)
    assert stream(out)["side_data_list"][0]["rotation"] == stream(rotated())["side_data_list"][0]["rotation"]
    assert (stream(out)["width"], stream(out)["height"]) == (320, 240)


@pytest.mark.parametrize("size", [(65, 47), (64, 47), (1, 1), (3, 5)])
def test_odd_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    width, height = size
    cut = f"testsrc=size=96x64:rate=25:duration=0.2,crop={width}:{height}:exact=1"
    path = clips.make(f"odd{width}x{height}.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p", source=cut)
    out = tmp_path / "out.mkv"
    enlarge(path, out, encoder="ffv1")
    assert (stream(out)["width"], stream(out)["height"]) == (2 * width, 2 * height)
    assert len(pictures(out)) == 5


@pytest.mark.parametrize(
    ("scale", "expected"),
    slow_except(
        (1.5, (240, 180)),
        [(1, (160, 120)), (1.5, (240, 180)), (2, (320, 240)), (3, (480, 360)), (4, (640, 480))],
    ),
)
def test_scale(scale: float, expected: tuple[int, int], tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    report = enlarge(clips.h264(), out, scale=scale, **QUICK)
    assert (stream(out)["width"], stream(out)["height"]) == expected == report.size_out
    assert frame_seconds(out) == pytest.approx(frame_seconds(clips.h264()), abs=0.0006)


def test_size_is_exact(tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    enlarge(clips.h264(), out, size=(250, 188), **QUICK)
    assert (stream(out)["width"], stream(out)["height"]) == (250, 188)


def test_size_of_an_anamorphic_clip_is_what_is_shown(tmp_path: Path) -> None:
    path = clips.h264("wide.mp4", "-vf", "setsar=2/1", source="testsrc2=size=64x72:rate=25:duration=0.2")
    out = tmp_path / "out.mkv"
    report = enlarge(path, out, size=(256, 144), **QUICK)
    found = stream(out)
    assert (found["width"], found["height"]) == (256, 144)
    assert found.get("sample_aspect_ratio", "1:1") == "1:1"
    assert not any("shape" in note for note in report.notes)


def test_size_of_a_rotated_clip_is_what_is_shown(tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    report = enlarge(rotated(), out, size=(240, 320), **QUICK)
    assert (stream(out)["width"], stream(out)["height"]) == (320, 240)
    assert not any("shape" in note for note in report.notes)


@pytest.mark.parametrize(
    ("size", "clip", "shown"),
    [
        ("1920x", (160, 120), (1920, 1440)),
        ("x1080", (160, 120), (1440, 1080)),
        ("1080p", (160, 120), (1440, 1080)),
        ("1080P", (120, 160), (1080, 1440)),
        ("720p", (426, 240), (1278, 720)),  # 1278.0: sides that are found are even
        ("300x", (161, 121), (300, 226)),
        ("1x1", (160, 120), (1, 1)),
    ],
)
def test_sizes_that_keep_the_shape(size: str, clip: tuple[int, int], shown: tuple[int, int]) -> None:
    assert OutputSize.read(size).of(clip) == shown


@pytest.mark.parametrize(("side", "size", "made"), [(1, "1x", (1, 1)), (1, "x3", (3, 3)), (5, "7p", (7, 7))])
def test_sides_found_for_a_picture_may_be_odd(
    side: int, size: str, made: tuple[int, int], tmp_path: Path
) -> None:
    Image.new("RGB", (side, side)).save(tmp_path / "in.png")
    enlarge(tmp_path / "in.png", tmp_path / "out.png", size=size)
    with Image.open(tmp_path / "out.png") as found:
        assert found.size == made


def test_a_size_that_no_network_comes_to_names_itself_and_the_limit(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "in.png")
    with pytest.raises(ConfigError, match=r"^1080p of 1x1 is 1080x1080: 1080 times a side") as raised:
        enlarge(tmp_path / "in.png", tmp_path / "out.png", size="1080p")
    assert "16 times" in (raised.value.hint or "")


def test_a_shorter_side_of_a_turned_picture_is_that_which_is_shown(tmp_path: Path) -> None:
    report = enlarge(rotated(), tmp_path / "out.mp4", size="240p", **QUICK)
    assert report.size_out == (320, 240)  # as it lies in the file


@pytest.mark.parametrize(
    "size", ["", "x", "p", "0x100", "100x0", "0p", "1080", "99999x1", "12 x 3", "-5x5", (0, 5)]
)
def test_what_is_no_size_is_refused(size: str | tuple[int, int]) -> None:
    with pytest.raises(ConfigError, match="size"):
        vsr.UpscaleConfig(inputs=("a.mp4",), size=size)


def test_a_size_beyond_any_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"30000x of 16x160 is 30000x300000"):
        enlarge(
            clips.make("tall.mp4", source="testsrc2=size=16x160:rate=25:duration=0.1"),
            tmp_path / "x.mp4",
            size="30000x",
        )


# Colour

TAGS = ("color_range", "color_space", "color_transfer", "color_primaries", "chroma_location")
TAGGED = {
    "bt601": ("bt470bg", "smpte170m", "smpte170m", "tv"),
    "bt709": ("bt709", "bt709", "bt709", "tv"),
    "full": ("bt709", "bt709", "bt709", "pc"),
    "bt2020": ("bt2020", "bt2020-10", "bt2020nc", "tv"),
}


def tagged(name: str, suffix: str = ".mkv", pix_fmt: str = "yuv420p") -> Path:
    """A lossless clip with these tags, of a picture whose mean is well inside the range."""
    primaries, transfer, matrix, range_ = TAGGED[name]
    picture = "testsrc2=size=64x48:rate=25:duration=0.2,format=gbrp"
    for_swscale = matrix.replace("nc", "").replace("smpte170m", "bt601")
    to_yuv = f"scale=out_color_matrix={for_swscale}:out_range={range_},format={pix_fmt}"
    return clips.make(f"{name}{suffix}", "-vf", to_yuv, "-c:v", "libx264", "-qp", "0", "-color_primaries", primaries,
                      "-color_trc", transfer, "-colorspace", matrix, "-color_range", range_, source=picture)  # fmt: skip


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("name", TAGGED)
def test_colour_tags_stay(name: str, suffix: str, tmp_path: Path) -> None:
    path, out = tagged(name), tmp_path / f"out{suffix}"
    enlarge(path, out, **QUICK)
    before, after = stream(path), stream(out)
    assert {tag: after.get(tag) for tag in TAGS} == {tag: before.get(tag) for tag in TAGS}


def test_untagged_stays_untagged(tmp_path: Path) -> None:
    out = tmp_path / "out.mkv"
    enlarge(clips.h264(), out, **QUICK)
    assert not {"color_space", "color_transfer", "color_primaries", "color_range"} & stream(out).keys()


@pytest.mark.parametrize("name", ["bt601", "bt709", "full"])
@pytest.mark.parametrize("how", ["ffv1", "libx264"])
def test_levels_do_not_move(name: str, how: str, tmp_path: Path) -> None:
    path, out = tagged(name), tmp_path / "out.mkv"
    options = {"encoder": "ffv1"} if how == "ffv1" else {"crf": 0, **QUICK}
    enlarge(path, out, **options)
    before, after = pictures(path), pictures(out)
    assert len(before) == len(after)
    for small, large in zip(before, after, strict=True):
        # yuv420p as one array: luma, then both chroma planes
        rows, big = 48, 96
        assert abs(small[:rows].mean() - large[:big].mean()) < 0.5
        assert abs(small[rows:].mean() - large[big:].mean()) < 0.5


@pytest.mark.parametrize("name", ["bt601", "bt709", "full"])
def test_flat_colours_come_back_to_the_code(name: str, tmp_path: Path) -> None:
    _, _, matrix, range_ = TAGGED[name]
    to_yuv = (
        f"scale=out_color_matrix={matrix.replace('smpte170m', 'bt601')}:out_range={range_},format=yuv420p"
    )
    path = clips.make(f"flat-{name}.mkv", "-vf", to_yuv, "-c:v", "ffv1", "-colorspace", matrix, "-color_range", range_,
                      source="color=c=0x2468C0:size=32x32:rate=25:duration=0.12,format=gbrp")  # fmt: skip
    out = tmp_path / "out.mkv"
    enlarge(path, out, encoder="ffv1")
    small, large = pictures(path)[0], pictures(out)[0]
    assert np.array_equal(np.unique(small[:32]), np.unique(large[:64]))
    assert np.array_equal(np.unique(small[32:]), np.unique(large[64:]))


@pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv422p10le", "yuv444p10le"])
def test_ten_bits_stay_ten_bits_and_become_hevc(pix_fmt: str, tmp_path: Path) -> None:
    path = clips.make(f"{pix_fmt}.mkv", "-c:v", "ffv1", "-pix_fmt", pix_fmt,
                      source="testsrc2=size=64x48:rate=25:duration=0.2")  # fmt: skip
    out = tmp_path / "out.mp4"
    enlarge(path, out, **QUICK)
    found = stream(out)
    assert (found["codec_name"], found["codec_tag_string"], found["pix_fmt"]) == ("hevc", "hvc1", pix_fmt)


@pytest.mark.parametrize("pix_fmt", ["yuv422p", "yuv444p", "gray"])
def test_subsampling_stays(pix_fmt: str, tmp_path: Path) -> None:
    path = clips.make(f"sub-{pix_fmt}.mkv", "-c:v", "ffv1", "-pix_fmt", pix_fmt,
                      source="testsrc2=size=64x48:rate=25:duration=0.2")  # fmt: skip
    out = tmp_path / "out.mkv"
    enlarge(path, out, encoder="ffv1")
    assert stream(out)["pix_fmt"] == pix_fmt
    assert abs(luma(path)[0].mean() - luma(out)[0].mean()) < 0.5


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_hdr10_metadata_stays(suffix: str, tmp_path: Path) -> None:
    path, out = clips.hdr10(), tmp_path / f"out{suffix}"
    enlarge(path, out, **QUICK)

    def metadata(of: Path) -> dict[str, dict[str, object]]:
        frame = clips.ffprobe(of, "frame", "-select_streams", "v:0", "-read_intervals", "%+#1")["frames"][0]
        kinds = ("Mastering display metadata", "Content light level metadata")
        return {d["side_data_type"]: d for d in frame["side_data_list"] if d["side_data_type"] in kinds}

    assert len(metadata(path)) == 2
    assert metadata(out) == metadata(path)
    assert {tag: stream(out).get(tag) for tag in TAGS} == {tag: stream(path).get(tag) for tag in TAGS}


# Pictures


def test_a_sixteen_bit_gray_scan_keeps_sixteen_bits(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    Image.fromarray(ramp).save(tmp_path / "scan.png")
    enlarge(tmp_path / "scan.png", tmp_path / "out.png")
    with Image.open(tmp_path / "out.png") as picture:
        assert (picture.mode, picture.size) == ("I;16", (128, 128))
        large = np.asarray(picture).astype(float)
    assert abs(large.mean() - ramp.mean()) < 2
    assert len(np.unique(large)) > 4000


def test_orientation_and_profile_of_a_picture_stay(tmp_path: Path) -> None:
    picture = Image.new("RGB", (48, 32), (10, 200, 100))
    exif = picture.getexif()
    exif[0x0112] = 6
    profile = b"\0\0\0\x80" + bytes(124)
    picture.save(tmp_path / "turned.jpg", exif=exif, icc_profile=profile, quality=95)
    enlarge(tmp_path / "turned.jpg", tmp_path / "out.jpg")
    with Image.open(tmp_path / "out.jpg") as out:
        assert out.size == (96, 64)
        assert out.getexif()[0x0112] == 6
        assert out.info["icc_profile"] == profile


@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_pages_that_are_not_read_are_a_warning(mode: str, tmp_path: Path) -> None:
    pages = [Image.new(mode, (48, 32)) for _ in range(4)]
    pages[0].save(tmp_path / "in.tif", save_all=True, append_images=pages[1:])
    report = enlarge(tmp_path / "in.tif", tmp_path / "out.tif")
    assert "only the first of 4 pages is read" in report.warnings


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_each_picture_of_a_sequence_keeps_its_own_orientation(suffix: str, tmp_path: Path) -> None:
    for number, orientation in enumerate((6, 6, 1), start=1):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.new("RGB", (48, 32), (10, 200, 100)).save(tmp_path / f"{number}{suffix}", exif=exif)
    enlarge(tmp_path / f"%d{suffix}", tmp_path / "out" / f"%d{suffix}")
    found = []
    for number in (1, 2, 3):
        with Image.open(tmp_path / "out" / f"{number}{suffix}") as image:
            found.append(image.getexif().get(0x0112, 1))
    assert found == [6, 6, 1]


def test_a_video_made_of_pictures_is_turned_as_they_are(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for number in (1, 2):
        Image.new("RGB", (48, 32), (10, 200, 100)).save(tmp_path / f"{number}.jpg", exif=exif)
    enlarge(tmp_path / "%d.jpg", tmp_path / "out.mp4", **QUICK)
    assert stream(tmp_path / "out.mp4")["side_data_list"][0]["rotation"] == -90


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_gray_pictures_keep_their_levels_as_a_video(suffix: str, tmp_path: Path) -> None:
    ramp = np.tile(np.arange(256, dtype=np.uint8), (32, 1))
    for number in (1, 2):
        Image.fromarray(ramp).save(tmp_path / f"{number}{suffix}")
    enlarge(tmp_path / f"%d{suffix}", tmp_path / "out.mp4", **QUICK)
    assert stream(tmp_path / "out.mp4")["color_range"] == "pc"
