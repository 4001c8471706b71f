"""A picture as its planes lie in memory, with the time and colour it came with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction
from typing import Any, Literal, Protocol, overload

from vsr.core.color import Color


class Plane(Protocol):
    """Samples of one component, as anything NumPy views without a copy.

    2-D, uint8, shape (height, width x bytes_per_sample); rows may be further apart than they are long. Samples of more
    than 8 bits are little-endian byte pairs, valued 0 to 2**bits - 1.
    """

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def __array_interface__(self) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """The planes of a frame. Every decoded format is converted to one of these without loss.

    kind: "yuv" (planes Y, U, V), "gray" (Y) or "rgb" (G, B, R, in FFmpeg's gbrp order); alpha adds a last plane. bits: 8 to 16
    per sample. log2_chroma: log2 of luma size over chroma size, horizontally and vertically.
    """

    kind: Literal["yuv", "gray", "rgb"]
    bits: int = 8
    log2_chroma: tuple[int, int] = (0, 0)
    alpha: bool = False

    @property
    def bytes_per_sample(self) -> int:
        return 1 if self.bits == 8 else 2

    @property
    def max_code(self) -> int:
        """The largest code, 2**bits - 1."""
        return (1 << self.bits) - 1

    @property
    def num_planes(self) -> int:
        return (1 if self.kind == "gray" else 3) + self.alpha

    def plane_size(self, plane: int, width: int, height: int) -> tuple[int, int]:
        """(width, height) in samples of a plane in a frame of that size; chroma rounds up."""
        if self.kind == "yuv" and plane in (1, 2):
            log2_w, log2_h = self.log2_chroma
            return -(-width >> log2_w), -(-height >> log2_h)
        return width, height

    @property
    def name(self) -> str:
        """A short name in FFmpeg's manner: yuv420p10, gray16, gbrap."""
        depth = "" if self.bits == 8 else str(self.bits)
        if self.kind == "gray":
            return f"gray{'a' if self.alpha else ''}{depth}"
        if self.kind == "rgb":
            return f"gbr{'a' if self.alpha else ''}p{depth}"
        chroma = {(1, 1): "420", (1, 0): "422", (0, 0): "444", (0, 1): "440", (2, 0): "411", (2, 2): "410"}
        return f"yuv{'a' if self.alpha else ''}{chroma[self.log2_chroma]}p{depth}"


class DeviceArray(Protocol):
    """An array wherever it lies, which others take up without a copy, by DLPack."""

    def __dlpack__(self) -> Any: ...

    def __dlpack_device__(self) -> tuple[int, int]: ...


@dataclass(frozen=True, slots=True)
class SemiPlanar:
    """A 4:2:0 picture as video hardware has it: NV12 or, with 10 bits, P010, whose codes lie in the upper bits of 16.

    luma: [height, width], chroma: [height / 2, width / 2, 2], U and V; uint8 or uint16.
    """

    luma: DeviceArray
    chroma: DeviceArray


class Fetched(Sequence[Plane]):
    """Planes that are brought to the host when they are first looked at."""

    def __init__(self, fetch: Callable[[], Sequence[Plane]]) -> None:
        self._fetch = fetch
        self._planes: Sequence[Plane] | None = None

    def _here(self) -> Sequence[Plane]:
        if self._planes is None:
            self._planes = self._fetch()
        return self._planes

    @overload
    def __getitem__(self, index: int) -> Plane: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Plane]: ...
    def __getitem__(self, index: int | slice) -> Plane | Sequence[Plane]:
        return self._here()[index]

    def __len__(self) -> int:
        return len(self._here())

    def __iter__(self) -> Iterator[Plane]:
        return iter(self._here())


class Reset(Enum):
    """Why a frame does not continue the ones before it: a network with memory forgets them there.

    Sources set all but NETWORK, which is set where the network is changed between two frames, and CUT, which is found where
    frames come to a network with memory. A live stream sets them where its frames come to the network: frames that were dropped
    before leave gaps, too.
    """

    START = "start"
    """It is the first frame of its source."""
    SEEK = "seek"
    """It is the first frame of a source that was asked to begin later than at its beginning."""
    CUT = "cut"
    """It is the first frame of another scene."""
    GAP = "gap"
    """Time is missing before it: more than half a second, and more than three frames."""
    SIZE = "size"
    """The size of the picture changed at the source, also where frames are brought back to that of the first."""
    RECONNECT = "reconnect"
    """It is the first frame since a live source was connected to again."""
    NETWORK = "network"
    """It is the first frame that another network upscales."""


@dataclass(slots=True)
class Frame:
    """One picture on its way through the pipeline.

    planes: see Plane and PixelFormat, in the format's order. on_device: the same picture in a GPU's memory, if it is there.
    pts, duration: integers in units of time_base seconds; pts is the source's own, None only for a frame that a caller made.
    index: number of the frame in its stream, from 0. starts: the reason why a sequence begins again at this frame; None if the
    frame continues the sequence. warms_up: the frame goes through the network so that the next ones find a memory, and is not
    part of the output. side: data beside the picture, by name, which only `media` reads (closed captions and the
    like).
    """

    planes: Sequence[Plane]
    width: int
    height: int
    format: PixelFormat
    color: Color = field(default_factory=Color)
    pts: int | None = None
    duration: int = 0
    time_base: Fraction = Fraction(1, 1000)
    index: int = 0
    starts: Reset | None = None
    warms_up: bool = False
    side: dict[str, Any] = field(default_factory=dict)
    on_device: SemiPlanar | None = None
