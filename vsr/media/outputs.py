"""Names of outputs, and whether something stands in their way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from vsr.core.errors import ConfigError
from vsr.core.secrets import redacted
from vsr.files.checks import check_replaceable, part_path, stat_of
from vsr.media.address import is_sequence, is_url, numbered_name, sequence_files
from vsr.media.inputs import local_path
from vsr.media.pictures.files import SUFFIXES as WRITABLE_PICTURES
from vsr.media.read.images import READABLE_PICTURES, is_animation
from vsr.media.write.containers import NULL, STDOUT, container_for


def default_output(
    items: Sequence[str],
    scale: float,
    size: str | None = None,
    folder: Path | None = None,
    below: Mapping[str, Path] | None = None,
) -> list[str]:
    """An output name for each input: beside it or in `folder`, with `_x2` (or `_1080p` for a size) added.

    The container stays where vsr writes it and becomes Matroska, or PNG for pictures, where not; PNG of pictures that move is
    named `.apng`. Inputs that would share a name get their own ending into it, then a number. Whether the names can be
    written is for `check_outputs` to say. below: where in `folder` that of an item lies, if not in itself. Raises ConfigError
    for standard input, which has no name.
    """
    mark = size or f"x{scale:g}"
    taken: set[Path] = set()
    outputs: list[str] = []
    for item in items:
        if item == "-":
            raise ConfigError(
                "standard input has no name to make the output's from", hint="name an OUTPUT, or - for stdout"
            )
        path = Path(PurePosixPath(redacted(item)).name) if is_url(item) else local_path(item)
        place = folder / (below or {}).get(item, Path()) if folder is not None else path.parent
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


def is_there(output: str) -> bool:
    """Whether something has that name; of a sequence, any of its files."""
    if output in (STDOUT, NULL) or is_url(output):
        return False
    name = numbered_name(Path(output).name)
    if name is None:
        return stat_of(Path(output)) is not None
    folder = Path(output).parent
    return folder.is_dir() and any(name.pattern.fullmatch(entry.name) for entry in folder.iterdir())


def output_suffix(suffix: str) -> str:
    """The ending of an upscaled file whose input ends in `suffix`."""
    lower = suffix.lower()
    if lower in WRITABLE_PICTURES:
        return suffix
    if lower in READABLE_PICTURES:
        return ".png"
    try:
        container_for(f"x{lower}", None)
    except ConfigError:
        return ".mkv"
    return suffix


def check_outputs(items: Sequence[str], outputs: Sequence[str], report: Path | None = None) -> None:
    """Raise ConfigError where an output would replace an input, or anything that is not a regular file.

    Its `.part` counts too, and all files of a sequence. report: a file written when all is done, which may lie on no input and
    no output.
    """
    taken = {
        _place(path): f"the input {path}"
        for item in items
        if item != STDOUT and not is_url(item)
        for path in (local_path(item), *(sequence_files(item) if is_sequence(item) else ()))
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
    taken = {} if is_url(source) else {_place(local_path(source)): f"the input {source}"}
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
    """A value that is equal for two names of one file; the full name if the file does not exist."""
    found = stat_of(path)
    return (found.st_dev, found.st_ino) if found else path.resolve()
