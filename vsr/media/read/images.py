"""Reading image files: through FFmpeg where it does them justice, through Pillow otherwise."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image

from vsr.core.color import Color, Range
from vsr.core.errors import ConfigError, DecodeError, SourceOpenError
from vsr.core.frame import Frame, PixelFormat, Plane
from vsr.core.video import VideoInfo
from vsr.media.address import check_file, is_sequence, is_url
from vsr.media.pictures.tags import orientation_of, pillow_opened, tags_of
from vsr.media.types import Carried, ImageTags, Source, SourceCounters, SourceOptions

# fmt: off
IMAGE_SUFFIXES = frozenset({
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".tga", ".ppm", ".pgm",
    ".pbm", ".pnm", ".pam", ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".exr", ".dpx", ".sgi", ".ras", ".pcx",
    ".qoi", ".hdr", ".dds", ".gif",
})
# fmt: on
# Modes FFmpeg's decoders take for something else, or not at all.
_PILLOW_MODES = frozenset({"CMYK", "LAB", "HSV", "YCbCr"})
_FFMPEG_KNOWS = frozenset({"JPEG", "MPO", "PNG", "GIF", "BMP"})
_STILL_TIME_BASE = Fraction(1, 25)


def is_image_file(url: str) -> bool:
    """Whether an address is an image file by its name."""
    return Path(url).suffix.lower() in IMAGE_SUFFIXES and not is_url(url) and not is_sequence(url)


def fits_ffmpeg(width: int, height: int) -> bool:
    """Whether FFmpeg holds pictures of that size (av_image_check_size)."""
    return (width + 128) * (height + 128) < (2**31 - 1) // 8


def is_animation(path: Path) -> bool:
    """Whether an image file, as Pillow reads it, holds more than one picture."""
    with pillow_opened(path) as image:
        return image is not None and _num_frames(image) > 1


def open_image(url: str, options: SourceOptions) -> Source:
    """Open an image file; animations (GIF, APNG, WebP, AVIF) become video. Raises SourceOpenError."""
    from vsr.media.read.source import FileSource

    path = Path(url)
    check_file(path)
    tags, orientation, through_pillow = None, (0, False), False
    num_frames, kind = 1, ""
    left_out: tuple[str, ...] = ()
    with pillow_opened(path) as image:
        if image is not None:
            width, height = image.size
            if not fits_ffmpeg(width, height):
                raise SourceOpenError(
                    f"{path}: {width}x{height} is beyond what FFmpeg holds, about 16,000 x 16,000 pixels",
                    hint="cut it into smaller pictures first",
                )
            tags, orientation, kind = tags_of(image), orientation_of(image), image.format or ""
            num_frames = _num_frames(image) if kind in ("GIF", "PNG", "WEBP", "AVIF") else 1
            left_out = _left_out(image)
            through_pillow = image.mode in _PILLOW_MODES or (kind == "WEBP" and num_frames > 1)
            if kind == "AVIF" and num_frames == 1 and image.mode in ("RGBA", "LA"):
                through_pillow = True  # FFmpeg sees the alpha plane as another video
    if options.video_stream not in (None, 0):
        raise SourceOpenError(
            f"{path}: a picture has no video stream {options.video_stream}", hint="leave out --video-stream"
        )
    if through_pillow:
        return PillowSource(path, options)
    animated = num_frames > 1 and kind in ("GIF", "PNG", "AVIF")
    try:
        source = FileSource(url, options, is_image=not animated)
    except SourceOpenError:
        if not kind or kind in _FFMPEG_KNOWS:  # damaged, then: Pillow would fill in the rest
            raise
        return PillowSource(path, options)
    if source.has_tiles:
        source.close()
        if kind:
            return PillowSource(path, options)
        raise SourceOpenError(
            f"{path}: a picture made of tiles, which can't be joined here", hint="convert it to PNG first"
        )
    source.set_image_tags(tags, *orientation)
    source.carried = replace(source.carried, warnings=left_out)
    return source


def _num_frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # Of what is cut off after the first, Pillow raises nearly anything.
        return 1


def _left_out(image: Image.Image) -> tuple[str, ...]:
    """Sentences about the pages of a TIFF file that are not read."""
    pages = _num_frames(image) if image.format == "TIFF" else 1
    return (f"only the first of {pages} pages is read",) if pages > 1 else ()


class PillowSource:
    """A `Source` over an image file, decoded by Pillow to 8 bits (16 for gray that has them)."""

    def __init__(self, path: Path, options: SourceOptions) -> None:
        self.counters = SourceCounters()
        self.notes: list[str] = []
        self._path = path
        if options.start_s or options.duration_s is not None:
            raise ConfigError(
                f"{path}: read as pictures, where start and duration can't be chosen", hint="leave them out"
            )
        with pillow_opened(path) as image:
            if image is None:
                raise SourceOpenError(
                    f"{path}: not a picture FFmpeg or Pillow reads", hint="convert it to PNG first"
                )
            left_out, tags = _left_out(image), tags_of(image)
            rotation, mirrored = orientation_of(image)
            self._num_frames = getattr(image, "n_frames", 1) if image.format in ("WEBP", "GIF", "PNG") else 1
            still = self._num_frames == 1
            try:
                self._format, _ = planes_from_image(image)
            except DecodeError as error:
                raise SourceOpenError(f"{path}: {error.message}", hint="convert it to PNG first") from error
            except Exception as error:
                raise SourceOpenError(
                    f"{path}: damaged: {error}", hint="check that it opens elsewhere"
                ) from error
            if image.mode == "CMYK":
                self.notes.append("CMYK is brought to RGB; its colour profile no longer applies")
                tags = ImageTags(None, tags.exif) if tags else None
            width, height = image.size
            self._color = Color(0 if self._format.kind == "rgb" else 2, range=Range.FULL)
            codec = (image.format or "image").lower()
        self.carried = Carried(str(path), image_tags=tags, strict=options.strict, warnings=left_out)
        self.info = VideoInfo(
            width=width,
            height=height,
            format=self._format,
            color=self._color,
            rotation=rotation,
            mirrored=mirrored,
            time_base=_STILL_TIME_BASE if still else Fraction(1, 1000),
            codec=codec,
            num_frames_from_header=self._num_frames,
            is_image=still,
        )

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        pts = 0
        for index in range(self._num_frames):
            with pillow_opened(self._path) as image:
                if image is None:
                    raise DecodeError(f"{self._path}: has become unreadable")
                try:
                    if index:
                        image.seek(index)
                    fmt, planes = planes_from_image(image, self._format)
                    duration = 1 if self.info.is_image else int(image.info.get("duration", 100)) or 100
                except DecodeError:
                    raise
                except Exception as error:
                    raise DecodeError(f"{self._path}: picture {index}: {error}") from error
            self.counters.frames += 1
            yield Frame(
                planes=planes,
                width=self.info.width,
                height=self.info.height,
                format=fmt,
                color=self._color,
                pts=pts,
                duration=duration,
                time_base=self.info.time_base,
                index=index,
            )
            pts += duration

    def close(self) -> None:
        """Nothing is held between frames."""


def planes_from_image(
    image: Image.Image, target: PixelFormat | None = None
) -> tuple[PixelFormat, Sequence[Plane]]:
    """The planes of a Pillow image, in `target` or the nearest format. Raises DecodeError for floating point."""
    mode = image.mode
    if mode == "F":
        raise DecodeError("floating point pictures of one channel are not read")
    if target is None:
        alpha = mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
        gray = mode in ("1", "L", "LA", "La") or mode.startswith("I")
        target = PixelFormat("gray" if gray else "rgb", 16 if mode.startswith("I") else 8, alpha=alpha)
    if target.bits == 16:
        codes = np.clip(np.asarray(image).astype(np.int64), 0, 65535).astype("<u2")
        return target, [codes.view(np.uint8)]
    letters = ("L" if target.kind == "gray" else "RGB") + ("A" if target.alpha else "")
    pixels = np.asarray(image.convert(letters))
    if pixels.ndim == 2:
        return target, [np.ascontiguousarray(pixels)]
    order = (0, 1) if target.kind == "gray" else (1, 2, 0, 3)[: target.num_planes]
    return target, [np.ascontiguousarray(pixels[..., c]) for c in order]
