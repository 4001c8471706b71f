"""Pictures as outputs: one file, or a numbered sequence of them."""

from __future__ import annotations

import contextlib
import io
import os
from abc import abstractmethod
from dataclasses import replace
from pathlib import Path

from vsr.core.errors import ConfigError, EncodeError
from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.files.checks import check_writable, os_error, part_path, place_of
from vsr.files.whole import kept_part, locked_part, sync_folder
from vsr.media.address import NumberedName, numbered_name
from vsr.media.pictures.files import (
    ORIENTATIONS,
    PNG,
    SUFFIXES,
    PictureFormat,
    exif_with_orientation,
    write_picture,
)
from vsr.media.types import Carried, PictureTags, SinkCounters, SinkOptions
from vsr.media.write.as_picture import as_picture
from vsr.media.write.cicp import insert_cicp, needs_cicp
from vsr.media.write.endings import EndsOnce
from vsr.media.write.losses import lost_by_picture

# Formats that can also hold moving pictures; a still is written to these as a picture.
_ANIMATED = frozenset({".gif", ".webp", ".avif"})


def is_picture_output(url: str, info: VideoInfo, options: SinkOptions) -> bool:
    """Whether an output is a picture or a sequence of pictures; GIF and WebP are videos unless the source is a picture."""
    if options.container_format not in (None, "image2"):
        return False
    suffix = Path(url).suffix.lower()
    if suffix not in SUFFIXES or url.startswith("-"):
        return False
    return (
        suffix not in _ANIMATED
        or info.is_picture
        or suffix == ".avif"
        or numbered_name(Path(url).name) is not None
    )


def open_pictures(url: str, options: SinkOptions, carried: Carried, info: VideoInfo) -> PictureSink:
    """A sink for one picture, or for a numbered sequence of them."""
    kind = SinglePictureSink if numbered_name(Path(url).name) is None else SequenceSink
    return kind(url, options, carried, info)


class _Part:
    """A picture under its `.part` name, locked while it is open."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.path = part_path(target)
        self.file = io.BufferedRandom(locked_part(self.path))

    def commit(self) -> None:
        """Give it its name while it is locked: another run may take the part the moment it is not."""
        os.replace(self.path, place_of(self.target))
        self.close()

    def drop(self) -> None:
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # for example on a full disk, which was reported already
            self.file.close()


class PictureSink(EndsOnce):
    """Writes each frame as a picture under a `.part` name and renames it once it is whole. See `vsr.media.types.Sink`.

    The encoder option `quality`, 0 to 100, is for JPEG (95), WebP (95; 100 is lossless) and AVIF (90).
    """

    def __init__(self, url: str, options: SinkOptions, carried: Carried, info: VideoInfo) -> None:
        super().__init__()
        self.name = url
        self.counters = SinkCounters()
        self._path = Path(url)
        self._format = SUFFIXES[self._path.suffix.lower()]
        self.encoder: str | None = self._format.name
        self._size = options.size or (info.width, info.height)
        self._quality = _quality(self._format, options, self._size)
        self._check_place(overwrite=options.overwrite)
        self._tags = _tags_for(carried, info)
        self.warnings = lost_by_picture(self._format, self._tags, options, carried, info)

    @abstractmethod
    def _check_place(self, *, overwrite: bool) -> None:
        """Raise ConfigError where it cannot be written, or something is there already."""

    @abstractmethod
    def _next(self) -> Path:
        """The path of the next picture. Raises EncodeError if there must be no more."""

    def _begun(self, target: Path) -> _Part:
        """The part of that picture. Raises OSError, and ConfigError where another run writes it."""
        return _Part(target)

    @abstractmethod
    def _take(self, part: _Part) -> None:
        """Handle a complete part. Raises OSError."""

    def write(self, frame: Frame) -> None:
        """Write one frame as a picture. Raises EncodeError or FileError."""
        self._check_open()
        target = self._next()
        picture = as_picture(frame, self._format, self._size)
        tags = frame.side.get("picture_tags", self._tags)  # each file of a sequence has its own tags
        part: _Part | None = None
        try:
            part = self._begun(target)
            write_picture(part.file, self._format, picture, tags, self._quality)
            if self._format is PNG and needs_cicp(frame.color, tags):
                insert_cicp(part.file, frame.color)
            size = part.file.seek(0, os.SEEK_END)
            part.file.flush()
            self._take(part)
        except BaseException as error:
            if part is not None:
                part.drop()
            if isinstance(error, OSError):
                raise os_error(str(target), error) from error
            if isinstance(error, MemoryError):
                raise EncodeError(f"not enough memory to write {target}", hint="write a PNG file") from error
            raise
        self.counters.frames += 1
        self.counters.packets += 1
        self.counters.bytes += size
        self.counters.video_bytes = self.counters.bytes


class SinglePictureSink(PictureSink):
    """A sink for one picture, which gets its name by `finish`."""

    _part: _Part | None = None

    def _check_place(self, *, overwrite: bool) -> None:
        check_writable(self._path, overwrite=overwrite)

    def _next(self) -> Path:
        if self._part is not None:
            raise EncodeError(
                f"{self._path.name} holds one picture, and the input has more frames",
                hint=f"name a sequence such as {self._path.stem}/%06d{self._path.suffix}, an .apng or a video",
            )
        return self._path

    def _take(self, part: _Part) -> None:
        os.fsync(part.file.fileno())
        self._part = part

    def _finish(self) -> Path | None:
        """Give the picture its name. Raises EncodeError or FileError."""
        if self._part is None:
            raise EncodeError(f"no frame came for {self._path}", hint="check the input")
        try:
            self.on_whole(os.fstat(self._part.file.fileno()))
            self._part.commit()
        except OSError as error:
            self._part.drop()
            raise os_error(str(self._path), error) from error
        sync_folder(self._path.parent)
        return self._path

    def _keep_part(self) -> Path | None:
        if self._part is None:
            return None
        try:
            return kept_part(self._part.path)
        except OSError as error:
            raise os_error(str(self._part.path), error) from error
        finally:
            self._part.close()

    def _abandon(self) -> None:
        if self._part is not None:
            self._part.drop()


class SequenceSink(PictureSink):
    """A sink for pictures numbered from 1. Each gets its name at once."""

    def _check_place(self, *, overwrite: bool) -> None:
        self._written: list[Path] = []
        self._made_folder = False
        check_writable(self._path, overwrite=overwrite, made_folder=True)
        if overwrite:
            return
        with contextlib.suppress(FileNotFoundError):
            for entry in self._path.parent.iterdir():
                if self._name.pattern.fullmatch(entry.name):
                    raise ConfigError(
                        f"folder {str(self._path.parent)!r} holds {entry.name!r} already",
                        hint="choose another folder, or --overwrite",
                    )

    @property
    def _name(self) -> NumberedName:
        name = numbered_name(self._path.name)
        assert name is not None
        return name

    def _next(self) -> Path:
        return self._path.with_name(self._name.numbered(self.counters.frames + 1))

    def _begun(self, target: Path) -> _Part:
        if not target.parent.exists():
            target.parent.mkdir()
            self._made_folder = True
        return super()._begun(target)

    def _take(self, part: _Part) -> None:
        part.commit()
        self._written.append(part.target)

    def _finish(self) -> Path | None:
        """The folder, with all names safe on the disk."""
        if self._written:
            sync_folder(self._path.parent)
        return self._path.parent

    def _keep_part(self) -> Path | None:
        """The folder: the pictures that are there are whole."""
        return self._path.parent

    def _abandon(self) -> None:
        """Delete the whole pictures, too."""
        for path in self._written:
            with contextlib.suppress(OSError):
                path.unlink()
        if self._made_folder:
            with contextlib.suppress(OSError):
                self._path.parent.rmdir()


def _tags_for(carried: Carried, info: VideoInfo) -> PictureTags:
    tags = carried.picture_tags or PictureTags()
    if tags.exif is None and (info.rotation or info.mirrored):
        return replace(tags, exif=exif_with_orientation(ORIENTATIONS[(info.rotation % 360, info.mirrored)]))
    return tags


def _quality(fmt: PictureFormat, options: SinkOptions, size: tuple[int, int]) -> float | None:
    """The quality that is asked for, None for the format's own."""
    quality = None
    for name, value in options.encoder_options.items():
        if name != "quality" or fmt.quality is None:
            own = "its only one is quality, 0 to 100" if fmt.quality is not None else "leave it out"
            raise ConfigError(f"{fmt.name} pictures have no option {name!r}", hint=own)
        try:
            quality = float(value)
        except ValueError:
            quality = -1.0
        if not 0 <= quality <= 100:
            raise ConfigError(f"quality {value} is out of range for {fmt.name}", hint="give 0 to 100")
    if max(size) > fmt.max_side:
        raise ConfigError(
            f"{size[0]}x{size[1]} is too large for {fmt.name}, which holds {fmt.max_side} pixels a side",
            hint="write a PNG or TIFF file",
        )
    return quality
