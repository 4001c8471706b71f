"""Every error a user can meet. The message says what and which value; the hint says what to do about it."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Any

from vsr.core.secrets import hide, masked


class VsrError(Exception):
    """Base of all errors that vsr raises on purpose. Any other exception is a bug in vsr.

    `hint` is one sentence with the remedy; `exit_code` is the exit code of the command line. Neither shows a secret.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = masked(message)
        self.hint = masked(hint) if hint is not None else None
        super().__init__(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        """Errors pass from one process to another, with the system's message."""
        cause = self.__cause__ if isinstance(self.__cause__, OSError) else None
        return _again, (type(self), self.__dict__, cause)


def _again(kind: type[VsrError], state: dict[str, Any], cause: OSError | None) -> VsrError:
    error = kind.__new__(kind, state["message"])
    error.__dict__.update(state)
    error.__cause__ = cause
    return error


class ConfigError(VsrError):
    """An option or a combination of options that cannot work."""

    exit_code = 2


class FaultsError(ConfigError):
    """Several faults of one file, each with its place: `faults`, which are the lines of the message."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(masked(fault) for fault in faults)
        super().__init__("\n".join(self.faults))


class MissingDependencyError(VsrError):
    """A package, a driver or a GPU that is needed is not there; the hint says how to get it."""

    exit_code = 3


class MediaError(VsrError):
    """Anything about reading or writing media."""

    exit_code = 4


class SourceOpenError(MediaError):
    """The input does not exist, is not media, or holds nothing to upscale."""


class AccessDeniedError(SourceOpenError):
    """The server wants another user or password."""


class SourceTimeoutError(MediaError):
    """The input sent nothing for too long."""


class SourceLostError(MediaError):
    """The input was there and went away."""


class DecodeError(MediaError):
    """Damaged data that was not to be skipped."""


class EncoderUnavailableError(MediaError):
    """The encoder is not in this FFmpeg build or cannot take the format."""


class EncodeError(MediaError):
    """The encoder or the container does not accept its input."""


class OutputLostError(MediaError):
    """A server or disk that was written to went away; it may come back."""


class FileError(VsrError):
    """The system refused to write a file, a folder or a pipe: a full disk, no permission, a reader that went away."""

    exit_code = 7


class ModelError(VsrError):
    """Anything about a network."""

    exit_code = 5


class UnknownModelError(ModelError):
    """No model package of that name."""


class WeightsError(ModelError):
    """A package or checkpoint is damaged, or its parts do not belong together."""


class UnsupportedInputError(ModelError):
    """The model cannot take this picture."""


class EngineError(VsrError):
    """Anything about a compiled network."""

    exit_code = 6


class EngineBuildError(EngineError):
    """The backend refused to compile the network."""


class EngineStaleError(EngineError):
    """The engine was built from something else."""


class EngineNotFoundError(EngineError):
    """No engine was built for this, and none may be."""


class InferenceError(EngineError):
    """The network failed while running."""


class DeviceMemoryError(EngineError):
    """Not enough memory on the device, or here."""


class WorkerError(VsrError):
    """A process or a node that made a segment is gone."""

    exit_code = 8


class PipelineError(VsrError):
    """A stage failed with an exception that is not a VsrError: a bug in vsr. The message names the place.

    `stage` names the stage; `frame_index` is the number of items it had taken, or None.
    """

    exit_code = 70

    def __init__(self, stage: str, frame_index: int | None, cause: BaseException) -> None:
        where = f"{stage} at frame {frame_index}" if frame_index is not None else stage
        super().__init__(
            f"internal error in {where}: {type(cause).__name__}: {cause}",
            hint="this is a bug in vsr; please report it with the command and this message",
        )
        self.stage = stage
        self.frame_index = frame_index


# Messages of C++ runtimes, of the loader of libraries and of Python's threads when memory runs out.
_NO_MEMORY = (
    "bad_alloc", "can't alloc", "cannot allocate memory", "unable to allocate", "failed to map segment", "out of memory",
    "can't start new thread",
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception, or one in its chain, says that memory has run out."""
    if isinstance(error, (MemoryError, DeviceMemoryError)) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    if any(words in str(error).lower() for words in _NO_MEMORY):
        return True
    return error.__cause__ is not None and is_out_of_memory(error.__cause__)


def out_of_memory(doing: str) -> DeviceMemoryError:
    """The error to raise where memory ends while something is done: "to run the network"."""
    return DeviceMemoryError(
        f"out of memory: not enough {doing}",
        hint="close other programs, raise the limit (ulimit -v), or take a smaller model",
    )


def stage_failed(stage: str, frame_index: int | None, cause: BaseException) -> VsrError:
    """The error to raise for another library's exception in a stage: PipelineError, unless memory ran out."""
    hide(cause)
    if is_out_of_memory(cause):
        where = f" at frame {frame_index}" if frame_index is not None else ""
        return out_of_memory(f"for {stage}{where}")
    return PipelineError(stage, frame_index, cause)


def reason(error: BaseException) -> str:
    """The message of an exception of another library or of the system, in one line; the name of its type if it has none.

    Without the number, function and file name that OSError and PyAV's errors put around it.
    """
    text = getattr(error, "strerror", None) or str(error)
    return next((line.strip() for line in text.splitlines() if line.strip()), type(error).__name__)
