"""Excerpts of a file: the blocks that are read to decode a part of its video.

FFmpeg's way through a file depends only on the bytes it reads. In another file with the same bytes in the same places, and
nothing elsewhere, it does the same. So a part can be made on a machine that has only these blocks.
"""

from __future__ import annotations

import io
import os
from collections.abc import Collection
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vsr.core.errors import SourceOpenError, reason
from vsr.files.checks import os_error

if TYPE_CHECKING:
    from collections.abc import Generator

_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class _Noted:
    blocks: set[int]
    files: ExitStack


_noted: ContextVar[_Noted | None] = ContextVar("noted", default=None)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Some of a file's bytes. size: of the whole file. parts: where each run of bytes begins, and the bytes."""

    size: int
    parts: tuple[tuple[int, bytes], ...]

    @property
    def bytes(self) -> int:
        return sum(len(data) for _, data in self.parts)


@contextmanager
def reads_noted() -> Generator[set[int]]:
    """The numbers of the blocks that are read of files which are opened meanwhile on this thread, and closed again."""
    noted = _Noted(set(), ExitStack())
    token = _noted.set(noted)
    try:
        with noted.files:
            yield noted.blocks
    finally:
        _noted.reset(token)


def noted_file(path: Path) -> io.FileIO | None:
    """A file to read instead of the one at `path`, if its reads are noted; else None. Raises OSError."""
    noted = _noted.get()
    return noted.files.enter_context(_NotedFile(path, noted.blocks)) if noted is not None else None


class _NotedFile(io.FileIO):
    def __init__(self, path: Path, blocks: set[int]) -> None:
        super().__init__(path)
        self.name = f"file:{path}"
        self._blocks = blocks

    def read(self, size: int | None = -1, /) -> bytes:
        begin = self.tell()
        data = super().read(-1 if size is None else size) or b""
        if data:
            self._blocks.update(range(begin // _BLOCK, (begin + len(data) - 1) // _BLOCK + 1))
        return data


def excerpt(path: Path, blocks: Collection[int]) -> Excerpt:
    """The blocks of a file with these numbers. Raises SourceOpenError."""
    parts: list[tuple[int, bytes]] = []
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            for first, count in _runs(blocks):
                file.seek(first * _BLOCK)
                parts.append((first * _BLOCK, file.read(count * _BLOCK)))
    except OSError as error:
        raise SourceOpenError(f"{path}: {reason(error)}", hint="check the file") from error
    return Excerpt(size, tuple(parts))


def _runs(blocks: Collection[int]) -> list[tuple[int, int]]:
    """Blocks that lie one behind the other: the first, and how many."""
    runs: list[tuple[int, int]] = []
    for block in sorted(blocks):
        if runs and sum(runs[-1]) == block:
            runs[-1] = runs[-1][0], runs[-1][1] + 1
        else:
            runs.append((block, 1))
    return runs


def write_excerpts(excerpts: Collection[Excerpt], path: Path) -> None:
    """Write a file that holds these excerpts of one, and nothing elsewhere. Raises FileError."""
    try:
        with path.open("wb") as file:
            file.truncate(max((one.size for one in excerpts), default=0))
            for one in excerpts:
                for begin, data in one.parts:
                    file.seek(begin)
                    file.write(data)
    except OSError as error:
        raise os_error(str(path), error) from error
