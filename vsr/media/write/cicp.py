"""The colour tags of PNG files for colours other than sRGB."""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO

from vsr.core.color import Color
from vsr.media.types import PictureTags

# Codes of H.273: PQ and HLG; BT.2020 and both P3 primaries.
_HDR_TRANSFERS = frozenset({16, 18})
_WIDE_PRIMARIES = frozenset({9, 11, 12})
_PNG_HEADER_BYTES = 33  # signature and IHDR, before the colour chunks


def needs_cicp(color: Color, tags: PictureTags) -> bool:
    """Whether a picture would look wrong altogether as sRGB, which is what one without tags and profile is taken for."""
    if tags.icc_profile:
        return False  # the profile says more than code points, and they would take precedence
    return color.transfer in _HDR_TRANSFERS or color.primaries in _WIDE_PRIMARIES


def insert_cicp(file: BinaryIO, color: Color) -> None:
    """Tell in a PNG file what its codes mean: primaries and transfer of H.273, RGB, full range."""
    data = b"cICP" + bytes([color.primaries, color.transfer, 0, 1])
    file.seek(_PNG_HEADER_BYTES)
    rest = file.read()
    file.seek(_PNG_HEADER_BYTES)
    file.write(struct.pack(">I", 4) + data + struct.pack(">I", zlib.crc32(data)) + rest)
