"""The store of built engines: a folder for each, with the plan, its manifest and its build log.

An engine's key is a hash of everything it depends on, which the manifest lists: another library version, driver, GPU, graph or
recipe is another key. Engines can carry code: they are read from this store alone, and only if no byte has changed. The hash
detects damage, not malice: whoever may write in the store may write a plan and its hash. So a store that everybody may write in
is refused, and so are links and special files in it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shlex
import shutil
import stat
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vsr.backends.guarded import Parity
from vsr.backends.tensorrt.library import Port
from vsr.backends.tensorrt.recipe import recipe_from_dict
from vsr.core.errors import (
    ConfigError,
    EngineNotFoundError,
    EngineStaleError,
    FileError,
    reason,
)
from vsr.files.ordinary import open_alone, read_ordinary
from vsr.files.user import cache_folder
from vsr.files.whole import write_whole

PLAN, MANIFEST, LOG = "engine.plan", "manifest.json", "build.log"
_KEY_LENGTH = 16
_ANOTHER = "name another folder in VSR_ENGINES or --store"


@dataclass(frozen=True, slots=True)
class Identity:
    """Everything an engine depends on. graph, weights: SHA-256. target: compute capabilities, or the GPU that was there."""

    recipe: Mapping[str, Any]
    graph: str
    weights: str
    library: str
    version: str
    target: str
    driver: str

    @property
    def key(self) -> str:
        """16 hexadecimal digits."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:_KEY_LENGTH]

    def differences(self, other: Identity) -> list[str]:
        """Names of the fields in which two identities differ, with the recipe's fields one by one."""
        mine, theirs = asdict(self), asdict(other)
        recipes = mine.pop("recipe"), theirs.pop("recipe")
        found = [f"recipe {name}" for name in recipes[0] if recipes[0][name] != recipes[1].get(name)]
        return found + [name for name in mine if mine[name] != theirs[name]]


@dataclass(frozen=True, slots=True)
class Manifest:
    """The content of `manifest.json`. package: the folder of the model. parity: None before the engine ran beside float32."""

    identity: Identity
    package: str
    ports: tuple[Port, ...]
    created: str
    build_s: float
    plan_bytes: int
    plan_sha256: str
    parity: Parity | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields as JSON values, with the key."""
        return {"key": self.identity.key, **asdict(self)}


def manifest_from_dict(values: Mapping[str, Any]) -> Manifest:
    """The inverse of `Manifest.as_dict`. Raises KeyError, TypeError, AttributeError, ValueError, ConfigError."""
    recipe_from_dict(values["identity"]["recipe"])
    for name, kind in _KINDS.items():
        if not isinstance(values[name], kind):
            raise TypeError(f"{name} is {values[name]!r}")
    ports = tuple(Port(p["name"], p["dtype"], tuple(p["shape"]), p["is_input"]) for p in values["ports"])
    rest = {name: values[name] for name in ("package", "created", "build_s", "plan_bytes", "plan_sha256")}
    parity = Parity(**values["parity"]) if values["parity"] else None
    return Manifest(identity=Identity(**values["identity"]), ports=ports, parity=parity, **rest)


_KINDS: Mapping[str, type | tuple[type, ...]] = {
    "package": str, "created": str, "build_s": (int, float), "plan_bytes": int, "plan_sha256": str
}  # fmt: skip


def _manifest_in(folder: Path) -> Manifest | None:
    """None where there is none, or it is not whole, or of another engine: then the engine counts as not built."""
    try:
        if folder.is_symlink():
            return None
        manifest = manifest_from_dict(json.loads(read_ordinary(folder / MANIFEST)))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ConfigError):
        return None
    return manifest if manifest.identity.key == folder.name else None


def default_store() -> Path:
    """VSR_ENGINES; else engines/store of the checkout vsr runs from; else vsr/engines in the user's folder for caches."""
    if chosen := os.environ.get("VSR_ENGINES"):
        return Path(chosen).expanduser()
    checkout = Path(__file__).parents[3] / "engines"
    if (checkout / "recipes").is_dir():
        return checkout / "store"
    return cache_folder() / "engines"


class EngineStore:
    """The engines in a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_store()

    def manifests(self) -> list[Manifest]:
        """The manifests of all engines, oldest first. Raises ConfigError for a folder that cannot be read."""
        found = [self.find(key) for key in self.keys()]
        return sorted((m for m in found if m is not None), key=lambda manifest: manifest.created)

    def keys(self) -> list[str]:
        """The keys of all engines, damaged ones included. Raises ConfigError for a folder that cannot be read, or in which
        everybody may write."""
        self._check_mode(self.folder)
        try:
            names = [path.name for path in self.folder.iterdir()]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise ConfigError(
                f"engines cannot lie in {self.folder}: {reason(error)}", hint=_ANOTHER
            ) from error
        return sorted(name for name in names if re.fullmatch(f"[0-9a-f]{{{_KEY_LENGTH}}}", name))

    def find(self, key: str) -> Manifest | None:
        """The engine with this key, None if it was not built. Raises ConfigError for a folder in which everybody may write."""
        for path in (self.folder, self.folder / key, self.folder / key / PLAN, self.folder / key / MANIFEST):
            self._check_mode(path)
        return _manifest_in(self.folder / key)

    def whole(self, identity: Identity) -> Manifest | None:
        """The engine with this identity, None if it was not built or its files have changed."""
        try:
            self.plan(identity)
        except (EngineNotFoundError, EngineStaleError):
            return None
        return self.find(identity.key)

    def usual_build_s(self, library: str, model: str) -> float | None:
        """The median time of this library's builds on this machine: of builds of the model, if there were any."""
        built = [m for m in self.manifests() if m.identity.library == library]
        alike = [m for m in built if m.identity.recipe["model"] == model] or built
        return statistics.median(manifest.build_s for manifest in alike) if alike else None

    def key(self, beginning: str) -> str:
        """The only key that begins with these digits. Raises EngineNotFoundError, ConfigError."""
        found = [key for key in self.keys() if beginning and key.startswith(beginning)]
        if not found:
            raise EngineNotFoundError(
                f"no engine {beginning!r} in {self.folder}", hint="`vsr engine list` shows them"
            )
        if len(found) > 1:
            raise ConfigError(f"{beginning!r} could be any of {', '.join(found)}", hint="give more digits")
        return found[0]

    def named(self, beginning: str) -> Manifest:
        """The manifest of the only engine whose key begins with these digits. Raises EngineNotFoundError, EngineStaleError for
        a damaged engine, ConfigError."""
        key = self.key(beginning)
        if manifest := self.find(key):
            return manifest
        raise EngineStaleError(
            f"the manifest in {self.folder / key} is damaged",
            hint=f"`vsr engine remove {key}` removes the engine",
        )

    def plan(self, identity: Identity) -> bytes:
        """The bytes of the built engine.

        Raises EngineNotFoundError if there is no engine of this recipe. Raises EngineStaleError for a damaged engine, and for
        an engine of this recipe with another identity; the message names the difference.
        """
        manifest = self.find(identity.key)
        again = "`vsr engine build` makes it"
        if manifest is None:
            for other in reversed(self.manifests()):
                if other.identity.recipe == identity.recipe:
                    what = ", ".join(identity.differences(other.identity))
                    raise EngineStaleError(f"the engine was built with another {what}", hint=again)
            raise EngineNotFoundError(
                f"no engine for {identity.recipe['model']} was built for this", hint=again
            )
        path = self.folder / identity.key / PLAN
        try:
            data = read_ordinary(path)
        except OSError as error:
            raise EngineStaleError(f"cannot read {path}: {reason(error)}", hint=again) from error
        if hashlib.sha256(data).hexdigest() != manifest.plan_sha256:
            raise EngineStaleError(f"{path} is damaged: its content has changed", hint=again)
        return data

    def add(self, manifest: Manifest, plan: bytes, log: str) -> Path:
        """Store an engine; it replaces an engine with the same key once it is complete. Call it while the store is `locked`.
        Raises FileError."""
        target = self.folder / manifest.identity.key
        part = None
        try:
            for killed in self.folder.glob(f".{'[0-9a-f]' * _KEY_LENGTH}.*"):
                shutil.rmtree(killed, ignore_errors=True)
            part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=self.folder))
            text = json.dumps(manifest.as_dict(), indent=1) + "\n"
            for name, data in ((PLAN, plan), (LOG, log.encode()), (MANIFEST, text.encode())):
                with (part / name).open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            part.chmod(0o755)
            if os.path.lexists(target):
                _delete(target)
            os.replace(part, target)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
            raise FileError(
                f"cannot keep the engine in {self.folder}: {reason(error)}",
                hint=f"free some space, or {_ANOTHER}" if full else _ANOTHER,
            ) from error
        finally:
            if part is not None:
                shutil.rmtree(part, ignore_errors=True)
        return target

    def record(self, manifest: Manifest) -> None:
        """Replace the manifest of a stored engine. A read-only store stays unchanged."""
        with contextlib.suppress(FileError):
            text = json.dumps(manifest.as_dict(), indent=1) + "\n"
            write_whole(self.folder / manifest.identity.key / MANIFEST, text.encode())

    def remove(self, key: str) -> None:
        """Delete an engine. Raises EngineNotFoundError."""
        try:
            _delete(self.folder / key)
        except OSError as error:
            raise EngineNotFoundError(
                f"cannot remove {self.folder / key}: {reason(error)}", hint="delete the folder by hand"
            ) from error

    def _check_mode(self, path: Path) -> None:
        """Raise ConfigError for a folder in which everybody may write: an engine runs as code of the process that loads it."""
        with contextlib.suppress(OSError):
            found = path.lstat()
            if found.st_mode & stat.S_IWOTH and not stat.S_ISLNK(found.st_mode):
                raise ConfigError(
                    f"everybody may write in the engine store {self.folder}, and engines can carry code",
                    hint=f"remove files of other users there, then: chmod -R o-w {shlex.quote(str(self.folder))}",
                )

    def timing_cache(self, identity: Identity) -> Path:
        """The file with measurements of earlier builds for this GPU and library."""
        name = f"{identity.library} {identity.version} {identity.target} {identity.driver}"
        return self.folder / f"{''.join(c if c.isalnum() or c == '.' else '-' for c in name)}.timing"

    @contextlib.contextmanager
    def locked(self, say: Callable[[str], None]) -> Iterator[None]:
        """Allow one process to build here. Others wait, usually for the same engine, and pass a sentence to `say`. Raises
        FileError, and ConfigError for a store in which everybody may write."""
        self._check_mode(self.folder)
        try:
            self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
            path = self.folder / ".lock"
            try:
                file = open_alone(path)
            except BlockingIOError:
                say(f"another vsr builds an engine in {self.folder}: waiting for it")
                file = open_alone(path, wait=True)
                say("")
        except OSError as error:
            raise FileError(f"cannot write in {self.folder}: {reason(error)}", hint=_ANOTHER) from error
        with file:
            yield


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()
