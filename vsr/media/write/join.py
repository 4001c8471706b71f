"""Parts joined into an output, as one encoder would have made it, with what is copied beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vsr.core.errors import EncodeError
from vsr.media.write.encoded import Encoded, Template
from vsr.media.write.parts import Part


def joined(parts: Sequence[Path], template: Template) -> Iterator[Encoded]:
    """The packets of all parts, in order, on one clock of decoding. Raises FileError, EncodeError.

    An encoder of B-frames decodes each packet when the picture is shown that lies so many places before as its pictures are
    reordered. That goes on over the joints here: the first packets of a part are decoded while the last pictures of the part
    before are shown.
    """
    shown: list[int] = []  # The last pictures before, as many as are reordered, in the order they are shown.
    delay: int | None = None
    last: int | None = None
    for path in parts:
        part = Part(path, template)
        moved = _rising(part.times, shown[-1] if shown else None)
        order = shown + sorted(moved.values())
        begin = len(shown)
        if delay is None:  # So many packets are decoded before the first picture is shown.
            delay = sum(dts < order[0] for dts in part.decoded)
        for number, packet in enumerate(part.packets()):
            place = begin + number - delay
            dts = order[place] if place >= 0 else packet.dts
            pts = moved[packet.pts]
            if dts > pts or (last is not None and dts <= last):
                raise EncodeError(
                    f"{path} cannot follow the part before it: its packets are in another order",
                    hint="--segment 0 makes the output in one pass",
                )
            last = dts
            yield replace(packet, pts=pts, dts=dts)
        shown = order[-max(1, delay) :]


def _rising(times: Sequence[int], before: int | None) -> dict[int, int]:
    """Where each picture goes that is shown at one of `times`: later by a tick where another is there already."""
    moved: dict[int, int] = {}
    for time in sorted(times):
        before = moved[time] = time if before is None or time > before else before + 1
    return moved
