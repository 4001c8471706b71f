"""Picture files: PNG and TIFF written row by row in any depth and size, the rest by Pillow."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from vsr.core.errors import EncodeError, reason
from vsr.media.palette import TRANSPARENT, Palettes
from vsr.media.types import PictureTags

Rows = npt.NDArray[Any]  # uint8 or uint16


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture to be written.

    channels: 1 gray, 2 gray and alpha, 3 RGB (or YCbCr where is_ycbcr), 4 RGB and alpha. bits: 8 or 16.
    rows(first, end) gives rows first to end - 1, shape (rows, width, channels), uint8 or uint16 in the machine's order.
    """

    width: int
    height: int
    channels: int
    bits: int
    rows: Callable[[int, int], Rows]
    is_ycbcr: bool = False


@dataclass(frozen=True, slots=True)
class PictureFormat:
    """The properties of a picture file format. max_side: in pixels; quality: its default, None if it has none."""

    name: str
    max_side: int
    bits: int
    alpha: bool
    quality: int | None = None
    tags: bool = True


PNG = PictureFormat("PNG", (1 << 31) - 1, 16, True)
TIFF = PictureFormat("TIFF", (1 << 31) - 1, 16, True)
JPEG = PictureFormat("JPEG", 65500, 8, False, 95)
WEBP = PictureFormat("WEBP", 16383, 8, True, 95)
BMP = PictureFormat("BMP", 32767, 8, False, tags=False)
AVIF = PictureFormat("AVIF", 65536, 8, True, 90)
JPEG2000 = PictureFormat("JPEG2000", (1 << 31) - 1, 8, True, tags=False)
GIF = PictureFormat("GIF", 65535, 8, True, tags=False)
PNM = PictureFormat("PPM", (1 << 31) - 1, 8, False, tags=False)

SUFFIXES: dict[str, PictureFormat] = {
    ".png": PNG, ".tif": TIFF, ".tiff": TIFF, ".jpg": JPEG, ".jpeg": JPEG, ".jpe": JPEG, ".jfif": JPEG, ".webp": WEBP,
    ".bmp": BMP, ".avif": AVIF, ".jp2": JPEG2000, ".j2k": JPEG2000, ".gif": GIF, ".ppm": PNM, ".pgm": PNM, ".pnm": PNM,
}  # fmt: skip


def write_picture(
    file: BinaryIO, fmt: PictureFormat, picture: Picture, tags: PictureTags, quality: float | None
) -> None:
    """Write a picture. quality 0 to 100 where the format has one, None for its default. Raises EncodeError or OSError."""
    if fmt is PNG:
        _write_png(file, picture, tags)
    elif fmt is TIFF:
        _write_tiff(file, picture, tags)
    else:
        _write_pillow(file, fmt, picture, tags, quality)


def _bands(picture: Picture) -> Iterator[tuple[int, int]]:
    """Ranges of rows of some four megabytes each."""
    row_bytes = picture.width * picture.channels * picture.bits // 8
    step = max(1, (4 << 20) // max(1, row_bytes))
    for first in range(0, picture.height, step):
        yield first, min(first + step, picture.height)


# PNG

_INCH_M = 0.0254
_PNG_COLOR_TYPE = {1: 0, 2: 4, 3: 2, 4: 6}


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _write_png(file: BinaryIO, picture: Picture, tags: PictureTags) -> None:
    file.write(b"\x89PNG\r\n\x1a\n")
    header = struct.pack(
        ">IIBBBBB", picture.width, picture.height, picture.bits, _PNG_COLOR_TYPE[picture.channels], 0, 0, 0
    )
    file.write(_chunk(b"IHDR", header))
    if tags.icc_profile:
        file.write(_chunk(b"iCCP", b"ICC Profile\x00\x00" + zlib.compress(tags.icc_profile)))
    if tags.dpi:
        across, down = (round(value / _INCH_M) for value in tags.dpi)
        file.write(_chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if tags.exif:
        file.write(_chunk(b"eXIf", tags.exif.removeprefix(b"Exif\x00\x00")))
    # Level 4 is twice as fast as 6 and a few per cent larger; filtering matters more.
    packer = zlib.compressobj(4)
    above = np.zeros((1, picture.width * picture.channels * picture.bits // 8), np.uint8)
    for first, end in _bands(picture):
        rows = picture.rows(first, end)
        codes = rows.astype(">u2", copy=False) if picture.bits == 16 else rows
        flat = np.ascontiguousarray(codes).view(np.uint8).reshape(end - first, -1)
        data = packer.compress(_filtered(flat, above, picture.channels * picture.bits // 8))
        above = flat[-1:].copy()
        if data:
            file.write(_chunk(b"IDAT", data))
    file.write(_chunk(b"IDAT", packer.flush()))
    file.write(_chunk(b"IEND", b""))


def _filtered(rows: npt.NDArray[np.uint8], above: npt.NDArray[np.uint8], step: int) -> bytes:
    """Scanlines with the better of the filters "sub" and "up", chosen row by row by the sum of differences."""
    count, width = rows.shape
    up = rows - np.concatenate([above, rows[:-1]])
    sub = rows.copy()
    sub[:, step:] -= rows[:, :-step]
    use_up = np.abs(up.view(np.int8).astype(np.int16)).sum(1) < np.abs(
        sub.view(np.int8).astype(np.int16)
    ).sum(1)
    out = np.empty((count, width + 1), np.uint8)
    out[:, 0] = np.where(use_up, 2, 1)
    out[:, 1:] = np.where(use_up[:, None], up, sub)
    return out.tobytes()


# TIFF

_SHORT, _LONG, _RATIONAL, _UNDEFINED = 3, 4, 5, 7
_TIFF_LIMIT = 0xFFFF_0000


def _write_tiff(file: BinaryIO, picture: Picture, tags: PictureTags) -> None:
    """Little-endian TIFF 6.0: deflated strips with the horizontal predictor."""
    file.write(b"II*\x00\x00\x00\x00\x00")
    position = 8
    offsets: list[int] = []
    sizes: list[int] = []
    bands = list(_bands(picture))
    for first, end in bands:
        rows = picture.rows(first, end).astype("<u2" if picture.bits == 16 else np.uint8, copy=False)
        differences = np.diff(rows, axis=1, prepend=np.zeros_like(rows[:, :1]))  # wraps around, as it should
        data = zlib.compress(differences.tobytes(), 4)
        file.write(data)
        offsets.append(position)
        sizes.append(len(data))
        position += len(data)
        if position > _TIFF_LIMIT:
            raise EncodeError("the TIFF file would be larger than 4 GB", hint="write a PNG file")
    channels = picture.channels
    entries: list[tuple[int, int, list[int] | bytes]] = [
        (256, _LONG, [picture.width]),
        (257, _LONG, [picture.height]),
        (258, _SHORT, [picture.bits] * channels),
        (259, _SHORT, [8]),  # deflate
        (262, _SHORT, [1 if channels < 3 else 2]),
        (273, _LONG, offsets),
        (274, _SHORT, [exif_orientation(tags.exif)]),
        (277, _SHORT, [channels]),
        (278, _LONG, [bands[0][1]]),
        (279, _LONG, sizes),
        (284, _SHORT, [1]),
        (317, _SHORT, [2]),
    ]
    if channels in (2, 4):
        entries.append((338, _SHORT, [2]))  # unassociated alpha
    if tags.dpi:
        entries += [
            (tag, _RATIONAL, struct.pack("<II", round(1000 * value), 1000))
            for tag, value in zip((282, 283), tags.dpi, strict=True)
        ]
        entries.append((296, _SHORT, [2]))  # an inch
    if tags.icc_profile:
        entries.append((34675, _UNDEFINED, tags.icc_profile))
    table, body = _directory(sorted(entries), position + position % 2)
    file.write(b"\x00" * (position % 2) + table + body)
    file.seek(4)
    file.write(struct.pack("<I", position + position % 2))


def _directory(entries: list[tuple[int, int, list[int] | bytes]], place: int) -> tuple[bytes, bytes]:
    table = struct.pack("<H", len(entries))
    body = b""
    after = place + 2 + 12 * len(entries) + 4
    for tag, kind, values in entries:
        count = len(values) // 8 if kind == _RATIONAL else len(values)
        data = (
            values
            if isinstance(values, bytes)
            else struct.pack(f"<{count}{'H' if kind == _SHORT else 'I'}", *values)
        )
        if len(data) <= 4:
            table += struct.pack("<HHI", tag, kind, count) + data.ljust(4, b"\x00")
        else:
            table += struct.pack("<HHII", tag, kind, count, after + len(body))
            body += data + b"\x00" * (len(data) % 2)
    return table + b"\x00" * 4, body


def exif_orientation(exif: bytes | None) -> int:
    """The orientation in an EXIF block, 1 (upright) if it has none."""
    if not exif:
        return 1
    from PIL import Image

    try:
        read = Image.Exif()
        read.load(exif)
        value = read.get(274, 1)
    except (ValueError, SyntaxError, OSError, KeyError, struct.error):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


# Rotation counter-clockwise, after mirroring left to right, by orientation.
ORIENTATIONS = {
    (0, False): 1, (0, True): 2, (180, False): 3, (180, True): 4, (270, True): 7, (270, False): 6, (90, True): 5,
    (90, False): 8,
}  # fmt: skip


def exif_with_orientation(orientation: int) -> bytes:
    """An EXIF block that holds an orientation and nothing else."""
    from PIL import Image

    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()


# The rest

_PILLOW_MODE = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}


def _write_pillow(
    file: BinaryIO, fmt: PictureFormat, picture: Picture, tags: PictureTags, quality: float | None
) -> None:
    from PIL import Image

    pixels = np.empty((picture.height, picture.width, picture.channels), np.uint8)
    for first, end in _bands(picture):
        pixels[first:end] = picture.rows(first, end)
    if fmt is GIF:
        _write_gif(file, pixels)
        return
    mode = "YCbCr" if picture.is_ycbcr else _PILLOW_MODE[picture.channels]
    image = Image.frombuffer(mode, (picture.width, picture.height), pixels, "raw", mode, 0, 1)
    if mode == "LA" and fmt in (WEBP, AVIF):
        image = image.convert("RGBA")
    options: dict[str, object] = {}
    if quality is None:
        quality = fmt.quality
    if quality is not None:
        options["quality"] = round(quality)
    if fmt is JPEG:
        options.update(subsampling=0, optimize=picture.width * picture.height < 1 << 22)
    elif fmt is WEBP:
        # Without "sharp" chroma saturated edges change their mean level.
        options.update(method=4, use_sharp_yuv=True, lossless=quality is not None and quality >= 100)
    elif fmt is AVIF:
        options.update(subsampling="4:4:4", speed=7)
    if fmt.tags and tags.icc_profile:
        options["icc_profile"] = tags.icc_profile
    if tags.dpi and fmt in (JPEG, BMP):
        options["dpi"] = tags.dpi
    if fmt.tags and tags.exif:
        options["exif"] = tags.exif
    try:
        image.save(file, fmt.name, **options)
    except (ValueError, KeyError, RuntimeError) as error:
        raise EncodeError(f"cannot write a {fmt.name} picture: {reason(error)}") from error


def _write_gif(file: BinaryIO, pixels: Rows) -> None:
    """Pixels of 1 to 4 channels in colours of their own; those more than half transparent are so altogether."""
    from PIL import Image

    if pixels.shape[2] < 3:  # gray, with alpha or without
        pixels = pixels[..., [0, 0, 0, *range(1, pixels.shape[2])]]
    found = Palettes()(pixels)
    image = Image.fromarray(found.indices, "P")
    image.putpalette(found.colours[:, :3].tobytes())
    transparency = {"transparency": TRANSPARENT} if (found.indices == TRANSPARENT).any() else {}
    image.save(file, "GIF", optimize=False, **transparency)
