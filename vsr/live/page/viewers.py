"""The pictures of a stream for those who look at it, on the page's event loop."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

from vsr.core.frame import Frame
from vsr.live.report import StreamReport
from vsr.live.watchers import Pair, Watchers
from vsr.media.live.pictures import jpeg

# Most pixels of a picture's width: enough for any screen.
MOST_WIDTH = 1920


class Viewed(Protocol):
    """A stream that the page shows."""

    @property
    def watchers(self) -> Watchers: ...

    def report(self) -> StreamReport: ...


Streams = Mapping[str, Viewed]
"""The streams that there are now, by name; one alone may be without a name, ""."""


class Viewer:
    """Somebody who looks at a stream. `next` gives the newest pictures there are when he is ready for some."""

    def __init__(self, drawing: ThreadPoolExecutor) -> None:
        """drawing: threads that make the pictures."""
        self._drawing = drawing
        self._loop = asyncio.get_running_loop()
        self._newer = asyncio.Event()
        self._pair: Pair | None = None

    @contextmanager
    def looking(self, watchers: Watchers) -> Iterator[Viewer]:
        """While inside, pictures come."""
        watchers.come(self._show)
        try:
            yield self
        finally:
            watchers.go(self._show)

    async def both(self) -> bytes:
        """The length of the first JPEG (4 bytes, big endian), the JPEG before and the JPEG after."""
        before, after = await self._next()
        return await self._loop.run_in_executor(self._drawing, _message, before, after)

    async def one(self, which: int, width: int) -> bytes:
        """A JPEG. which: 0 before, 1 after. width: at most that many pixels."""
        pair = await self._next()
        return await self._loop.run_in_executor(self._drawing, jpeg, pair[which], min(width, MOST_WIDTH))

    async def _next(self) -> Pair:
        await self._newer.wait()
        self._newer.clear()
        assert self._pair is not None
        return self._pair

    def _show(self, pair: Pair) -> None:
        """On the stream's thread."""
        self._pair = pair
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._newer.set)


def _message(before: Frame, after: Frame) -> bytes:
    first, second = (jpeg(frame, MOST_WIDTH) for frame in (before, after))
    return struct.pack(">I", len(first)) + first + second
