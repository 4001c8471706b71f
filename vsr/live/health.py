"""Whether output flows: the reasons for bad health, and the failures at the end, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vsr.live.sink_queue import STOPPED
from vsr.live.sinks import LiveSink
from vsr.live.states import State


@dataclass(frozen=True, slots=True)
class Health:
    """well: a picture was sent within the timeout, and each required sink received one. why_not: the reasons, if not."""

    well: bool
    why_not: tuple[str, ...] = ()


def health(
    now: float,
    timeout_s: float,
    state: State,
    began_at: float,
    first_out_at: float | None,
    last_out_at: float | None,
    sinks: Iterable[LiveSink],
    why: str = "",
) -> Health:
    """The health of a session at the time `now` of the clock.

    state, why: of the session. began_at: when it began. first_out_at, last_out_at: times of the first and the last picture from
    the encoder or to the caller, None before the first. sinks: the required sinks. While the timeout runs from the beginning,
    or for a sink from the first picture, the reason is "starting".
    """
    if state == "stopped":
        return Health(False, (": ".join(filter(None, (state, why))),))
    if first_out_at is None or last_out_at is None:
        waited_s = now - began_at
        return Health(
            False, ("starting" if waited_s <= timeout_s else f"no picture yet, after {waited_s:.0f} s",)
        )
    if now - last_out_at > timeout_s:
        return Health(False, (f"no picture for {now - last_out_at:.0f} s, {state}",))
    why_not = tuple(filter(None, (_silence(sink, now, timeout_s, first_out_at) for sink in sinks)))
    return Health(not why_not, why_not)


def _silence(sink: LiveSink, now: float, timeout_s: float, first_out_at: float) -> str:
    """Why a sink is not well; empty where it is."""
    last_at = sink.counts.last_at
    silent_s = now - (last_at if last_at is not None else first_out_at)
    late = silent_s > timeout_s + sink.destination.holds_back_s
    if last_at is not None and not late:
        return ""
    said = (
        "starting" if not late else f"no frame {'yet, after' if last_at is None else 'for'} {silent_s:.0f} s"
    )
    return f"{sink.name}: {said}{_because(sink)}"


def _because(sink: LiveSink) -> str:
    why = sink.states.why.removeprefix(f"{sink.name}: ")
    return f" ({sink.states.now}{f': {why}' if why else ''})" if sink.states.now != "streaming" else ""


def missing(
    sinks: Iterable[LiveSink],
    frames_in: int,
    frames_out: int,
    now: float,
    timeout_s: float,
    *,
    cancelled: bool,
) -> tuple[str, ...]:
    """The failures of required sinks at the end: losses of recordings, servers that were lost, sinks that received nothing.

    frames_in, frames_out: of the session. now: when the end began. cancelled: nothing was waited for, so frames in progress are
    not missing.
    """
    found = []
    for sink in sinks:
        drops = dict(sink.counts.drops)
        lost = sum(drops.values()) - (drops.get(STOPPED, 0) if cancelled else 0)
        last_at = sink.counts.last_at
        if last_at is None and (lost or (frames_in and not frames_out and not cancelled)):
            said = "got no frame"
        elif last_at is not None and lost and sink.destination.is_file:
            said = f"{lost:,} of {frames_out:,} frames are missing"
        elif last_at is not None and lost and now - last_at > timeout_s:
            said = f"got no frame for the last {now - last_at:.0f} s"
        else:
            continue
        found.append(f"{sink.name}: {said}{_last_trouble(sink)}")
    return tuple(found)


def _last_trouble(sink: LiveSink) -> str:
    why = next((change.why for change in reversed(sink.states.changes()) if change.why), "")
    return f" ({why.removeprefix(f'{sink.name}: ')})" if why else ""
