"""FFmpeg's log, which is one for the whole process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import av
import av.logging

dump_lock = threading.Lock()


@contextlib.contextmanager
def libav_log() -> Iterator[list[tuple[int, str, str]]]:
    """What FFmpeg says on this thread meanwhile, from warnings up, as (level, who, line); it is silent otherwise.

    Not while a decoder may be closing on another thread, as when a live source reconnects: PyAV closes it holding the
    interpreter's lock and waits for FFmpeg's threads, which wait for that lock to log.
    """
    with dump_lock, av.logging.Capture(local=True) as logs:
        av.logging.set_level(av.logging.WARNING)
        try:
            yield logs
        finally:
            av.logging.set_level(None)
