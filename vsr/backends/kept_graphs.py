"""Compiled graphs in the user's cache: a run that finds its own begins sooner.

One file for each key: the SHA-256 of a graph, then the graph. Nothing here raises. A graph that is not there, is damaged, or
cannot be written is compiled, as if there were no cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from vsr.core.errors import VsrError
from vsr.files.checks import make_folder
from vsr.files.ordinary import read_ordinary
from vsr.files.user import cache_folder
from vsr.files.whole import write_whole

MOST_BYTES = 256 << 20
"""Of all files together: those used longest ago go."""
_MOST_BYTES_EACH = 64 << 20
# Graphs that one process adds: a folder of pictures may have as many sizes as pictures.
_MOST_NEW = 8
_DIGEST_BYTES = hashlib.sha256().digest_size


def key_of(facts: Mapping[str, object]) -> str:
    """The key of a graph: a hash of everything it was made from and for."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:32]


class KeptGraphs:
    """The compiled graphs that are kept for this user; for any number of threads and processes."""

    def __init__(self) -> None:
        self._new = 0

    def find(self, key: str) -> bytes | None:
        """The graph that is kept under a key. None if there is no graph, or if it is damaged."""
        with contextlib.suppress(OSError, RuntimeError, VsrError):
            path = _path(key)
            kept = read_ordinary(path)
            graph = kept[_DIGEST_BYTES:]
            if hashlib.sha256(graph).digest() == kept[:_DIGEST_BYTES]:
                with contextlib.suppress(OSError):  # The folder may be another user's.
                    os.utime(path)
                return graph
        return None

    @property
    def full(self) -> bool:
        """Whether this process has written so many graphs that it writes no more."""
        return self._new >= _MOST_NEW

    def keep(self, key: str, graph: bytes) -> None:
        """Write a graph for the runs to come, unless it is very large or this process has written many."""
        if len(graph) > _MOST_BYTES_EACH or self.full:
            return
        self._new += 1
        with contextlib.suppress(OSError, RuntimeError, VsrError):
            path = _path(key)
            make_folder(path.parent)
            write_whole(path, hashlib.sha256(graph).digest() + graph)
            _drop_oldest(path.parent)


def _path(key: str) -> Path:
    """Raises RuntimeError for a user without a home."""
    return cache_folder() / "compiled" / f"{key}.graph"


def _drop_oldest(folder: Path) -> None:
    files = sorted(((found := path.stat()).st_mtime, found.st_size, path) for path in folder.glob("*.graph"))
    spare = sum(size for _, size, _ in files) - MOST_BYTES
    for _, size, path in files:
        if spare <= 0:
            break
        path.unlink(missing_ok=True)
        spare -= size
