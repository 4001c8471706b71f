"""Facts in the bytes of pictures that FFmpeg passes on whole: orientation, ICC profile and EXIF, and whether they are cut
off."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from vsr.media.address import sequence_files
from vsr.media.pictures.files import ORIENTATIONS, exif_with_orientation
from vsr.media.pictures.pillow import pillow_opened
from vsr.media.pictures.tags import orientation_of, tags_of
from vsr.media.types import PictureTags

_PIPED = "_pipe"  # end of FFmpeg's names for demuxers of a picture's bytes: "jpeg_pipe", "png_pipe"


@dataclass(frozen=True, slots=True)
class FoundTags:
    """The data beside a picture's pixels. orientation: rotation and mirrored as in VideoInfo."""

    tags: PictureTags | None = None
    orientation: tuple[int, bool] = (0, False)


def holds_pictures(format_name: str) -> bool:
    """Whether a demuxer of that name gives a picture a packet, rather than a video's."""
    return format_name == "image2" or format_name.endswith(_PIPED)


def is_cut_jpeg(data: bytes) -> bool:
    """Whether a JPEG file ends before its picture does; what follows the picture doesn't matter."""
    at = data.find(b"\xff\xd8") + 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:  # to the scan, past thumbnails
        at += 1 if data[at + 1] == 0xFF else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return data.find(b"\xff\xd9", at) < 0


def tags_of_file(path: Path) -> FoundTags:
    """The tags of a picture file; none if Pillow cannot read it."""
    return _tags_found(path)


def tags_of_bytes(data: bytes) -> FoundTags:
    """The tags of a picture file in memory; none if Pillow cannot read it."""
    return _tags_found(io.BytesIO(data))


def _tags_found(file: Path | BinaryIO) -> FoundTags:
    with pillow_opened(file) as image:
        return FoundTags() if image is None else FoundTags(tags_of(image), orientation_of(image))


class SequenceTags:
    """The tags of a sequence's files, one by one as their frames come: they may differ."""

    def __init__(self, url: str, first: int) -> None:
        """Read the tags of the first wanted file; files count from 0."""
        self._files = sequence_files(url)
        self._turned = 0
        self.first = self._read(first)

    def _read(self, number: int) -> FoundTags:
        return tags_of_file(self._files[number]) if 0 <= number < len(self._files) else FoundTags()

    def at(self, number: int) -> PictureTags:
        """The tags of one file, its orientation in the EXIF data; empty if it has none."""
        found = self._read(number)
        self._turned += found.orientation != self.first.orientation
        tags = found.tags or PictureTags()
        if tags.exif is None and any(found.orientation):  # if it stood elsewhere, as in TIFF
            tags = replace(tags, exif=exif_with_orientation(ORIENTATIONS[found.orientation]))
        return tags

    def notes(self) -> list[str]:
        """Notes about the tags, once all files have been read."""
        if not self._turned:
            return []
        turned = f"{self._turned} of the pictures are turned otherwise than the first"
        return [f"{turned}: a video shows all as the first, pictures keep their own"]
