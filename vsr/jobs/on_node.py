"""The work of a node of a cluster: it makes a segment from the blocks it received, and has nothing else of the job.

All data that travels is pickled here, so that a node without this vsr can report that.
"""

from __future__ import annotations

import hashlib
import pickle
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from vsr.core.errors import VsrError, WorkerError, stage_failed
from vsr.core.limits import cores, share_machine
from vsr.core.version import __version__
from vsr.jobs.progress import OnProgress, Progress
from vsr.jobs.run_segment import run_segment
from vsr.jobs.tasks import SegmentDone, SegmentTask
from vsr.jobs.upscale import UpscaleJob
from vsr.machine.environment import version
from vsr.media.read.excerpt import Excerpt, write_excerpts

# Interval at which the head hears how far a segment is.
_TELL_S = 1.0

_SOURCES = Path(__file__).parents[1]
# Beside vsr itself, these packages decide the output.
_LIBRARIES = ("av", "numpy", "openvino", "torch", "tensorrt", "tensorrt-rtx")


@dataclass(frozen=True, slots=True)
class Package:
    """A model package that travels. files: its files by name. digest: of them all."""

    name: str
    files: Mapping[str, bytes]
    digest: str

    @classmethod
    def of(cls, folder: Path) -> Package:
        """Raises OSError."""
        files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
        return cls(folder.name, files, _digest(files))


@cache
def versions() -> dict[str, str]:
    """Versions that must be the same on each node: vsr, its code, and the installed libraries."""
    code = {str(path.relative_to(_SOURCES)): path.read_bytes() for path in sorted(_SOURCES.rglob("*.py"))}
    libraries = {name: version(name) for name in _LIBRARIES}
    return {
        "vsr": __version__,
        "the code of vsr": _digest(code),
        **{name: installed for name, installed in libraries.items() if installed},
    }


def differing(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """The differences between a node and the head, in words; empty if there are none. A library that only one of them has
    does not count."""
    wrong = [
        f"{name} {here[name]}, not {wanted}"
        for name, wanted in there.items()
        if here.get(name, wanted) != wanted
    ]
    return f"has {', '.join(wrong)}" if wrong else ""


def make_segment(
    task: bytes,
    package: bytes,
    excerpts: Sequence[bytes],
    threads: int,
    tell: Callable[[int, int], object] | None = None,
) -> bytes:
    """Make a segment of pickled parts: a SegmentTask, a Package, Excerpts of the input. The answer is a pickled `Answer`.

    threads: processors this task was given. tell: gets, once a second, the number of the segment and of its
    frames so far. Unlike `run_segment` it raises nothing.
    """
    try:
        answer = _made(pickle.loads(task), pickle.loads(package), excerpts, threads, tell)
    except VsrError as error:
        answer = error
    except Exception as error:
        answer = stage_failed("segment", None, error)
    return pickle.dumps(answer)


Answer = tuple[SegmentDone, bytes] | VsrError
"""A segment and the bytes of its file, or why there is none."""

_kept: dict[str, tempfile.TemporaryDirectory[str]] = {}
"""Folders of packages by their digest, for as long as this process lives."""
_jobs: list[UpscaleJob] = []


def _made(
    task: SegmentTask,
    package: Package,
    excerpts: Sequence[bytes],
    threads: int,
    tell: Callable[[int, int], object] | None,
) -> Answer:
    if not _jobs:
        share_machine(max(1, cores() // threads))
        _jobs.append(UpscaleJob(task.config))
    network = replace(task.config.network, model=_folder_of(package), threads=threads)
    with tempfile.TemporaryDirectory(prefix="vsr-segment-") as folder:
        source = Path(folder) / f"input{Path(task.url).suffix}"
        write_excerpts([_excerpt(one) for one in excerpts], source)
        here = replace(
            task,
            url=str(source),
            path=Path(folder) / "segment",
            config=replace(task.config, network=network),
        )
        done = run_segment(_jobs[0], here, None if tell is None else _telling(task.segment.number, tell))
        return done, here.path.read_bytes()


def _telling(number: int, tell: Callable[[int, int], object]) -> OnProgress:
    told_at = -_TELL_S

    def note(part: Progress) -> None:
        nonlocal told_at
        if (now := time.monotonic()) >= told_at + _TELL_S:
            told_at = now
            tell(number, part.frames_done)

    return note


def _excerpt(data: bytes) -> Excerpt:
    one = pickle.loads(data)
    assert isinstance(one, Excerpt)
    return one


def _folder_of(package: Package) -> str:
    if package.digest not in _kept:
        if _digest(package.files) != package.digest:
            raise WorkerError(f"the model package {package.name} arrived damaged")
        kept = tempfile.TemporaryDirectory(prefix="vsr-package-")
        folder = Path(kept.name) / package.name
        folder.mkdir()
        for name, data in package.files.items():
            (folder / name).write_bytes(data)
        _kept[package.digest] = kept
    return str(Path(_kept[package.digest].name) / package.name)


def _digest(files: Mapping[str, bytes]) -> str:
    """A hash of the files' names and bytes."""
    digest = hashlib.sha256()
    for name, data in files.items():
        digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return digest.hexdigest()[:16]
