"""The files of a recording that goes on from one to the next: their names, and which of them are removed again."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import av

from vsr.core.errors import ConfigError
from vsr.files.ordinary import is_alone

# The formats of strftime that strptime can read back: only files with the recording's name are ever removed. No header of a
# recording is larger.
_MOST_HEADER = 1 << 16
_DIRECTIVES = frozenset("aAbBdfGHIjmMpSuUVwWyYzZ")


@dataclass(frozen=True, slots=True)
class Recordings:
    """path: as it was given. With times in its name (strftime: `cam-%Y%m%d-%H%M%S.mp4`), each file is named by when it begins.
    Otherwise they are numbered where there may be more than one: `cam-0001.mp4`.

    rotate_s, rotate_bytes: another file begins after so much. keep_s, keep_bytes: of files that are older, or that are more
    than so much together, the oldest are removed when another begins. Raises ConfigError for a name that cannot be.
    """

    path: Path
    rotate_s: float | None = None
    rotate_bytes: int | None = None
    keep_s: float | None = None
    keep_bytes: int | None = None

    def __post_init__(self) -> None:
        unknown = set(self._directives) - _DIRECTIVES - {"%"}
        if self._timed and unknown:
            raise ConfigError(
                f"{self.path}: no %{min(unknown)} is known in the name of a recording",
                hint="write it like cam-%Y%m%d-%H%M%S.mp4, and %% for a per cent sign",
            )

    @property
    def many(self) -> bool:
        """Whether another file may begin while nothing is wrong, or at another start."""
        return self._timed or self.rotate_s is not None or self.rotate_bytes is not None

    def next(self, number: int = 1, now: datetime | None = None) -> Path:
        """The name of the next file, the `number`th of this run. Existing names are avoided, unless there is only one file.

        now: local time; None for the current time.
        """
        if self._timed:
            named = (now or datetime.now().astimezone()).strftime(self._stem)
            path, count = self._beside(named), 1
            while path.exists():
                count += 1
                path = self._beside(f"{named}_{count}")
            return path
        if number == 1 and not self.many:
            return self.path
        last = max((found for path in self._siblings() if (found := self._number(path))), default=number - 1)
        return self._beside(f"{self._stem}-{last + 1:04d}")

    def existing(self) -> list[Path]:
        """The existing files, of this run and of others, oldest first."""
        found = [
            path for path in self._siblings() if (self._is_timed(path) if self._timed else self._number(path))
        ]
        return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))

    def full(self, seconds: float, num_bytes: int) -> bool:
        """Whether a file of this length is full, so that another one follows."""
        long = self.rotate_s is not None and seconds >= self.rotate_s
        return long or (self.rotate_bytes is not None and num_bytes >= self.rotate_bytes)

    def clear(self) -> None:
        """Remove the last file if nothing is in it: a run that was killed had just begun it."""
        with contextlib.suppress(OSError):
            for path in self.existing()[-1:]:
                if not is_alone(path) and _holds_nothing(path):
                    path.unlink()

    def remove_old(self, now: float) -> None:
        """Remove the files that need not be kept, except the current one. now: Unix time."""
        if self.keep_s is None and self.keep_bytes is None:
            return
        with contextlib.suppress(OSError):
            files = [(path, path.stat()) for path in self.existing() if not is_alone(path)]
            total = sum(found.st_size for _, found in files)
            for path, found in files:
                old = self.keep_s is not None and now - found.st_mtime > self.keep_s
                if old or (self.keep_bytes is not None and total > self.keep_bytes):
                    path.unlink()
                    total -= found.st_size

    @property
    def _stem(self) -> str:
        return self.path.name.removesuffix(self.path.suffix)

    @property
    def _directives(self) -> list[str]:
        return re.findall(r"%(.?)", self._stem)

    @property
    def _timed(self) -> bool:
        return not _DIRECTIVES.isdisjoint(self._directives)

    def _beside(self, stem: str) -> Path:
        return self.path.with_name(stem + self.path.suffix)

    def _siblings(self) -> Iterator[Path]:
        with contextlib.suppress(OSError):
            yield from (path for path in self.path.parent.iterdir() if path.suffix == self.path.suffix)

    def _number(self, path: Path) -> int:
        """The number in a name of ours; 0 for other names."""
        match = re.fullmatch(rf"{re.escape(self._stem)}-(\d{{4,}})", path.name.removesuffix(path.suffix))
        return int(match[1]) if match else 0

    def _is_timed(self, path: Path) -> bool:
        named = path.name.removesuffix(path.suffix)
        return any(self._is_time(stem) for stem in (named, re.sub(r"_\d+$", "", named)))

    def _is_time(self, stem: str) -> bool:
        with contextlib.suppress(ValueError):
            return datetime.strptime(stem, self._stem).strftime(self._stem) == stem  # noqa: DTZ007 - only read back
        return False


def _holds_nothing(path: Path) -> bool:
    if not path.stat().st_size:
        return True
    try:
        with av.open(str(path)) as container:
            return bool(container.streams.video) and not any(
                packet.size for packet in container.demux(video=0)
            )
    except av.EOFError:  # Matroska's header alone, which FFmpeg does not open.
        return path.stat().st_size < _MOST_HEADER
    except (av.FFmpegError, ValueError):
        return False
