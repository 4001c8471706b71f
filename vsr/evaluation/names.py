"""Names of inputs, sets and pictures: short, unique and always printable."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path


def printable(name: str | Path) -> str:
    """A file's name as text; bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(name).decode(errors="replace")


def numbered(names: Sequence[str]) -> list[str]:
    """The names, with a number after each that comes more than once."""
    found = list(names)
    while len(set(found)) < len(found):
        total, so_far = Counter(found), Counter[str]()
        for at, name in enumerate(found):
            so_far[name] += 1
            found[at] = f"{name} ({so_far[name]})" if total[name] > 1 else name
    return found


def names_of_inputs(inputs: Sequence[str]) -> list[str]:
    """File names, or whole paths if different files have the same name; an input given twice is numbered."""
    short = [Path(name).name for name in inputs]
    told_apart = len(set(short)) == len(set(inputs))
    return numbered([printable(name) for name in (short if told_apart else inputs)])


def names_of_folders(folders: Sequence[Path]) -> list[str]:
    """Each folder's own name, with as many of its parents as make it unique. All are absolute and different."""
    lengths = [1] * len(folders)
    while True:
        found = ["/".join(folder.parts[-n:]) for folder, n in zip(folders, lengths, strict=True)]
        times = Counter(found)
        longer = [
            n + (times[name] > 1 and n < len(folder.parts))
            for folder, name, n in zip(folders, found, lengths, strict=True)
        ]
        if longer == lengths:
            return numbered([printable(name) for name in found])
        lengths = longer


def names_of_files(files: Sequence[Path]) -> list[str]:
    """Paths relative to their set, without their endings, unless these make them unique."""
    whole = [file.as_posix() for file in files]
    short = [file.with_suffix("").as_posix() for file in files]
    times, taken = Counter(short), set(whole)
    found = [
        name if times[name] == 1 and name not in taken else path
        for name, path in zip(short, whole, strict=True)
    ]
    return numbered([printable(name) for name in found])
