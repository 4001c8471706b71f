"""What INPUT and OUTPUT arguments mean: files, folders, globs, sequences, URLs and `-`, and the names of outputs."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from glob import glob, has_magic
from pathlib import Path, PurePosixPath

from vsr.core.errors import ConfigError, SourceOpenError
from vsr.files.whole import check_replaceable, is_folder, part_path, stat_of
from vsr.media.pictures.files import SUFFIXES as WRITABLE_IMAGES
from vsr.media.read.images import IMAGE_SUFFIXES, is_animation
from vsr.media.read.opening import file_name, is_sequence, is_url, sequence_files, shown
from vsr.media.write.containers import NULL, STDOUT, container_for

# fmt: off
VIDEO_SUFFIXES = frozenset({
    ".mp4", ".m4v", ".mov", ".qt", ".mkv", ".mk3d", ".webm", ".avi", ".ts", ".m2ts", ".mts", ".m2t", ".mpg", ".mpeg",
    ".m2v", ".vob", ".flv", ".f4v", ".wmv", ".asf", ".ogv", ".ogm", ".3gp", ".3g2", ".mxf", ".nut", ".y4m", ".h264", ".264",
    ".avc", ".h265", ".265", ".hevc", ".ivf", ".obu", ".dv", ".rm", ".rmvb", ".mjpg", ".mjpeg", ".mj2", ".gxf", ".ismv",
})
# fmt: on
MEDIA_SUFFIXES = VIDEO_SUFFIXES | IMAGE_SUFFIXES
"""Endings taken from folders; a file named by itself may end in anything."""

_SCALED = re.compile(r"(?P<stem>.+)_(x[0-9.]+|[0-9]+x[0-9]+)")


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Sorts frame2 before frame10, and without regard to case."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def expand_inputs(inputs: Iterable[str]) -> list[str]:
    """The inputs one by one, as `open_source` takes them, in the order given and naturally sorted within each argument.

    Folders give the media files in them (not those of folders below, hidden ones, nor upscaled files whose original lies
    beside them); globs what they match. What is named twice comes once. Raises SourceOpenError.
    """
    items: list[str] = []
    for given in inputs:
        items += [item for item in _expand(given) if item not in items]
    if items.count("-") and len(items) > 1:
        raise ConfigError("standard input cannot be read beside other inputs", hint="give - alone")
    return items


def _expand(given: str) -> list[str]:
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
            return _folder(path)
        if path.exists():
            return [given]
    except OSError as error:
        raise SourceOpenError(f"{given}: {error.strerror or error}", hint="check the name") from error
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
        raise SourceOpenError(
            f"{folder}: {error.strerror or error}", hint="make the folder readable"
        ) from error
    stems = {p.stem for p in files}
    originals = [p for p in files if not ((m := _SCALED.fullmatch(p.stem)) and m["stem"] in stems)]
    if not originals:
        raise SourceOpenError(
            f"{folder}: no video or picture in this folder", hint="folders below it are not looked into"
        )
    return [str(p) for p in sorted(originals, key=lambda p: natural_key(p.name))]


def default_output(
    items: Sequence[str], scale: float, size: tuple[int, int] | None = None, folder: Path | None = None
) -> list[str]:
    """An output name for each input: beside it or in `folder`, with `_x2` (or `_1920x1080` for a size) added.

    The container stays where vsr writes it and becomes Matroska, or PNG for pictures, where not; PNG of pictures that
    move is named `.apng`. Inputs that would share a name get their own ending into it, then a number. Whether the names can be
    written is for `check_outputs` to say. Raises ConfigError for standard input, which has no name.
    """
    mark = f"{size[0]}x{size[1]}" if size else f"x{scale:g}"
    taken: set[Path] = set()
    outputs: list[str] = []
    for item in items:
        if item == "-":
            raise ConfigError(
                "standard input has no name to make the output's from", hint="name an OUTPUT, or - for stdout"
            )
        path = Path(PurePosixPath(shown(item)).name) if is_url(item) else _local(item)
        place = folder if folder is not None else path.parent
        stem, suffix = (path.stem or "output"), path.suffix
        written = output_suffix(suffix)
        if suffix.lower() == ".png" and not is_url(item) and is_animation(path):
            written = ".apng"
        candidates = [f"{stem}_{mark}{written}", f"{stem}_{suffix[1:].lower()}_{mark}{written}"]
        candidates += [f"{stem}_{mark}_{n}{written}" for n in range(2, len(items) + 2)]
        output = next(place / name for name in candidates if place / name not in taken)
        taken.add(output)
        outputs.append(str(output))
    return outputs


def output_suffix(suffix: str) -> str:
    """The ending of an upscaled file whose input ends in `suffix`."""
    lower = suffix.lower()
    if lower in WRITABLE_IMAGES:
        return suffix
    if lower in IMAGE_SUFFIXES:
        return ".png"
    try:
        container_for(f"x{lower}", None)
    except ConfigError:
        return ".mkv"
    return suffix


def files_below(folder: Path, suffixes: Collection[str]) -> list[Path]:
    """The files in `folder` and below that end in one of `suffixes`, in the order of their names; not devices and pipes, which
    may be waited for without end.

    Raises SourceOpenError for what is no folder, or holds one that cannot be read; ConfigError for a name that is too long.
    """
    if not is_folder(folder):
        raise SourceOpenError(f"{folder} is not a folder", hint="name a folder that holds pictures or videos")
    try:
        found = [Path(at, name) for at, _, names in os.walk(folder, onerror=_raise) for name in names]
        return sorted(path for path in found if path.suffix.lower() in suffixes and path.is_file())
    except OSError as error:
        raise SourceOpenError(
            f"cannot read {error.filename}: {error.strerror or error}",
            hint="make it readable, or leave it out",
        ) from error


def _raise(error: OSError) -> None:
    raise error


def check_outputs(items: Sequence[str], outputs: Sequence[str], report: Path | None = None) -> None:
    """Raise ConfigError where an output would replace an input, or anything that is no ordinary file.

    Its `.part` counts too, and all files of a sequence. report: a file written when all is done, which may lie on no input and
    no output.
    """
    taken = {
        _place(path): f"the input {path}"
        for item in items
        if item != STDOUT and not is_url(item)
        for path in (_local(item), *(sequence_files(item) if is_sequence(item) else ()))
    }
    written: dict[object, str] = {}
    for output in outputs:
        if output not in (STDOUT, NULL) and not is_url(output):
            path = Path(output)
            _check_free(path, taken, f"output {output}")
            written |= {_place(p): f"the output {output}" for p in (path, part_path(path))}
    if report is not None:
        _check_free(report, taken | written, f"report {report}")


def check_live_outputs(source: str, outputs: Sequence[Path], report: Path | None = None) -> None:
    """Raise ConfigError where two outputs of a stream are one file, or one would replace the source, if that is a file.

    They are written under their own names at once. report: as of `check_outputs`.
    """
    taken = {} if is_url(source) else {_place(_local(source)): f"the input {source}"}
    for path in outputs:
        place = _place(path)
        if place in taken:
            raise ConfigError(f"output {path} is {taken[place]}, too", hint="choose another name or folder")
        taken[place] = f"the output {path}"
    if report is not None:
        _check_free(report, taken, f"report {report}")


def _check_free(path: Path, taken: Mapping[object, str], what: str) -> None:
    if _place(path) in taken:
        raise ConfigError(f"{what} is {taken[_place(path)]}", hint="choose another name or folder")
    part = part_path(path)
    if _place(part) in taken:
        raise ConfigError(
            f"{what} is written under the name {part}, which is {taken[_place(part)]}",
            hint="rename the input, or choose another name or folder",
        )
    check_replaceable(path)


def _place(path: Path) -> object:
    """What two names of one file share; of a file that is not there, its full name."""
    found = stat_of(path)
    return (found.st_dev, found.st_ino) if found else path.resolve()


def _local(item: str) -> Path:
    return Path(file_name(item))
