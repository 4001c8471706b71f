"""Several inputs as a whole: which of them are done, so that the same command continues with the others.

That stands in a folder beside the outputs, `batch-NUMBER.vsr`, until all are done.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vsr.core.errors import ConfigError, FileError
from vsr.core.secrets import redacted
from vsr.files.checks import place_of
from vsr.jobs.config import UpscaleConfig
from vsr.jobs.folder import JOURNAL, SUFFIX, JobFolder, check_usable
from vsr.jobs.identity import check_same, options_of
from vsr.jobs.journal import Identified, Identity
from vsr.jobs.lines import Lines, Trusted, bytes_of, read_lines
from vsr.jobs.report import Report
from vsr.media.address import file_name, is_url
from vsr.media.write.containers import NULL, STDOUT

_SCHEMA = 1
_NAME = "batch-"


@dataclass(frozen=True, slots=True)
class _Done:
    """A finished output. url: its input; the state of the input is None if it is not a file."""

    url: str
    input: Identified | None
    output: Identified
    report: Report


@dataclass(slots=True)
class BatchContent:
    """The content of a batch's journal. inputs: their number at the beginning. identity: the options at the beginning."""

    inputs: int = 0
    identity: Identity = field(default_factory=dict)
    done: dict[str, _Done] = field(default_factory=dict)
    trusted: Trusted = field(default_factory=Trusted)


def is_batch(folder: Path) -> bool:
    """Whether the folder of a job is one of several inputs."""
    return folder.name.startswith(_NAME)


def read_batch(folder: Path) -> BatchContent:
    """The trusted part of a batch's journal. Raises FileError, and ConfigError for another schema."""
    path = folder / JOURNAL
    content = BatchContent()

    def take(kind: str, entry: Any) -> None:
        if kind == "batch":
            if entry["schema"] != _SCHEMA:
                raise ConfigError(
                    f"{path} is of another version of vsr", hint="--restart discards it and begins again"
                )
            content.inputs, content.identity = int(entry["inputs"]), dict(entry["options"])
        elif kind == "done":
            found, of = entry["input"], Identified(**entry["made"])
            state = Identified(**found) if found else None
            content.done[entry["output"]] = _Done(entry["url"], state, of, Report.from_dict(entry["report"]))

    content.trusted = read_lines(bytes_of(path), path, take)
    return content


class Batch:
    """The finished ones of several inputs. Without a journal, it keeps nothing from earlier runs."""

    def __init__(self, content: BatchContent, lines: Lines | None = None) -> None:
        self._content = content
        self._lines = lines

    def done(self, url: str, output: str) -> Report | None:
        """The report of an output that is there as an earlier run has made it, of an input that has not changed since."""
        one = self._content.done.get(_absolute(output))
        if one is None or one.url != _absolute(url):
            return None
        same = one.output == _state(output) and one.input == _state(url)
        return one.report if same else None

    def add(self, url: str, output: str, report: Report, made: Identified) -> None:
        """Write down that an output is done. made: its file, which may be about to get that name."""
        if self._lines is None:
            return
        one = _Done(_absolute(url), _state(url), made, report)
        entry = {
            "output": _absolute(output),
            "made": asdict(made),
            "url": one.url,
            "input": asdict(one.input) if one.input else None,
            "report": report.as_dict(),
        }
        with suppress(FileError):  # The disk may be full; the output is whole all the same.
            self._lines.append("done", entry)
        self._content.done[_absolute(output)] = one


@contextmanager
def open_batch(
    config: UpscaleConfig, pairs: Sequence[tuple[str, str]], said: Callable[[str], None]
) -> Iterator[Batch]:
    """The batch of these inputs and outputs, which nobody else may work on meanwhile. It stays unless all are done at the end.

    said: gets sentences for the user. Raises ConfigError where it was begun with other options, or another run works on it.
    """
    if not _is_kept(pairs):
        yield Batch(BatchContent())
        return
    try:
        folder = JobFolder(_place(config, pairs[0][1]))
    except FileError:  # If the batch cannot be written, neither can the outputs, and each reports it.
        yield Batch(BatchContent())
        return
    with folder:
        content = _begun(folder.path, config, said)
        with Lines(folder.journal, content.trusted.length) as lines:
            if not content.trusted.length:
                options = dict(options_of(config))
                lines.append("batch", {"schema": _SCHEMA, "inputs": len(pairs), "options": options})
            batch = Batch(content, lines)
            if there := sum(batch.done(*pair) is not None for pair in pairs):
                said(f"going on: {there} of {len(pairs)} inputs are done")
            try:
                yield batch
            finally:
                there = sum(batch.done(*pair) is not None for pair in pairs)
                if there in (0, len(pairs)):
                    folder.remove()
                else:
                    said(
                        f"{there} of {len(pairs)} inputs are done; the same command continues with the others"
                    )


def begun_batch(config: UpscaleConfig, pairs: Sequence[tuple[str, str]]) -> Batch:
    """The batch of these inputs and outputs as it stands; it is only looked at. Raises ConfigError as `open_batch`."""
    if not _is_kept(pairs):
        return Batch(BatchContent())
    folder = _place(config, pairs[0][1])
    try:
        check_usable(folder)
        return Batch(_begun(folder, config, lambda _: None))
    except FileError:  # Then a run begins without a batch, too.
        return Batch(BatchContent())


def _is_kept(pairs: Sequence[tuple[str, str]]) -> bool:
    return len(pairs) > 1 and not any(output in (NULL, STDOUT) for _, output in pairs)


def _begun(folder: Path, config: UpscaleConfig, said: Callable[[str], None]) -> BatchContent:
    if config.restart:
        return BatchContent()
    content = read_batch(folder)
    if content.trusted.damage:
        said(f"{content.trusted.damage}: the work recorded after that is done again")
    if not content.identity:
        return BatchContent()
    check_same(folder, content.identity, options_of(config))
    return content


def _place(config: UpscaleConfig, output: str) -> Path:
    """The path of the batch of a command line. It does not depend on the content of the named folders."""
    named = [*map(_absolute, config.inputs), "", _absolute(config.output or "")]
    number = hashlib.sha256(os.fsencode("\0".join(named))).hexdigest()[:8]
    # The folder that the command names, whatever output comes first.
    named_folder = Path(file_name(config.output)) if config.output else None
    folder = named_folder if named_folder and named_folder.is_dir() else place_of(Path(output)).parent
    return folder / f"{_NAME}{number}{SUFFIX}"


def _absolute(name: str) -> str:
    return redacted(name) if is_url(name) else os.path.abspath(file_name(name))  # noqa: PTH100


def _state(name: str) -> Identified | None:
    """The state of a file; None if it is not a file, or does not exist."""
    try:
        return None if is_url(name) else Identified.of(Path(file_name(name)).stat())
    except OSError:
        return None
