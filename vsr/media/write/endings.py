"""The three endings of a sink; only the first call counts."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from vsr.core.errors import EncodeError


class EndsOnce(ABC):
    """A sink that `finish`, `keep_part` or `abandon` ends; calling any of them afterwards does nothing.

    An error in an ending leaves nothing behind, and is no reason to try another. See `vsr.media.types.Sink`.
    """

    name: str
    _ended = False

    def __init__(self) -> None:
        self.warnings: list[str] = []
        self.notes: list[str] = []
        self.on_whole: Callable[[os.stat_result], None] = lambda _: None

    def finish(self) -> Path | None:
        return self._finish() if self._ends() else None

    def keep_part(self) -> Path | None:
        return self._keep_part() if self._ends() else None

    def abandon(self) -> None:
        if self._ends():
            self._abandon()

    def _ends(self) -> bool:
        """Whether this is the first ending."""
        ended, self._ended = self._ended, True
        return not ended

    def _check_open(self) -> None:
        """Raise EncodeError where it has ended."""
        if self._ended:
            raise EncodeError(f"{self.name} is closed already")

    @abstractmethod
    def _finish(self) -> Path | None: ...

    @abstractmethod
    def _keep_part(self) -> Path | None: ...

    @abstractmethod
    def _abandon(self) -> None: ...
