"""Which streams go out together, and of what parameters."""

from __future__ import annotations

from dataclasses import dataclass

from vsr.media.write.encoded import Template


@dataclass(frozen=True, slots=True)
class Program:
    """What goes out, until it changes: then every sink begins anew. audio: None where there is none."""

    number: int
    video: Template
    audio: Template | None
