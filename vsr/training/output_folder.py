"""The folders a training writes into, its own while it runs."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator
from pathlib import Path

from vsr.core.errors import ConfigError, FileError, reason
from vsr.files.ordinary import folder_alone


@contextlib.contextmanager
def held(out: Path, checkpoints: Path) -> Generator[None]:
    """Both folders, made where they were missing, and `out` locked while inside. Those it made are gone afterwards if nothing
    was written into them.

    Raises FileError where they cannot be made or written into, ConfigError where another training holds `out`.
    """
    with contextlib.ExitStack() as afterwards:
        for folder in dict.fromkeys((out, checkpoints)):
            try:
                for missing in [path for path in (folder, *folder.parents) if not path.is_dir()][::-1]:
                    missing.mkdir(exist_ok=True)
                    afterwards.callback(_remove_empty, missing)
            except OSError as error:
                raise FileError(f"cannot make the folder {folder}: {reason(error)}") from error
            try:  # Tried now, not only when the first checkpoint is due.
                with tempfile.TemporaryFile(dir=folder):
                    pass
            except OSError as error:
                raise FileError(
                    f"cannot write into {folder}: {reason(error)}", hint="name another folder"
                ) from error
        with _locked(out):
            yield


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):  # The folder is not empty.
        folder.rmdir()


@contextlib.contextmanager
def _locked(folder: Path) -> Generator[None]:
    with contextlib.ExitStack() as locked:
        try:
            locked.enter_context(folder_alone(folder))
        except BlockingIOError as error:
            raise ConfigError(
                f"another vsr is training in {folder}", hint="wait until it is done, or choose another name"
            ) from error
        except OSError as error:
            raise FileError(f"cannot look into {folder}: {reason(error)}") from error
        yield
