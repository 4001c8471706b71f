"""ICC profiles and EXIF blocks of picture files, read with Pillow: FFmpeg's way to them crashes PyAV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vsr.media.pictures.pillow import pillow_opened
from vsr.media.types import PictureTags

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION = 0x0112

# EXIF orientation: (counter-clockwise degrees, mirrored left to right first).
ORIENTATIONS: dict[int, tuple[int, bool]] = {
    1: (0, False),
    2: (0, True),
    3: (180, False),
    4: (180, True),
    5: (90, True),
    6: (270, False),
    7: (270, True),
    8: (90, False),
}


def tags_of(image: Image.Image) -> PictureTags | None:
    """ICC profile, EXIF block and plays of an opened image; None if it has none of them."""
    icc = image.info.get("icc_profile")
    exif = image.info.get("exif")
    if exif is None:
        try:
            block = image.getexif()
            exif = block.tobytes() if len(block) and image.format in ("PNG", "WEBP", "JPEG") else None
        except Exception:  # A broken block is dropped: a good picture must not fail because of it.
            exif = None
    if not isinstance(icc, bytes):
        icc = None
    if not isinstance(exif, bytes):
        exif = None
    tags = PictureTags(icc or None, exif or None, plays_of(image), _dpi_of(image))
    return None if tags == PictureTags() else tags


def _dpi_of(image: Image.Image) -> tuple[float, float] | None:
    """Dots an inch; None if it has none, or an impossible value."""
    try:
        across, down = (float(value) for value in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


def orientation_of(image: Image.Image) -> tuple[int, bool]:
    """(rotation, mirrored) of an image's EXIF orientation, as in VideoInfo."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # A broken block gives no orientation.
        return 0, False
    return ORIENTATIONS.get(value, (0, False))


def read_picture_tags(path: Path) -> PictureTags | None:
    """The tags of a picture file by `tags_of`; None if there are none, or Pillow cannot read the file."""
    with pillow_opened(path) as image:
        return tags_of(image) if image is not None else None


def plays_of(image: Image.Image) -> int | None:
    """How often an opened animation plays, 0 for endlessly; None where it does not say."""
    loop = image.info.get("loop")
    if image.format == "GIF":  # GIF counts the repeats after the first time
        return 1 if loop is None else loop and loop + 1
    return loop if isinstance(loop, int) else None
