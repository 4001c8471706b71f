"""The INPUT and OUTPUT arguments: files, folders, globs, sequences, URLs and `-`, and the names of outputs."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Collection, Iterable
from glob import glob, has_magic
from pathlib import Path

from vsr.core.errors import ConfigError, SourceOpenError, reason
from vsr.files.checks import is_folder
from vsr.media.address import file_name, is_sequence, is_url, sequence_files
from vsr.media.read.images import READABLE_PICTURES

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".mk3d", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".m2t", ".mpg", ".mpeg",
    ".m2v", ".vob", ".flv", ".f4v", ".wmv", ".asf", ".ogv", ".ogm", ".3gp", ".3g2", ".mxf", ".nut", ".y4m", ".h264", ".264",
    ".avc", ".h265", ".265", ".hevc", ".ivf", ".obu", ".dv", ".rm", ".rmvb", ".mjpg", ".mjpeg", ".mj2", ".gxf", ".ismv",
})
# fmt: on
MEDIA_SUFFIXES = VIDEO_SUFFIXES | READABLE_PICTURES
"""Endings taken from folders; a file named by itself may end in anything."""

SCALED = re.compile(r"(?P<stem>.+)_(x[0-9.]+|[0-9]+x[0-9]*|[0-9]+p)")


class NothingThereError(SourceOpenError):
    """A folder holds nothing that could be upscaled."""


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts frame2 before frame10, and without regard to case."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def expand_inputs(inputs: Iterable[str], *, recursive: bool = False) -> list[str]:
    """The inputs one by one, as `open_source` takes them, in the order given and naturally sorted within each argument.

    Folders give the media files in them (not those of folders below, hidden ones, nor upscaled files whose original lies beside
    them); globs what they match. recursive: those of folders below, too. An input named twice is used once. Raises
    SourceOpenError.
    """
    items: list[str] = []
    for given in inputs:
        items += [item for item in _expand(given, recursive) if item not in items]
    if items.count("-") and len(items) > 1:
        raise ConfigError("standard input cannot be read beside other inputs", hint="give - alone")
    return items


def _expand(given: str, recursive: bool) -> list[str]:
    if not given:
        raise SourceOpenError(
            "an input is the empty string", hint="name a file, folder, glob, sequence, URL or -"
        )
    if given == "-" or is_url(given):
        return [given]
    given = file_name(given)
    path = Path(given)
    try:
        if path.is_dir():
            return _below(path) if recursive else _folder(path)
        if path.exists():
            return [given]
    except OSError as error:
        raise SourceOpenError(f"{given}: {reason(error)}", hint="check the name") from error
    if is_sequence(given):
        sequence_files(given)
        return [given]
    if has_magic(given):
        found = [p for p in glob(given, recursive=True) if Path(p).is_file()]  # noqa: PTH207 - absolute patterns too
        if not found:
            raise SourceOpenError(
                f"{given}: no file matches", hint="check the pattern; quote it so the shell leaves it alone"
            )
        return sorted(found, key=natural_key)
    raise SourceOpenError(
        f"{given}: no such file", hint="check the name; a sequence is written like frames/%06d.png"
    )


def _folder(folder: Path) -> list[str]:
    try:
        files = [
            p for p in folder.iterdir() if p.suffix.lower() in MEDIA_SUFFIXES and not p.name.startswith(".")
        ]
        files = [p for p in files if p.is_file()]
    except OSError as error:
        raise SourceOpenError(f"{folder}: {reason(error)}", hint="make the folder readable") from error
    stems = {p.stem for p in files}
    originals = [p for p in files if not ((m := SCALED.fullmatch(p.stem)) and m["stem"] in stems)]
    if not originals:
        raise NothingThereError(
            f"{folder}: no video or picture in this folder",
            hint="--recursive looks into the folders below it",
        )
    return [str(p) for p in sorted(originals, key=lambda p: natural_key(p.name))]


def _below(folder: Path) -> list[str]:
    """The result of `_folder` for a folder and each subfolder, without hidden ones and links."""
    found: list[str] = []
    try:
        for at, folders, _ in os.walk(folder, onerror=_raise):
            folders[:] = sorted((name for name in folders if not name.startswith(".")), key=natural_key)
            with contextlib.suppress(NothingThereError):
                found += _folder(Path(at))
    except OSError as error:
        raise SourceOpenError(
            f"cannot read {error.filename}: {reason(error)}", hint="make it readable"
        ) from error
    if not found:
        raise NothingThereError(
            f"{folder}: no video or picture in this folder or below", hint="check the name"
        )
    return found


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files in `folder` and below that end in one of `suffixes`, in the order of their names; not devices and pipes, which
    may be waited for without end.

    Raises SourceOpenError if it is not a folder, or a folder in it cannot be read; ConfigError for a name that is too long.
    """
    if not is_folder(folder):
        raise SourceOpenError(f"{folder} is not a folder", hint="name a folder that holds pictures or videos")
    try:
        found = [Path(at, name) for at, _, names in os.walk(folder, onerror=_raise) for name in names]
        return sorted(path for path in found if path.suffix.lower() in suffixes and path.is_file())
    except OSError as error:
        raise SourceOpenError(
            f"cannot read {error.filename}: {reason(error)}",
            hint="make it readable, or leave it out",
        ) from error


def _raise(error: OSError) -> None:
    raise error


def local_path(item: str) -> Path:
    return Path(file_name(item))
