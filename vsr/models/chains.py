"""Networks one after another, `denoise,fast-x2`, as one package: in the user's cache, or where nothing can be kept, in a
folder that goes with the process."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import math
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from vsr.core.errors import FileError, MissingDependencyError, UnknownModelError, WeightsError, reason
from vsr.core.extras import install
from vsr.core.version import __version__
from vsr.files.user import cache_folder
from vsr.models.spec import ModelSpec, load_spec

MOST = 16
"""The largest factor of a chain, per side."""


def chained(specs: Sequence[ModelSpec]) -> ModelSpec:
    """The package of these networks, each of which takes the output of the previous one.

    It is made if it does not exist. Raises UnknownModelError for a chain that comes to more than MOST times, and for a network
    with memory; WeightsError for a package whose network cannot be told from what is around it, MissingDependencyError without
    onnx, FileError where nothing can be written anywhere.
    """
    name = ",".join(spec.id for spec in specs)
    for spec in specs:
        if spec.states:
            raise UnknownModelError(
                f"{spec.id} has a memory, which no chain has", hint=f"name {spec.single} in the chain"
            )
    scale = math.prod(spec.scale for spec in specs)
    if scale > MOST:
        raise UnknownModelError(
            f"{name} enlarges by {scale}, more than {MOST}", hint="leave out a network of the chain"
        )
    key = _key(specs)
    kept: Path | None = None
    with contextlib.suppress(RuntimeError):  # The user has no home folder.
        kept = cache_folder() / "chains" / key
    if kept and (kept / "model.toml").is_file():
        return load_spec(kept)
    try:
        from vsr.models.graphs.chain import write_chain
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"a chain of networks needs {error.name}, which is not installed", hint=install("onnx")
        ) from error
    if kept:
        with contextlib.suppress(FileError):
            return write_chain(specs, name, kept)
    folder = _of_process() / key
    return load_spec(folder) if folder.exists() else write_chain(specs, name, folder)


@cache
def _of_process() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="vsr-chains-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _key(specs: Sequence[ModelSpec]) -> str:
    """A hash of the version of vsr and the files of all packages in the chain. Raises WeightsError."""
    digest = hashlib.sha256(__version__.encode())
    for spec in specs:
        try:
            for path in sorted(spec.folder.iterdir()):
                if path.is_file():
                    digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise WeightsError(f"cannot read model package {spec.id}: {reason(error)}") from error
    return digest.hexdigest()[:24]
