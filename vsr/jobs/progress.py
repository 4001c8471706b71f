"""How far a job is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands.

    frames_total is None where the header does not say. fps: output frames a second so far. speed: seconds of video done a
    second of work, None for pictures. eta_s: seconds left, None where unknown; eta_all_s: of all inputs, if there are several.
    item: 0-based number of the input, of `items`. doing: what takes long just now, such as building an engine, else empty.
    """

    input: str
    frames_done: int
    frames_total: int | None
    fps: float
    speed: float | None
    eta_s: float | None
    item: int = 0
    items: int = 1
    doing: str = ""
    eta_all_s: float | None = None
