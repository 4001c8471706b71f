"""Picture files as Pillow sees them, and the formats that Pillow reads for vsr."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vsr.core.color import Color, Range
from vsr.core.errors import ConfigError, DecodeError, SourceOpenError
from vsr.core.frame import Frame, PixelFormat, Plane, Reset
from vsr.core.video import VideoInfo
from vsr.media.address import is_sequence, is_url
from vsr.media.pictures.animations import animation_in
from vsr.media.pictures.packets import FoundTags
from vsr.media.pictures.pillow import pillow_opened
from vsr.media.pictures.tags import orientation_of, tags_of
from vsr.media.types import Carried, Source, SourceCounters, SourceOptions

if TYPE_CHECKING:
    from PIL import Image

# fmt: off
READABLE_PICTURES = frozenset({
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".tif", ".tiff", ".tga", ".ppm", ".pgm",
    ".pbm", ".pnm", ".pam", ".avif", ".heic", ".heif", ".jp2", ".j2k", ".jxl", ".exr", ".dpx", ".sgi", ".ras", ".pcx",
    ".qoi", ".hdr", ".dds", ".gif",
})
# fmt: on
# Modes that FFmpeg's decoders misread or refuse.
_PILLOW_MODES = frozenset({"CMYK", "LAB", "HSV", "YCbCr"})
_STILL_TIME_BASE = Fraction(1, 25)


def is_picture_file(url: str) -> bool:
    """Whether an address is a picture file by its name."""
    return Path(url).suffix.lower() in READABLE_PICTURES and not is_url(url) and not is_sequence(url)


def fits_ffmpeg(width: int, height: int) -> bool:
    """Whether FFmpeg holds pictures of that size (av_image_check_size)."""
    return (width + 128) * (height + 128) < (2**31 - 1) // 8


def is_animation(path: Path) -> bool:
    """Whether a picture file holds more than one picture."""
    with pillow_opened(path) as image:
        return _moves(path, image)[0]


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """Facts of a picture file by Pillow. kind: its name of the format, "" where it cannot read the file. needs_pillow:
    FFmpeg would get the picture wrong. is_animation: FFmpeg gives several frames. warnings: sentences about unread parts.
    damage: the damage of an animation, in words."""

    kind: str = ""
    tags: FoundTags = field(default_factory=FoundTags)
    needs_pillow: bool = False
    is_animation: bool = False
    warnings: tuple[str, ...] = ()
    damage: str = ""


def picture_facts(path: Path) -> PictureFacts:
    """Look into the header of a picture file. Raises SourceOpenError where the picture is too large for FFmpeg."""
    with pillow_opened(path) as image:
        moves, damage = _moves(path, image)
        if image is None:
            return PictureFacts(is_animation=moves, damage=damage)
        width, height = image.size
        if not fits_ffmpeg(width, height):
            raise SourceOpenError(
                f"{path}: {width}x{height} is beyond what FFmpeg holds, about 16,000 x 16,000 pixels",
                hint="cut it into smaller pictures first",
            )
        kind = image.format or ""
        # FFmpeg sees the alpha plane of an AVIF as another video.
        alpha_apart = kind == "AVIF" and not moves and image.mode in ("RGBA", "LA")
        return PictureFacts(
            kind=kind,
            tags=FoundTags(tags_of(image), orientation_of(image)),
            needs_pillow=image.mode in _PILLOW_MODES or (kind == "WEBP" and moves) or alpha_apart,
            is_animation=moves,
            warnings=_left_out(image),
            damage=damage,
        )


def _moves(path: Path, image: Image.Image | None) -> tuple[bool, str]:
    """Whether a file holds more than one picture, and its damage."""
    try:
        found = animation_in(path)
    except OSError:
        found = None
    if found is not None:
        return found.moves, found.damage
    return image is not None and image.format in ("WEBP", "AVIF") and _num_frames(image) > 1, ""


def _num_frames(image: Image.Image) -> int:
    try:
        return int(getattr(image, "n_frames", 1))
    except Exception:  # If a file is cut off after the first picture, Pillow raises nearly any error.
        return 1


def _left_out(image: Image.Image) -> tuple[str, ...]:
    """Sentences about the pages of a TIFF file that are not read."""
    pages = _num_frames(image) if image.format == "TIFF" else 1
    return (f"only the first of {pages} pages is read",) if pages > 1 else ()


class PillowSource:
    """A `Source` over a picture file, decoded by Pillow to 8 bits (16 for gray that has them)."""

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
            warnings, tags = _left_out(image), tags_of(image)
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
                tags = replace(tags, icc_profile=None) if tags else None
            width, height = image.size
            self._color = Color(0 if self._format.kind == "rgb" else 2, range=Range.FULL)
            codec = (image.format or "image").lower()
        self.carried = Carried(str(path), picture_tags=tags, strict=options.strict, warnings=warnings)
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
            is_picture=still,
        )
        self._frames = self._read()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        """The frames, once."""
        frames, self._frames = self._frames, iter(())
        return frames

    def peek(self) -> Frame | None:
        """See `Source`."""
        first = next(self._frames, None)
        if first is not None:
            self._frames = chain([first], self._frames)
        return first

    def _read(self) -> Iterator[Frame]:
        pts = 0
        for index in range(self._num_frames):
            with pillow_opened(self._path) as image:
                if image is None:
                    raise DecodeError(f"{self._path}: has become unreadable")
                try:
                    if index:
                        image.seek(index)
                    fmt, planes = planes_from_image(image, self._format)
                    duration = 1 if self.info.is_picture else int(image.info.get("duration", 100)) or 100
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
                starts=None if index else Reset.START,
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
