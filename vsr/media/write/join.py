"""Parts joined into an output, as one encoder would have made it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vsr.core.errors import EncodeError
from vsr.media.write.encoded import Encoded, Template
from vsr.media.write.parts import Part


def joined(paths: Sequence[Path], template: Template) -> Iterator[Encoded]:
    """The packets of all parts, in order, on one clock of decoding. Raises FileError, EncodeError.

    An encoder that reorders pictures by so many places decodes each packet when the picture is shown that lies as many places
    before. That goes on over the joints here: the first packets of a part are decoded while the last pictures of the part
    before are shown.
    """
    parts = [Part(path, template) for path in paths]
    delay = max(part.delay for part in parts)
    shown: list[int] = []  # The times at which pictures are shown, rising.
    moved: list[dict[int, int]] = []
    for part in parts:
        moved.append(_rising(part.times, shown[-1] if shown else None))
        shown += sorted(moved[-1].values())
    if not shown:
        raise EncodeError("there is no picture in any part", hint="the input may be damaged")
    head_start = shown[min(delay, len(shown) - 1)] - shown[0]
    number, last = 0, None
    for part, goes_to in zip(parts, moved, strict=True):
        for packet in part.packets():
            pts = goes_to[packet.pts]
            if number >= delay:
                dts = shown[number - delay]
            else:
                dts = packet.dts if parts[0].delay == delay else shown[number] - head_start
            if dts > pts or (last is not None and dts <= last):
                raise EncodeError(
                    f"{part.path} cannot follow the part before it: its packets are in another order",
                    hint="--segment 0 makes the output in one pass",
                )
            number, last = number + 1, dts
            yield replace(packet, pts=pts, dts=dts)


def _rising(times: Sequence[int], before: int | None) -> dict[int, int]:
    """The new time of each picture shown at one of `times`, in ticks: one after the previous, if that is there already.

    before: the last time that is taken, None for none."""
    moved: dict[int, int] = {}
    for time in sorted(times):
        before = moved[time] = time if before is None or time > before else before + 1
    return moved
