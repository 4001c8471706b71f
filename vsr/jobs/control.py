"""A running job as its caller sees it: how far it is, and how to end it."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from vsr.core.cancel import CancelToken


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a job stands.

    frames_total is None where the header does not say. fps: output frames a second so far. speed: seconds of video done a
    second of work, None for pictures. eta_s: seconds left, None where unknown. item: 0-based number of the input, of `items`.
    doing: what takes long just now, such as building an engine, else empty.
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


class JobControl:
    """Ends a job from another thread or a signal handler."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.cancelling = CancelToken()

    def stop(self) -> None:
        """End as if the input ended here; what is done stays as a playable file under its `.part` name."""
        self.stopping.set()

    def cancel(self) -> None:
        """End at once and delete what was written."""
        self.stopping.set()
        self.cancelling.cancel()
