"""A Ray cluster: its nodes make segments from the blocks that the head sends, and share no files with the head."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vsr.backends.devices import parse_device
from vsr.core.control import Control
from vsr.core.errors import (
    ConfigError,
    MissingDependencyError,
    VsrError,
    WorkerError,
    is_out_of_memory,
    reason,
    stage_failed,
)
from vsr.core.extras import install
from vsr.core.limits import cores
from vsr.core.secrets import redacted
from vsr.files.checks import os_error
from vsr.jobs.on_node import Answer, Package, versions
from vsr.jobs.progress import Progress
from vsr.jobs.runners import Failed, Made
from vsr.jobs.tasks import SegmentDone, SegmentTask
from vsr.media.read.excerpt import Excerpt, excerpt, reads_noted
from vsr.media.read.open import open_source
from vsr.media.read.source import FileSource
from vsr.upscale.options import NetworkOptions

if TYPE_CHECKING:
    from ray import ObjectRef

# A frame on each core, as in one process; with more cores a task has no more frames in progress.
_CPUS_A_TASK = 4
# Interval of the checks for new or lost nodes, and for cancellation.
_LOOK_S = 1.0
_CHECK_S = 0.2
_END_S = 10.0
_REACH_S = 10.0


class Cluster:
    """A connected cluster. device: the device of its tasks, "cpu" or "cuda"."""

    def __init__(self, ray: Any, asked: str, threads: int) -> None:
        """asked: the device, as the user named it. threads: of a task, 0 for four or as many as the smallest node has."""
        self.ray = ray
        kind = parse_device(asked)[0]
        if kind not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"tasks of a cluster do not run on {asked}", hint="give --device cpu or cuda")
        sizes = self._sizes("GPU") if kind != "cpu" else []
        self.device = "cuda" if kind == "cuda" or sizes else "cpu"
        self.threads = threads or max(1, min([_CPUS_A_TASK, *map(int, self._sizes("CPU"))]))

    def capacity(self) -> int:
        """The number of tasks that the present nodes run at a time."""
        if self.device == "cuda":
            return sum(map(int, self._sizes("GPU")))
        return sum(int(size) // self.threads for size in self._sizes("CPU"))

    def options(self) -> dict[str, Any]:
        """The resources of a task. A task with a GPU gets the remaining processors."""
        wants = {"num_cpus": 1, "num_gpus": 1} if self.device == "cuda" else {"num_cpus": self.threads}
        return {**wants, "max_retries": 0, "scheduling_strategy": "SPREAD"}

    def _sizes(self, resource: str) -> list[float]:
        """The number of tasks on each node that has room for any."""
        nodes = [node["Resources"].get(resource, 0.0) for node in self.ray.nodes() if node["Alive"]]
        return [size for size in nodes if size >= 1]


@contextlib.contextmanager
def connected(where: str, device: str, threads: int) -> Generator[Cluster]:
    """A cluster of that address: "local" is begun here, "auto" is the one this machine belongs to, or ray://HOST:PORT.

    Raises MissingDependencyError, and WorkerError where there is none.
    """
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError("--cluster needs Ray", hint=install("cluster")) from error
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if where == "local":
        options |= {"num_cpus": cores(), "include_dashboard": False}
    try:
        _check_reached(os.environ.get("RAY_ADDRESS", "") if where == "auto" else where)
        with _signals_kept(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Important ones are raised as errors, too.
            ray.init(address=where, **options)
    except Exception as error:  # exceptions of Ray, gRPC and the system, of any kind
        raise WorkerError(
            f"no cluster answers at {redacted(where)}: {reason(error)}",
            hint="`ray start --head` starts one; its port must be open to us, its Ray the same as here, its token known",
        ) from error
    try:
        yield Cluster(ray, device, threads)
    finally:
        ray.shutdown()


def _check_reached(address: str) -> None:
    """Raise OSError where nothing listens, which Ray says after a minute. address: [ray://]HOST:PORT, or what Ray knows."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()


@contextlib.contextmanager
def _signals_kept() -> Generator[None]:
    """Ray handles SIGTERM in its own way otherwise."""
    ours = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if ours else None
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


@dataclass(slots=True)
class _Task:
    """A segment that the cluster makes."""

    segment: SegmentTask
    answer: ObjectRef[Any]


class _Board:
    """How many frames the segments have that nodes make: an actor of the cluster, which the tasks tell and the head asks.

    Nothing waits for it, and where it is lost with its node it begins anew.
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self.actor = ray.remote(num_cpus=0, max_restarts=-1)(_board()).remote()
        self._asked: ObjectRef[Any] | None = None
        self._asked_at = -_LOOK_S

    def news(self) -> Mapping[int, int]:
        """How many frames the nodes have made, by the number of the segment: what they reported since the last call."""
        if self._asked is None:
            if time.monotonic() >= self._asked_at + _LOOK_S:
                self._asked, self._asked_at = self.actor.told.remote(), time.monotonic()
            return {}
        if not self._ray.wait([self._asked], timeout=0)[0]:
            return {}
        asked, self._asked = self._asked, None
        try:
            told: Mapping[int, int] = self._ray.get(asked)
        except self._ray.exceptions.RayError:
            return {}
        return told

    def close(self) -> None:
        self._ray.kill(self.actor)


class OnCluster:
    """See `vsr.jobs.runners.Runners`. A runner is a place in the cluster's queue.

    As many tasks wait as run, so that no node waits for the head, and an autoscaled cluster grows.
    """

    def __init__(
        self,
        cluster: Cluster,
        package: Path,
        network: NetworkOptions,
        control: Control,
        said: Callable[[str], None],
        on_progress: Callable[[int, Progress], None] | None = None,
    ) -> None:
        """package: folder of the model. network: how nodes run it. said: gets a sentence where there are no nodes for it.
        on_progress: gets the number of a segment and how far it is."""
        self._cluster = cluster
        self._said = said
        self._network = network
        self._ray = cluster.ray
        self._control = control
        self._on_progress = on_progress
        self._board = None if on_progress is None else _Board(cluster.ray)
        self._tasks: dict[str, _Task] = {}
        self._make = self._ray.remote(_remote())
        self._package = self._put(Package.of(package))
        self._versions = versions()
        self._common: tuple[frozenset[int], ObjectRef[Any]] | None = None
        self._precision = ""
        self._places = 0
        self._waits = False
        self._looked = -_LOOK_S

    def free(self) -> Sequence[str]:
        if time.monotonic() >= self._looked + _LOOK_S:
            self._looked = time.monotonic()
            self._places = 2 * max(1, self._capacity())
        names = (f"task {number + 1}" for number in range(self._places))
        return [name for name in names if name not in self._tasks]

    def _capacity(self) -> int:
        capacity = self._cluster.capacity()
        if not capacity and not self._waits:
            wants = "a GPU" if self._cluster.device == "cuda" else f"{self._cluster.threads} processors"
            self._said(f"no node of the cluster has {wants}: the job waits for one")
        self._waits = not capacity
        return capacity

    def start(self, runner: str, task: SegmentTask) -> None:
        blocks, common = self._beginning(task)
        with reads_noted() as noted, _opened(task) as source:
            source.read_part(task.segment.seek, task.segment.end)
        own = self._put(excerpt(Path(task.url), noted - blocks))
        sent = pickle.dumps(replace(task, config=replace(task.config, network=self._network)))
        answer = self._make.options(**self._cluster.options()).remote(
            self._versions,
            self._cluster.threads,
            self._board and self._board.actor,
            sent,
            self._package,
            common,
            own,
        )
        self._tasks[runner] = _Task(task, answer)

    def _beginning(self, task: SegmentTask) -> tuple[frozenset[int], ObjectRef[Any]]:
        """The blocks of the input that are read to open it: every segment needs them."""
        if self._common is None:
            with reads_noted() as noted, _opened(task):
                pass
            self._common = frozenset(noted), self._put(excerpt(Path(task.url), noted))
        return self._common

    def _put(self, value: Package | Excerpt) -> ObjectRef[Any]:
        reference: ObjectRef[Any] = self._ray.put(pickle.dumps(value))
        return reference

    def wait(self, timeout_s: float | None) -> Sequence[Made | Failed]:
        until = None if timeout_s is None else time.monotonic() + timeout_s
        while True:
            self._control.check()
            names = {task.answer: name for name, task in self._tasks.items()}
            ready, _ = self._ray.wait(list(names), timeout=_CHECK_S)
            self._control.check()
            self._tell_progress()
            if ready:
                return [self._heard(names[answer]) for answer in ready]
            if until is not None and time.monotonic() >= until:
                return []
            if until is None and self.free():
                return []

    def _tell_progress(self) -> None:
        """Say how far the segments under way are. What nodes told of others came too late."""
        if self._on_progress is None or self._board is None:
            return
        urls = {task.segment.segment.number: task.segment.url for task in self._tasks.values()}
        for number, frames in self._board.news().items():
            if number in urls:
                self._on_progress(number, Progress(redacted(urls[number]), frames, None, 0.0, None, None))

    def _heard(self, name: str) -> Made | Failed:
        task = self._tasks.pop(name)
        try:
            node, said = self._ray.get(task.answer)
        except self._ray.exceptions.RayTaskError as error:
            return Failed(name, stage_failed("segment", None, error), final=True)
        except self._ray.exceptions.RayError as error:
            return Failed(name, WorkerError(f"its node or process died: {reason(error)}"))
        if isinstance(said, str):
            other = ConfigError(f"node {node} {said}", hint="install the same versions there")
            return Failed(name, other, final=True)
        answer: Answer = pickle.loads(said)
        if isinstance(answer, VsrError):
            answer.message = f"node {node}: {answer.message}"
            return Failed(name, answer, final=not is_out_of_memory(answer))
        return self._made(name, node, task.segment, *answer)

    def _made(self, name: str, node: str, task: SegmentTask, done: SegmentDone, data: bytes) -> Made | Failed:
        report = done.report
        self._precision = self._precision or report.precision
        if report.precision != self._precision:
            differs = ConfigError(
                f"node {node} computes in {report.precision}, others in {self._precision}",
                hint="give a --precision that all have",
            )
            return Failed(name, differs, final=True)
        try:
            task.path.write_bytes(data)
        except OSError as error:
            raise os_error(str(task.path), error) from error
        # The time on the head's clock: the clocks of nodes may differ.
        began = time.time() - report.seconds
        report = replace(report, input=redacted(task.url), started=round(began, 3), nodes={node: report.fps})
        if self._on_progress is not None:
            part = Progress(report.input, report.frames_out, None, report.fps, None, None)
            self._on_progress(done.number, part)
        return Made(name, SegmentDone(done.number, report))

    def drop(self, runner: str) -> None:
        task = self._tasks.pop(runner, None)
        if task is not None:
            self._ray.cancel(task.answer, force=True)

    def __enter__(self) -> OnCluster:
        return self

    def __exit__(self, *exc_info: object) -> None:
        left = [task.answer for task in self._tasks.values()]
        self._tasks.clear()
        for answer in left:
            self._ray.cancel(answer, force=True)
        if left:
            self._ray.wait(left, num_returns=len(left), timeout=_END_S)
        if self._board is not None:
            self._board.close()


@contextlib.contextmanager
def _opened(task: SegmentTask) -> Generator[FileSource]:
    with open_source(task.url, task.config.source) as source:
        assert isinstance(source, FileSource)
        yield source


def _board() -> type:
    """The class of the actor. Its code is sent from here, as that of the tasks."""

    class Board:
        def __init__(self) -> None:
            self._frames: dict[int, int] = {}

        def tell(self, number: int, frames: int) -> None:
            self._frames[number] = frames

        def told(self) -> dict[int, int]:
            told, self._frames = self._frames, {}
            return told

    return Board


def _remote() -> Callable[..., tuple[str, str | bytes]]:
    """The function that runs on a node. Its code is sent from here: a node may have no vsr, or another version."""

    def segment(
        there: dict[str, str], threads: int, board: Any, task: bytes, package: bytes, *excerpts: bytes
    ) -> tuple[str, str | bytes]:
        import socket

        import ray

        node = f"{socket.gethostname()} ({ray.get_runtime_context().get_node_id()[:8]})"
        try:
            from vsr.jobs.on_node import differing, make_segment, versions
        except ImportError as error:
            return node, f"has no vsr that could help: {error}"
        tell = None if board is None else board.tell.remote
        return node, differing(there, versions()) or make_segment(task, package, excerpts, threads, tell)

    return segment
