"""Whether a file can be written, before it is."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from vsr.core.errors import ConfigError, FileError, reason

PART_SUFFIX = ".part"


HINTS = {
    errno.ENOSPC: "free some space on that disk or choose another one",
    errno.EDQUOT: "free some of your quota or choose another disk",
    errno.EPIPE: "the program reading the pipe has gone",
    errno.EACCES: "check the permissions",
    errno.EROFS: "the disk is read-only; choose another one",
    errno.EFBIG: "the file system cannot hold a file that large",
    errno.ELOOP: "it or its .part is a symbolic link that is not followed; delete that",
    errno.ENAMETOOLONG: "choose a shorter name",
}


def place_of(path: Path) -> Path:
    """The place of a file: the target of a symbolic link, whether it exists or not, else the path itself."""
    # Path.is_symlink raises for a name that is too long.
    return Path(os.path.realpath(path)) if os.path.islink(path) else path  # noqa: PTH114


def part_path(path: Path) -> Path:
    """The path of a file while it is being written: beside its place, so that renaming is atomic."""
    place = place_of(path)
    return place.with_name(place.name + PART_SUFFIX)


def stat_of(path: Path) -> os.stat_result | None:
    """The status of the file or folder at `path`; None if there is none. Raises ConfigError if the system cannot tell, for
    example because the name is too long."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{str(path)!r}: {reason(error)}", hint=HINTS.get(error.errno or 0)) from error


def is_folder(path: Path) -> bool:
    """Whether a folder lies there. Raises ConfigError as `stat_of` does."""
    found = stat_of(path)
    return found is not None and stat.S_ISDIR(found.st_mode)


def is_special(path: Path) -> bool:
    """Whether a device or a named pipe lies there, which may give bytes without end. Raises ConfigError as `stat_of` does."""
    found = stat_of(path)
    return found is not None and not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))


def check_replaceable(path: Path) -> None:
    """Raise ConfigError for a device or a named pipe: renaming onto its name would put a file in its place."""
    if is_special(path):
        raise ConfigError(
            f"output {str(path)!r} is not a regular file, and would be replaced by one",
            hint="name a file; of videos - writes to standard output and null: nowhere",
        )


def check_writable(path: Path, *, overwrite: bool, made_folder: bool = False) -> None:
    """Raise ConfigError unless a file can be made there; nothing is created.

    made_folder: the folder will be made when it is missing.
    """
    folder = place_of(path).parent
    if is_folder(path):
        raise ConfigError(f"output {str(path)!r} is a folder", hint="give the name of a file in it")
    if stat_of(path) is not None and not overwrite:
        raise ConfigError(f"output {str(path)!r} exists", hint="choose another name, or --overwrite")
    if not folder.is_dir():
        if made_folder and folder.parent.is_dir():
            return
        raise ConfigError(f"folder {str(folder)!r} of the output does not exist", hint="create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(
            f"no permission to write in folder {str(folder)!r}", hint="choose another output folder"
        )


def make_folder(folder: Path) -> None:
    """Make it, and those above it, unless it is there. Raises FileError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(
            f"cannot make the folder {folder}: {reason(error)}",
            hint=HINTS.get(error.errno or 0, "name another"),
        ) from error


def os_error(what: str, error: OSError) -> FileError:
    """The error, in the user's words, for an operation that the system refused."""
    return FileError(f"cannot write {what}: {reason(error)}", hint=HINTS.get(error.errno or 0))
