"""Frames that a caller already has, as a source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

from vsr.core.frame import Frame
from vsr.core.video import VideoInfo
from vsr.media.types import ContentLight, ImageTags, MasteringDisplay, PacketShelf, SourceCounters

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream


class FrameSource:
    """A `Source` over frames in memory: nothing to copy, nothing to close."""

    def __init__(self, frames: Iterable[Frame], info: VideoInfo, name: str = "frames") -> None:
        self.name = name
        self.info = info
        self.container: InputContainer | None = None
        self.stream: Stream | None = None
        self.copied: list[Stream] = []
        self.shelf = PacketShelf()
        self.counters = SourceCounters()
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.mastering_display: MasteringDisplay | None = None
        self.content_light: ContentLight | None = None
        self.image_tags: ImageTags | None = None
        self.start_offset = Fraction(0)
        self.end: Fraction | None = None
        self.strict = False
        self._frames = frames

    def __enter__(self) -> FrameSource:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            self.counters.frames += 1
            yield frame

    def close(self) -> None:
        """Nothing is open."""
