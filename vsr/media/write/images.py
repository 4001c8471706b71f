"""Pictures as outputs: one file, or a numbered sequence of them."""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vsr.core.color import ChromaLocation, Color, Range, luma_coefficients
from vsr.core.errors import ConfigError, EncodeError
from vsr.core.frame import Frame, PixelFormat
from vsr.core.video import VideoInfo
from vsr.files.checks import check_writable, os_error, part_path
from vsr.files.whole import locked_part, sync_folder
from vsr.media.frames.planes import av_from_frame, av_name, check_planes, frame_from_av
from vsr.media.frames.resize import Converter
from vsr.media.pictures.files import (
    JPEG,
    ORIENTATIONS,
    PNG,
    SUFFIXES,
    Picture,
    PictureFormat,
    Rows,
    exif_with_orientation,
    write_picture,
)
from vsr.media.types import Carried, ImageTags, SinkCounters, SinkOptions

_NUMBER = re.compile(r"%(?:0(\d+))?d")
# Of H.273: PQ and HLG; BT.2020 and the two of P3.
_HDR_TRANSFERS = frozenset({16, 18})
_WIDE_PRIMARIES = frozenset({9, 11, 12})
_PNG_HEADER_BYTES = 33  # signature and IHDR, after which colour is told
# What also holds moving pictures; a still goes into these as a picture all the same.
_ANIMATED = frozenset({".gif", ".webp", ".avif"})


def is_image_output(url: str, info: VideoInfo, options: SinkOptions) -> bool:
    """Whether an output is a picture or a sequence of pictures; GIF and WebP are videos unless the source is a picture."""
    if options.container_format not in (None, "image2"):
        return False
    suffix = Path(url).suffix.lower()
    if suffix not in SUFFIXES or url.startswith("-"):
        return False
    return (
        suffix not in _ANIMATED or info.is_image or suffix == ".avif" or bool(_NUMBER.search(Path(url).name))
    )


class ImageSink:
    """Writes each frame as a picture under a `.part` name and renames it once it is whole. See `vsr.media.types.Sink`.

    A single picture is renamed by `finish`; those of a sequence one by one, numbered from 1. Gray stays gray, RGB RGB,
    alpha stays where the format has it, more than 8 bits become 16 where the format has them. JPEG takes YCbCr samples
    as they are, brought to full range and BT.601. The encoder option `quality`, 0 to 100, is for JPEG (95), WebP (95; 100 is
    lossless) and AVIF (90).
    """

    def __init__(self, url: str, options: SinkOptions, carried: Carried, info: VideoInfo) -> None:
        self.name = url
        self.counters = SinkCounters()
        self.warnings: list[str] = []
        self._options = options
        self._path = path = Path(url)
        self._format = SUFFIXES[path.suffix.lower()]
        self.encoder: str | None = self._format.name
        self._match = _NUMBER.search(path.name)
        self._size = options.size or (info.width, info.height)
        self._ended = False
        self._written: list[Path] = []
        self._part: Path | None = None
        self._file: io.BufferedRandom | None = None  # the part, locked as long as it is open
        self._made_folder = False
        self._quality = _check_options(self._format, options, self._size)
        check_writable(path, overwrite=options.overwrite, made_folder=self._match is not None)
        if self._match is not None and not options.overwrite:
            self._refuse_existing()
        self._tags = self._tags_for(carried, info)
        self._tell_losses(carried, info)

    def _refuse_existing(self) -> None:
        assert self._match is not None
        before, after = self._path.name[: self._match.start()], self._path.name[self._match.end() :]
        pattern = re.compile(re.escape(before) + r"\d+" + re.escape(after))
        with contextlib.suppress(FileNotFoundError):
            for entry in self._path.parent.iterdir():
                if pattern.fullmatch(entry.name):
                    raise ConfigError(
                        f"folder {str(self._path.parent)!r} holds {entry.name!r} already",
                        hint="choose another folder, or --overwrite",
                    )

    def _tags_for(self, carried: Carried, info: VideoInfo) -> ImageTags:
        tags = carried.image_tags or ImageTags()
        if tags.exif is None and (info.rotation or info.mirrored):
            return replace(
                tags, exif=exif_with_orientation(ORIENTATIONS[(info.rotation % 360, info.mirrored)])
            )
        return tags

    def _tell_losses(self, carried: Carried, info: VideoInfo) -> None:
        fmt, name, options = info.format, self._format.name, self._options
        for option in ("encoder", "crf", "bitrate", "preset", "pix_fmt"):
            if getattr(options, option) is not None:
                self.warnings.append(f"{option} is for video and has no effect on {name} pictures")
        if fmt.alpha and not self._format.alpha:
            self.warnings.append(
                f"{name} carries no alpha: the alpha channel is dropped; PNG, TIFF and WebP carry it"
            )
        if fmt.bits > self._format.bits:
            self.warnings.append(f"{name} holds 8 bits, the source has {fmt.bits}; PNG and TIFF hold 16")
        if not self._format.tags and (self._tags.icc_profile or self._tags.exif):
            self.warnings.append(f"the ICC profile and EXIF are left out: {name} is written without")
        elif self._format is SUFFIXES[".tif"] and carried.image_tags and carried.image_tags.exif:
            self.warnings.append("EXIF is left out but for the orientation: TIFF is written without")
        if self._format is not PNG and _needs_telling(info.color, self._tags):
            self.warnings.append(
                f"that the colours are HDR or of a wide gamut is left out: {name} is written without; PNG tells it"
            )
        if carried.mastering_display or carried.content_light:
            self.warnings.append(
                f"mastering display and content light metadata are left out: {name} is written without"
            )
        if info.sar != 1:
            self.warnings.append(
                f"the sample aspect ratio {info.sar} is left out: pictures have square pixels"
            )
        for stream in carried.copied:
            from vsr.media.write.copy import describe

            self.warnings.append(f"{describe(stream)} is left out: pictures hold nothing beside")

    def write(self, frame: Frame) -> None:
        """Write one frame as a picture. Raises EncodeError or FileError."""
        if self._ended:
            raise EncodeError(f"{self.name} is closed already")
        if self._match is None and self.counters.frames:
            raise EncodeError(
                f"{self._path.name} holds one picture, and the input has more frames",
                hint=f"name a sequence such as {self._path.stem}/%06d{self._path.suffix}, an .apng or a video",
            )
        target = self._target()
        picture = self._picture(frame)
        tags = frame.side.get("image_tags", self._tags)  # the files of a sequence have their own
        try:
            self._make_folder()
            part = part_path(target)
            self._file = file = io.BufferedRandom(locked_part(part))
            self._part = part
            write_picture(file, self._format, picture, tags, self._quality)
            if self._format is PNG and _needs_telling(frame.color, tags):
                _insert_cicp(file, frame.color)
            self.counters.bytes += file.seek(0, os.SEEK_END)
            file.flush()
            if self._match is None:
                os.fsync(file.fileno())
            else:
                self._commit(target)
                self._written.append(target)
        except OSError as error:
            self._drop_part()
            raise os_error(str(target), error) from error
        except MemoryError as error:
            self._drop_part()
            raise EncodeError(f"not enough memory to write {target}", hint="write a PNG file") from error
        except EncodeError:
            self._drop_part()
            raise
        self.counters.frames += 1
        self.counters.video_bytes = self.counters.bytes

    def _target(self) -> Path:
        if self._match is None:
            return self._path
        number = self.counters.frames + 1
        digits = f"{number:0{int(self._match[1] or 0)}d}"
        name = self._path.name
        return self._path.with_name(name[: self._match.start()] + digits + name[self._match.end() :])

    def _make_folder(self) -> None:
        if self._match is not None and not self._path.parent.exists():
            self._path.parent.mkdir()
            self._made_folder = True

    def _picture(self, frame: Frame) -> Picture:
        frame = _resized(frame, self._size)
        if frame.format.alpha and not self._format.alpha:
            frame = without_alpha(frame)
        if frame.format.kind == "yuv" and self._format is JPEG:
            return _ycbcr_picture(frame)
        return picture_of(frame, bits=16 if frame.format.bits > 8 and self._format.bits > 8 else 8)

    def finish(self) -> Path | None:
        """Give the picture its name; returns it, or the folder of a sequence. Raises EncodeError or FileError."""
        if self._ended:
            return None
        self._ended = True
        if self._match is not None:
            if self._written:
                sync_folder(self._path.parent)
            return self._path.parent
        if self._part is None:
            raise EncodeError(f"no frame came for {self._path}", hint="check the input")
        try:
            self._commit(self._path)
        except OSError as error:
            self._drop_part()
            raise os_error(str(self._path), error) from error
        sync_folder(self._path.parent)
        return self._path

    def keep_part(self) -> Path | None:
        """Leave what is there: the pictures of a sequence are whole, a single one keeps its `.part` name."""
        if self._ended:
            return None
        self._ended = True
        self._close()
        return self._path.parent if self._match is not None else self._part

    def abandon(self) -> None:
        """Delete what was written, the whole pictures of a sequence too."""
        if self._ended:
            return
        self._ended = True
        self._drop_part()
        for path in self._written:
            with contextlib.suppress(OSError):
                path.unlink()
        if self._made_folder:
            with contextlib.suppress(OSError):
                self._path.parent.rmdir()

    def _commit(self, target: Path) -> None:
        """Renamed while it is locked: another run may take the part the moment it is not."""
        assert self._part is not None
        os.replace(self._part, target)
        self._part = None
        self._close()

    def _drop_part(self) -> None:
        if self._part is not None:
            with contextlib.suppress(OSError):
                self._part.unlink(missing_ok=True)
            self._part = None
        self._close()

    def _close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):  # of a full disk, which was told of already
                self._file.close()
            self._file = None


def _check_options(fmt: PictureFormat, options: SinkOptions, size: tuple[int, int]) -> float | None:
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


def _needs_telling(color: Color, tags: ImageTags) -> bool:
    """Whether a picture would look wrong altogether as sRGB, which is what one without tags and profile is taken for."""
    if tags.icc_profile:
        return False  # it tells more than code points do, and these would go before it
    return color.transfer in _HDR_TRANSFERS or color.primaries in _WIDE_PRIMARIES


def _insert_cicp(file: BinaryIO, color: Color) -> None:
    """Tell in a PNG file what its codes mean: primaries and transfer of H.273, RGB, full range."""
    data = b"cICP" + bytes([color.primaries, color.transfer, 0, 1])
    file.seek(_PNG_HEADER_BYTES)
    rest = file.read()
    file.seek(_PNG_HEADER_BYTES)
    file.write(struct.pack(">I", 4) + data + struct.pack(">I", zlib.crc32(data)) + rest)


def _resized(frame: Frame, size: tuple[int, int]) -> Frame:
    if (frame.width, frame.height) == size:
        return frame
    name = av_name(frame.format)
    resize = Converter(name, (frame.width, frame.height), frame.color, name, size, frame.color)
    result = frame_from_av(resize(av_from_frame(frame)), target=frame.format)
    return replace(result, color=frame.color, side=frame.side)


def without_alpha(frame: Frame) -> Frame:
    """The frame with its last plane left out."""
    return replace(frame, planes=frame.planes[:-1], format=replace(frame.format, alpha=False))


def _codes(plane: object, fmt: PixelFormat, first: int, end: int) -> Rows:
    rows = np.asarray(plane)[first:end]
    codes: Rows = rows if fmt.bits == 8 else np.ascontiguousarray(rows).view("<u2")
    return codes


def picture_of(frame: Frame, *, bits: int) -> Picture:
    """A frame as gray or RGB of 8 or 16 bits, made a few rows at a time, each code rounded once."""
    check_planes(frame)
    if frame.format.kind == "yuv":
        frame = _with_full_chroma(frame)
    fmt = frame.format
    channels = fmt.num_planes
    top = (1 << bits) - 1
    kr, kg, kb = luma_coefficients(frame.color.matrix)
    is_full = frame.color.full_range or fmt.kind == "rgb"
    unit = 1 << (fmt.bits - 8)
    black, luma, chroma = (0, fmt.max_code, fmt.max_code) if is_full else (16 * unit, 219 * unit, 224 * unit)
    order = {"rgb": (2, 0, 1), "gray": (0,), "yuv": (0, 1, 2)}[fmt.kind]

    def alpha_rows(first: int, end: int) -> Rows:
        codes = _codes(frame.planes[-1], fmt, first, end)
        return codes if bits == fmt.bits else _rounded(codes * np.float32(top / fmt.max_code), top)

    def rows(first: int, end: int) -> Rows:
        out = np.empty((end - first, frame.width, channels), np.uint8 if bits == 8 else np.uint16)
        planes = [_codes(frame.planes[i], fmt, first, end) for i in order]
        if fmt.kind == "yuv":
            y = (planes[0].astype(np.float32) - black) * np.float32(top / luma)
            middle = np.float32(1 << (fmt.bits - 1))
            u, v = ((p.astype(np.float32) - middle) * np.float32(2 * top / chroma) for p in planes[1:3])
            planes = [y + (1 - kr) * v, y - (kb * (1 - kb) * u + kr * (1 - kr) * v) / kg, y + (1 - kb) * u]
            planes = [_rounded(p, top) for p in planes]
        elif fmt.kind == "gray" and not is_full and frame.color.range is Range.LIMITED:
            planes = [_rounded((planes[0].astype(np.float32) - black) * np.float32(top / luma), top)]
        elif bits != fmt.bits:
            planes = [_rounded(p * np.float32(top / fmt.max_code), top) for p in planes]
        for i, plane in enumerate(planes):
            out[:, :, i] = plane
        if fmt.alpha:
            out[:, :, -1] = alpha_rows(first, end)
        return out

    return Picture(frame.width, frame.height, channels, bits, rows)


def _rounded(values: npt.NDArray[Any], top: int) -> Rows:
    rounded: Rows = np.clip(np.rint(values), 0, top).astype(np.uint8 if top == 255 else np.uint16)
    return rounded


def _with_full_chroma(frame: Frame) -> Frame:
    """Chroma brought to the size of luma, from where it sits."""
    if frame.format.log2_chroma == (0, 0):
        return frame
    target = replace(frame.format, log2_chroma=(0, 0))
    color = replace(frame.color, chroma_location=ChromaLocation.UNSPECIFIED)
    size = frame.width, frame.height
    convert = Converter(av_name(frame.format), size, frame.color, av_name(target), size, color)
    return replace(frame_from_av(convert(av_from_frame(frame)), target=target), color=color)


def _ycbcr_picture(frame: Frame) -> Picture:
    """Full-range BT.601 samples for JPEG: as they are where they are that already."""
    target = PixelFormat("yuv", 8)
    color = Color(5, frame.color.primaries, frame.color.transfer, Range.FULL)
    given, size = replace(frame, color=_as_bt601(frame.color)), (frame.width, frame.height)
    if frame.format != target or given.color.range is not Range.FULL or given.color.matrix != 5:
        convert = Converter(av_name(frame.format), size, given.color, av_name(target), size, color)
        given = frame_from_av(convert(av_from_frame(given)), target=target)

    def rows(first: int, end: int) -> Rows:
        return np.stack([_codes(plane, target, first, end) for plane in given.planes[:3]], axis=2)

    return Picture(frame.width, frame.height, 3, 8, rows, is_ycbcr=True)


def _as_bt601(color: Color) -> Color:
    """The many names of the BT.601 matrix, and none, made one."""
    return replace(color, matrix=5) if color.matrix in (2, 5, 6) else color
