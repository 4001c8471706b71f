"""The numbers of a stream, while it runs and at its end."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from vsr.live.health import Health
from vsr.live.latency import Percentiles
from vsr.live.rungs import Measured


@dataclass(frozen=True, slots=True)
class LadderStep:
    """A change of network. at_s: seconds since the start."""

    at_s: float
    before: str
    after: str
    why: str


@dataclass(frozen=True, slots=True)
class StreamReport:
    """A stream from its start until now.

    frames_before: decoded before the networks were ready; they are not in frames_in. frames_in: captured. frames_out: upscaled
    and encoded, or taken by the caller. frames_held: sent in addition while the source was away. drops: frames that were not
    sent, by reason. in_flight: frames in progress. latency: from the moment when a frame could be decoded until the first
    working sink wrote its packet (until it was upscaled, if there is no sink); recent: the same in the last ten seconds; None
    if there was no frame. health: whether output flows. missing: failures of required sinks at the end, in words. load: the
    part of the last seconds in which each stage was busy. resets: how often the memory of a network began again, by reason;
    empty if none has one.
    """

    source: str
    state: str
    seconds: float
    backend: str
    device: str
    precision: str
    model: str
    size_in: tuple[int, int]
    size_out: tuple[int, int]
    encoder: str
    frames_before: int
    frames_in: int
    frames_out: int
    frames_held: int
    in_flight: int
    drops: dict[str, int]
    fps: float
    latency: Percentiles | None
    recent: Percentiles | None
    health: Health
    missing: tuple[str, ...]
    load: dict[str, float]
    measured: tuple[Measured, ...]
    steps: tuple[LadderStep, ...]
    resets: dict[str, int]
    reconnects: int
    stalls: int
    clock_jumps: int
    damaged_packets: int
    queue_high_water: int
    changes: tuple[dict[str, Any], ...]
    sinks: tuple[dict[str, Any], ...]
    notes: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return asdict(self)
