"""Pictures keep depth, channels, profile and orientation."""

from __future__ import annotations

import itertools
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support import clips
from tests.support.sinks import through
from vsr.core.errors import ConfigError, EncodeError
from vsr.media.read.open import open_source
from vsr.media.types import SinkOptions, SourceOptions
from vsr.media.write.sink import open_sink

SMALL = "testsrc2=size=64x48:rate=25:duration=0.2"


def picture(pix_fmt: str, ending: str = "png") -> Path:
    return clips.make(f"still_{pix_fmt}.{ending}", "-frames:v", "1", "-pix_fmt", pix_fmt, source=SMALL)


def samples(path: Path) -> tuple[str, np.ndarray]:
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        return frame.format.name, frame.to_ndarray()


@pytest.mark.parametrize(
    "pix_fmt", ["gray", "gray16be", "rgb24", "rgb48be", "rgba", "rgba64be", "ya8", "ya16be"]
)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_lossless_formats_keep_every_code(tmp_path: Path, pix_fmt: str, ending: str) -> None:
    given = picture(pix_fmt)
    sink = through(given, tmp_path / f"out.{ending}")
    assert sink.warnings == []
    with open_source(str(given)) as a, open_source(str(tmp_path / f"out.{ending}")) as b:
        before, after = next(iter(a)), next(iter(b))
        assert after.format == before.format
        for x, y in zip(before.planes, after.planes, strict=True):
            assert (np.asarray(x) == np.asarray(y)).all()
    assert [p.name for p in tmp_path.iterdir()] == [f"out.{ending}"]


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "avif", "bmp", "jp2", "tif", "gif"])
def test_levels_of_each_format(tmp_path: Path, ending: str) -> None:
    flat = clips.make("flat.png", "-frames:v", "1", "-pix_fmt", "rgb24", source="color=0x406080:size=64x48")
    through(flat, tmp_path / f"out.{ending}", scale=2)
    with Image.open(tmp_path / f"out.{ending}") as image:
        assert image.size == (128, 96)
        mean = np.asarray(image.convert("RGB"), float).mean((0, 1))
    with Image.open(flat) as image:
        wanted = np.asarray(image.convert("RGB"), float).mean((0, 1))
    assert mean == pytest.approx(wanted, abs=2.5 if ending == "avif" else 1.0)


@pytest.mark.parametrize("pix_fmt", ["yuvj420p", "yuvj444p"])
def test_jpeg_stays_jpeg(tmp_path: Path, pix_fmt: str) -> None:
    given = clips.make(f"{pix_fmt}.jpg", "-frames:v", "1", "-pix_fmt", pix_fmt, "-q:v", "1", source=SMALL)
    through(given, tmp_path / "out.jpg")
    _, before = samples(given)
    with open_source(str(given)) as a, open_source(str(tmp_path / "out.jpg")) as b:
        first, second = next(iter(a)), next(iter(b))
        for x, y in zip(first.planes, second.planes, strict=True):
            assert np.asarray(y).mean() == pytest.approx(np.asarray(x).mean(), abs=0.5)
    assert before is not None


@pytest.mark.parametrize(
    ("given", "ending"), list(itertools.product(["jpg", "png"], ["jpg", "png", "webp", "avif", "tif"]))
)
def test_profile_and_orientation(tmp_path: Path, given: str, ending: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[274] = 6
    exif[270] = "a caption"
    with Image.open(picture("rgb24")) as image:
        image.save(tmp_path / f"in.{given}", icc_profile=profile, exif=exif.tobytes())
    through(tmp_path / f"in.{given}", tmp_path / f"out.{ending}")
    with Image.open(tmp_path / f"out.{ending}") as image:
        assert image.info["icc_profile"] == profile
        assert image.getexif()[274] == 6
        if ending != "tif":
            assert image.getexif()[270] == "a caption"


def test_losses_are_named(tmp_path: Path) -> None:
    assert "alpha" in " ".join(through(picture("rgba"), tmp_path / "out.jpg").warnings)
    assert "16" in " ".join(through(picture("rgb48be"), tmp_path / "out.webp").warnings)
    assert "audio" in " ".join(
        through(clips.h264("cfr_sound.mp4", audio=True), tmp_path / "f" / "%d.png").warnings
    )


def test_deep_video_becomes_deep_pictures(tmp_path: Path) -> None:
    given = clips.make("deep.mkv", "-c:v", "ffv1", "-pix_fmt", "yuv420p10le", "-color_range", "tv",
                       source="color=white:size=64x48:rate=25:duration=0.08")  # fmt: skip
    through(given, tmp_path / "out" / "%03d.png")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["001.png", "002.png"]
    name, codes = samples(tmp_path / "out" / "001.png")
    assert name == "rgb48be"
    assert int(codes.astype(">u2").min() if codes.dtype == np.uint8 else codes.min()) >= 65000


def test_hdr_colours_are_told_by_png_and_named_elsewhere(tmp_path: Path) -> None:
    one = SourceOptions(duration_s=0.03)
    sink = through(clips.hdr10(), tmp_path / "out.png", reading=one)
    with open_source(str(tmp_path / "out.png")) as source:
        assert (source.info.color.primaries, source.info.color.transfer) == (9, 16)
    with Image.open(tmp_path / "out.png") as image:
        image.load()
    assert not [w for w in sink.warnings if "HDR" in w]
    assert [w for w in sink.warnings if "mastering display" in w]
    assert b"cICP" in (tmp_path / "out.png").read_bytes()[:60]
    sink = through(clips.hdr10(), tmp_path / "out.jpg", reading=one)
    assert [w for w in sink.warnings if "HDR" in w]
    sink = through(clips.h264("cfr.mp4"), tmp_path / "sdr.png", reading=one)
    assert sink.warnings == []
    assert b"cICP" not in (tmp_path / "sdr.png").read_bytes()


def test_sequence_is_refused_where_one_lies(tmp_path: Path) -> None:
    through(clips.h264("cfr.mp4"), tmp_path / "out" / "%03d.jpg")
    assert len(list((tmp_path / "out").iterdir())) == 25
    with pytest.raises(ConfigError, match=r"001\.jpg|\d\.jpg"):
        through(clips.h264("cfr.mp4"), tmp_path / "out" / "%03d.jpg")


def test_abandoned_sequence_leaves_nothing(tmp_path: Path) -> None:
    with open_source(str(clips.h264("cfr.mp4"))) as source:
        sink = open_sink(str(tmp_path / "out" / "%d.png"), SinkOptions(), source.carried, source.info)
        for _, frame in zip(range(3), source, strict=False):
            sink.write(frame)
        sink.abandon()
    assert list(tmp_path.iterdir()) == []


def test_one_picture_of_a_video_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncodeError, match="one picture"):
        through(clips.h264("cfr.mp4"), tmp_path / "out.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"quality": "101"}, {"quality": "good"}, {"preset": "fast"}])
def test_options_pictures_do_not_have(tmp_path: Path, options: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        through(picture("rgb24"), tmp_path / "out.jpg", encoder_options=options)


def test_quality_is_an_option(tmp_path: Path) -> None:
    for quality in ("20", "98"):
        through(picture("rgb24"), tmp_path / f"{quality}.jpg", encoder_options={"quality": quality})
    assert (tmp_path / "20.jpg").stat().st_size < (tmp_path / "98.jpg").stat().st_size


def test_options_for_video_are_told_to_have_no_effect(tmp_path: Path) -> None:
    sink = through(picture("rgb24"), tmp_path / "out.png", crf=18, preset="fast")
    assert [warning.split()[0] for warning in sink.warnings] == ["crf", "preset"]


def test_sides_beyond_the_format(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="16383"):
        through(picture("rgb24"), tmp_path / "out.webp", size=(20000, 100))


def test_wide_picture_beyond_ffmpegs_encoders(tmp_path: Path) -> None:
    through(picture("gray"), tmp_path / "out.png", size=(20000, 40))
    with Image.open(tmp_path / "out.png") as image:
        assert image.size == (20000, 40)
        image.load()


@pytest.mark.parametrize("ending", ["gif", "webp", "apng"])
def test_animations(tmp_path: Path, ending: str) -> None:
    through(clips.h264("tiny.mp4", source=SMALL), tmp_path / f"out.{ending}")
    with Image.open(tmp_path / f"out.{ending}") as image:
        frames = getattr(image, "n_frames", 1)
        lasting = 0
        for number in range(frames):
            image.seek(number)
            image.load()
            lasting += image.info["duration"]
    assert lasting == pytest.approx(200, abs=1)
    if ending != "webp":  # its encoder makes one of frames that look alike
        assert frames == 5
