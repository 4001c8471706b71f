"""The streams that go out together, and their parameters."""

from __future__ import annotations

from dataclasses import dataclass

from vsr.media.write.encoded import Template


@dataclass(frozen=True, slots=True)
class Program:
    """The encoders of the current output. When they change, every sink starts again. audio: None without sound."""

    number: int
    video: Template
    audio: Template | None
