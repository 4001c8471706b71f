"""What encoders hand to containers: bytes and times, which many containers may take at once."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import av
from av.container import OutputContainer
from av.stream import Stream

from vsr.media.write.targets import OutputNull


@dataclass(frozen=True, slots=True)
class Encoded:
    """One packet. pts, dts, duration: in time_base. captured_at: when its picture was, on the monotonic clock; 0 for audio."""

    kind: Literal["video", "audio"]
    data: bytes
    pts: int
    dts: int
    duration: int
    time_base: Fraction
    keyframe: bool
    captured_at: float = 0.0


class Template:
    """An encoder inside a container that goes nowhere: other containers take their stream's parameters from it.

    It is never closed, only let go of: a sink may be reading it just then.
    """

    def __init__(self) -> None:
        self.container: OutputContainer = av.open(OutputNull(), "w", format="mp4")

    @property
    def stream(self) -> Stream:
        return self.container.streams[0]
