"""Addresses: a file, a sequence of pictures, a URL."""

from __future__ import annotations

import re
import stat
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

from vsr.core.errors import SourceOpenError, reason
from vsr.core.variables import expanded

_NUMBER = re.compile(r"(%%|%(?:0\d+)?d)")


_URL = re.compile(r"^[a-zA-Z][a-zA-Z0-9+.-]+://")


DEFAULT_SEQUENCE_RATE = Fraction(25)


def is_url(url: str) -> bool:
    """Whether an address names a protocol FFmpeg speaks, not a file."""
    return bool(_URL.match(url)) and not url.startswith("file://")


def file_name(url: str) -> str:
    """An address that is no URL as the file system knows it: files may be written as `file://...`."""
    return url.removeprefix("file://")


class NumberedName(NamedTuple):
    """The names of a sequence: the text before the number, its fewest digits, and the text after it."""

    before: str
    digits: int
    after: str

    def numbered(self, number: int) -> str:
        """The name of one file."""
        return f"{self.before}{number:0{self.digits}d}{self.after}"

    @property
    def pattern(self) -> re.Pattern[str]:
        """Matches the names of the sequence's files; its group is the number."""
        return re.compile(re.escape(self.before) + r"(\d+)" + re.escape(self.after))


def numbered_name(name: str) -> NumberedName | None:
    """Parse a name such as `%06d.png` as FFmpeg does: `%%` is a per cent sign. None unless it has one number."""
    parts = _NUMBER.split(name)
    numbers = [at for at, part in enumerate(parts) if part != "%%" and at % 2]
    if len(numbers) != 1:
        return None
    at = numbers[0]
    before, after = ("".join(parts[slice_]).replace("%%", "%") for slice_ in (slice(at), slice(at + 1, None)))
    return NumberedName(before, int(parts[at][1:-1] or 0), after)


def is_sequence(url: str) -> bool:
    """Whether an address is a numbered sequence such as `frames/%06d.png`, and no file of that very name."""
    name = Path(url).name
    numbers = [part for part in _NUMBER.findall(name) if part != "%%"]
    return bool(numbers) and not is_url(url) and not Path(url).exists()


def is_read_once(url: str) -> bool:
    """Whether the input can be read only once: standard input, a FIFO, or a shell's `<(...)`."""
    path = Path(file_name(url))
    return url == "-" or (not is_url(url) and path.exists() and not (path.is_file() or path.is_dir()))


def with_secrets(text: str) -> str:
    """An address with the values of its `${NAME}` and `${file:PATH}`; a file's name stays unchanged. Raises ConfigError."""
    return expanded(text) if is_url(text) or text.startswith("${") else text


def sequence_files(url: str) -> list[Path]:
    """The files of a numbered sequence, in order. Raises SourceOpenError when there is none, or one is missing."""
    path = Path(url)
    name = numbered_name(path.name)
    if name is None:
        raise SourceOpenError(
            f"{url}: no number in the name, or more than one", hint="write one, like frames/%06d.png"
        )
    numbered: dict[int, Path] = {}
    try:
        entries = list(path.parent.iterdir())
    except OSError as error:
        raise SourceOpenError(f"{path.parent}: {os_reason(error)}", hint="check the folder's name") from error
    for entry in entries:
        found = name.pattern.fullmatch(entry.name)
        if found and len(found[1]) == max(name.digits, len(str(int(found[1])))):
            numbered[int(found[1])] = entry
    if not numbered:
        raise SourceOpenError(
            f"{url}: no such files in {path.parent}", hint="check the pattern and the folder"
        )
    numbers = sorted(numbered)
    missing = next((n for n in range(numbers[0], numbers[-1]) if n not in numbered), None)
    if missing is not None:
        raise SourceOpenError(
            f"{url}: {name.numbered(missing)} is missing of the sequence {numbers[0]} to {numbers[-1]}",
            hint="renumber the files, or give them as a glob to treat each as a picture of its own",
        )
    return [numbered[n] for n in numbers]


def check_file(path: Path) -> None:
    """Raise SourceOpenError unless there is a readable file with something in it."""
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise SourceOpenError(
                f"{path}: is a folder", hint="give the files in it, or the folder as an input"
            )
        if stat.S_ISREG(status.st_mode):
            if status.st_size == 0:
                raise SourceOpenError(
                    f"{path}: is empty", hint="the file has no bytes; copy or download it again"
                )
            path.open("rb").close()
    except OSError as error:
        raise SourceOpenError(f"{path}: {os_reason(error)}", hint=os_hint(error)) from error


def os_reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "no permission to read it"
    if isinstance(error, IsADirectoryError):
        return "is a folder"
    return reason(error).lower()


def os_hint(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "check the name; a sequence is written like frames/%06d.png"
    if isinstance(error, PermissionError):
        return "make it readable, or run as its owner"
    return "check the address"
