"""Where built engines lie: a folder for each, with the plan, its manifest and its build log.

An engine's key is a hash of all it depends on, which the manifest lists, so that another library version, driver, GPU, graph or
recipe is another key. Engines can carry code: they are read from this store alone, and only if they are to the byte what was
written.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vsr.backends.guarded import Parity
from vsr.backends.trt.library import Port
from vsr.core.errors import ConfigError, EngineBuildError, EngineNotFoundError, EngineStaleError, MediaError
from vsr.media.commit import write_whole

PLAN, MANIFEST, LOG = "engine.plan", "manifest.json", "build.log"
_KEY_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """All that an engine depends on. graph, weights: SHA-256. target: compute capabilities, or the GPU that was there."""

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
        """Names of the fields in which two differ, those of the recipe by themselves."""
        mine, theirs = asdict(self), asdict(other)
        recipes = mine.pop("recipe"), theirs.pop("recipe")
        found = [f"recipe {name}" for name in recipes[0] if recipes[0][name] != recipes[1].get(name)]
        return found + [name for name in mine if mine[name] != theirs[name]]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What `manifest.json` says. package: the folder of the model. parity: None before the engine ran beside float32."""

    identity: Identity
    package: str
    ports: tuple[Port, ...]
    created: str
    build_s: float
    plan_bytes: int
    plan_sha256: str
    parity: Parity | None = None

    def as_dict(self) -> dict[str, Any]:
        """As JSON values."""
        return {"key": self.identity.key, **asdict(self)}


def manifest_from_dict(values: Mapping[str, Any]) -> Manifest:
    """The inverse of `Manifest.as_dict`. Raises KeyError, TypeError, ValueError."""
    ports = tuple(Port(p["name"], p["dtype"], tuple(p["shape"]), p["is_input"]) for p in values["ports"])
    rest = {name: values[name] for name in ("package", "created", "build_s", "plan_bytes", "plan_sha256")}
    parity = Parity(**values["parity"]) if values["parity"] else None
    return Manifest(identity=Identity(**values["identity"]), ports=ports, parity=parity, **rest)


def _manifest_in(folder: Path) -> Manifest | None:
    """None where there is none, or it is not whole: then the engine counts as not built."""
    try:
        return manifest_from_dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def default_store() -> Path:
    """VSR_ENGINES; else engines/store of the checkout vsr runs from; else vsr/engines in the user's folder for caches."""
    if chosen := os.environ.get("VSR_ENGINES"):
        return Path(chosen)
    checkout = Path(__file__).parents[3] / "engines"
    if (checkout / "recipes").is_dir():
        return checkout / "store"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "vsr" / "engines"


class EngineStore:
    """The engines in a folder."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_store()

    def manifests(self) -> list[Manifest]:
        """Of all engines that are there, oldest first."""
        found = [_manifest_in(path.parent) for path in self.folder.glob(f"*/{MANIFEST}")]
        return sorted((m for m in found if m is not None), key=lambda manifest: manifest.created)

    def find(self, key: str) -> Manifest | None:
        """The engine of that key, if it was built."""
        return _manifest_in(self.folder / key)

    def whole(self, identity: Identity) -> Manifest | None:
        """The engine of that identity, if it was built and is to the byte what was written."""
        try:
            self.plan(identity)
        except (EngineNotFoundError, EngineStaleError):
            return None
        return self.find(identity.key)

    def usual_build_s(self, library: str, model: str) -> float | None:
        """How long that library's builds took here, the middle one: those of that model, if there were any."""
        built = [m for m in self.manifests() if m.identity.library == library]
        alike = [m for m in built if m.identity.recipe["model"] == model] or built
        return statistics.median(manifest.build_s for manifest in alike) if alike else None

    def named(self, beginning: str) -> Manifest:
        """The one engine whose key begins so. Raises EngineNotFoundError, ConfigError."""
        found = [m for m in self.manifests() if beginning and m.identity.key.startswith(beginning)]
        if not found:
            raise EngineNotFoundError(
                f"no engine {beginning!r} in {self.folder}", hint="`vsr engine list` shows them"
            )
        if len(found) > 1:
            keys = ", ".join(manifest.identity.key for manifest in found)
            raise ConfigError(f"{beginning!r} could be any of {keys}", hint="give more of it")
        return found[0]

    def plan(self, identity: Identity) -> bytes:
        """The built engine.

        Raises EngineNotFoundError where there is none; EngineStaleError, which names what differs, where there is one of the
        same recipe made from something else, or where the plan is not what was written.
        """
        manifest = self.find(identity.key)
        again = "`vsr engine build` makes it"
        if manifest is None:
            for other in reversed(self.manifests()):
                if other.identity.recipe == identity.recipe:
                    what = ", ".join(identity.differences(other.identity))
                    raise EngineStaleError(f"the engine was built from another {what}", hint=again)
            raise EngineNotFoundError(
                f"no engine for {identity.recipe['model']} was built for this", hint=again
            )
        path = self.folder / identity.key / PLAN
        try:
            data = path.read_bytes()
        except OSError as error:
            raise EngineStaleError(f"cannot read {path}: {error.strerror}", hint=again) from error
        if hashlib.sha256(data).hexdigest() != manifest.plan_sha256:
            raise EngineStaleError(f"{path} is damaged: it is not what was written there", hint=again)
        return data

    def add(self, manifest: Manifest, plan: bytes, log: str) -> Path:
        """Keep an engine, replacing one of the same key once it is whole. Raises EngineBuildError for a full disk."""
        target = self.folder / manifest.identity.key
        part = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=self.folder))
            text = json.dumps(manifest.as_dict(), indent=1) + "\n"
            for name, data in ((PLAN, plan), (LOG, log.encode()), (MANIFEST, text.encode())):
                with (part / name).open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            part.chmod(0o755)
            if target.exists():
                shutil.rmtree(target)
            os.replace(part, target)
        except OSError as error:
            raise EngineBuildError(
                f"cannot keep the engine in {self.folder}: {error.strerror}",
                hint="free some space, or name another folder in VSR_ENGINES",
            ) from error
        finally:
            if part is not None:
                shutil.rmtree(part, ignore_errors=True)
        return target

    def record(self, manifest: Manifest) -> None:
        """Replace what is said of an engine that is there; a store that is only read stays as it is."""
        with contextlib.suppress(MediaError):
            text = json.dumps(manifest.as_dict(), indent=1) + "\n"
            write_whole(self.folder / manifest.identity.key / MANIFEST, text.encode())

    def remove(self, key: str) -> None:
        """Delete an engine. Raises EngineNotFoundError."""
        try:
            shutil.rmtree(self.folder / key)
        except OSError as error:
            raise EngineNotFoundError(f"cannot remove {self.folder / key}: {error.strerror}") from error

    def timing_cache(self, identity: Identity) -> Path:
        """Where what was measured while building for that GPU, with that library, lies."""
        name = f"{identity.library} {identity.version} {identity.target} {identity.driver}"
        return self.folder / f"{''.join(c if c.isalnum() or c == '.' else '-' for c in name)}.timing"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """While one process builds here, others that want to wait: mostly it is the same engine that they want."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / ".lock").open("w")
        except OSError as error:
            raise EngineBuildError(
                f"cannot write in {self.folder}: {error.strerror}", hint="name another folder in VSR_ENGINES"
            ) from error
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
