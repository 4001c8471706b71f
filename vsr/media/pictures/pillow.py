"""The one place where picture files are opened with Pillow: by a list of formats, none of which starts a program."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from PIL import Image

# Without a list Pillow tries all its formats, whatever the file's name. One of them is EPS, for which it starts Ghostscript.
# TGA has no signature and comes last.
_FORMATS = (
    "PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "DIB", "JPEG2000", "PPM", "SGI", "SUN", "PCX", "DDS", "QOI", "TGA"
)  # fmt: skip

_limit_lock = threading.RLock()


def open_image(file: Path | BinaryIO) -> Image.Image:
    """An opened image, its header read. Raises whatever broken bytes lead Pillow's plugins to."""
    from PIL import Image, features

    reads_avif = features.check("avif")
    return Image.open(file, formats=["AVIF", *_FORMATS] if reads_avif else _FORMATS)


@contextmanager
def pillow_opened(file: Path | BinaryIO) -> Iterator[Image.Image | None]:
    """The image, its header read, whatever its size; None if Pillow cannot read it."""
    from PIL import Image

    with _limit_lock:
        # Pillow's guard against huge pictures is for servers; vsr's callers check FFmpeg's limit.
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    image = open_image(file)
                except Exception:  # Broken bytes make Pillow's plugins raise any exception; FFmpeg decides.
                    yield None
                    return
                with image:
                    yield image
        finally:
            Image.MAX_IMAGE_PIXELS = limit
