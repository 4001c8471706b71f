"""Finds the places where an input can be cut: the times of its pictures, and the pictures at which decoding can begin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

from av.stream import Discard

from vsr.media.address import is_read_once, is_sequence, is_url
from vsr.media.read.decode import Decoder
from vsr.media.read.images import is_picture_file
from vsr.media.read.opened import Opened, open_video
from vsr.media.read.timestamps import Starts
from vsr.media.types import PacketShelf, SourceCounters, SourceOptions


@dataclass(frozen=True, slots=True)
class VideoIndex:
    """time_base: of all times, in seconds a tick. times: of the wanted pictures, in order of presentation, rising.
    keyframes: times of all pictures at which decoding can begin, rising, wanted or not. uncuttable: the reason why the input
    cannot be cut, empty if it can; without cuts there are no times."""

    time_base: Fraction
    times: tuple[int, ...] = ()
    keyframes: tuple[int, ...] = ()
    uncuttable: str = ""


class _UncuttableError(Exception):
    """Why an input cannot be cut."""


def video_index(url: str, options: SourceOptions, check: Callable[[], None] = lambda: None) -> VideoIndex:
    """Read the packets of an input's video, without decoding them. check: is called for each, and may raise.

    Raises SourceOpenError, SourceTimeoutError or ConfigError for an input that cannot be opened.
    """
    if why := why_not_cut(url, options):
        return VideoIndex(Fraction(1), uncuttable=why)
    opened = open_video(url, options)
    try:
        time_base = opened.time_base
        try:
            times, keyframes = _read(opened, check)
        except _UncuttableError as why_not:
            return VideoIndex(time_base, uncuttable=str(why_not))
        return VideoIndex(time_base, tuple(times), tuple(keyframes))
    finally:
        opened.close()


def why_not_cut(url: str, options: SourceOptions) -> str:
    """The reason why an input cannot be cut, by its name and the options; empty if there is none."""
    if is_read_once(url):
        return "a pipe is read once"
    if is_url(url):
        return "an address on the network may not be read again"
    if is_sequence(url) or is_picture_file(url):
        return "pictures are worked on one by one"
    if options.deinterlace == "telecine":
        return "telecine is undone over all frames in a row"
    return ""


def _read(opened: Opened, check: Callable[[], None]) -> tuple[list[int], list[int]]:
    """Times of the wanted pictures and of all keyframes. Raises _UncuttableError."""
    if opened.made_times:
        raise _UncuttableError("a raw stream has no timestamps")
    if opened.container.format.name == "avi":
        raise _UncuttableError("AVI does not say when pictures are shown")
    for stream in opened.copied:
        stream.discard = Discard.all
    counters = SourceCounters()
    decoder = Decoder(opened, shelf=PacketShelf(), counters=counters, starts=Starts(), strict=False)
    times: list[int] = []
    keyframes: list[int] = []
    for packet in decoder.packets():
        check()
        if packet.stream_index != opened.stream.index:
            continue
        if packet.pts is None:
            raise _UncuttableError("it does not say when all of its pictures are shown")
        if packet.is_keyframe:
            keyframes.append(packet.pts)
        if not packet.is_discard and opened.wanted.holds(packet.pts * opened.time_base):
            times.append(packet.pts)
    if decoder.discontinuities is not None and decoder.discontinuities.count:
        raise _UncuttableError("its clock jumps")
    times.sort()
    keyframes.sort()
    if any(a == b for a, b in pairwise(times)):
        raise _UncuttableError("some of its pictures are shown at the same time")
    return times, keyframes
