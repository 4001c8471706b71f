"""From a recipe to an engine in the store."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vsr.backends.trt.gpu import gpu_here
from vsr.backends.trt.library import OnProgress, installed_library
from vsr.backends.trt.recipe import EngineRecipe
from vsr.backends.trt.store import EngineStore, Identity, Manifest
from vsr.core.errors import ConfigError, EngineBuildError, MissingDependencyError
from vsr.models.registry import find_model

_WEIGHTS = "weights.safetensors"
# In what an engine for the GPU that is here may differ from one built ahead of time that serves as well.
_AHEAD_OF_TIME = {"recipe compute_capabilities", "target", "driver"}


@dataclass(frozen=True, slots=True)
class Built:
    """An engine, and whether it was there already."""

    manifest: Manifest
    folder: Path
    was_there: bool


def build_engine(
    recipe: EngineRecipe,
    store: EngineStore | None = None,
    *,
    again: bool = False,
    may_build: bool = True,
    say: Callable[[str], None] = lambda _doing: None,
    on_progress: OnProgress = lambda _phase, _done, _steps: None,
) -> Built:
    """Build what a recipe says, unless it is there and not to be built `again`.

    say is told before a build how long such took, and "" when it is over. Raises MissingDependencyError without TensorRT or
    onnx; ConfigError, UnknownModelError, WeightsError; EngineBuildError; where it is not there and none `may_build`,
    EngineNotFoundError, or EngineStaleError if what is there was made from something else.
    """
    store = store or EngineStore()
    library = installed_library(recipe.library)
    spec = find_model(recipe.model)
    if spec.precision == "fp32" and recipe.precision != "fp32":
        raise ConfigError(
            f"{spec.id} needs fp32, not {recipe.precision}", hint='precision = "fp32" in the recipe'
        )
    for side in (recipe.width, recipe.height):
        if any(length % spec.size_multiple for length in (side.least, side.best, side.most)):
            raise ConfigError(f"{spec.id} takes sides that are multiples of {spec.size_multiple}")
    path = spec.graph(recipe.graph_layout)
    graph = _graph(path, recipe)
    weights = spec.folder / _WEIGHTS
    here = None if recipe.compute_capabilities else _gpu_here()
    identity = Identity(
        recipe=recipe.as_dict() | {"model": spec.id, "library": library.name},
        graph=hashlib.sha256(graph).hexdigest(),
        weights=hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "",
        library=library.name,
        version=library.version,
        target=f"{here[0]} ({here[1]})" if here else ", ".join(recipe.compute_capabilities),
        driver=here[2] if here else "",
    )

    def there() -> Built | None:
        found = None if again else _found(store, identity, here[1] if here else "")
        return Built(found, store.folder / found.identity.key, was_there=True) if found else None

    # Looked for without the lock too: a store that is only read needs none.
    if built := there():
        return built
    if not may_build:
        store.plan(identity)  # Says what is missing, or what differs.
    with store.locked():
        if built := there():
            return built
        started = time.perf_counter()
        say(f"building the engine of {spec.id}{_so_far(store.usual_build_s(library.name, spec.id))}")
        try:
            plan = library.build(graph, path, recipe, on_progress)
        finally:
            say("")
        manifest = Manifest(
            identity=identity,
            ports=plan.ports,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            build_s=round(time.perf_counter() - started, 3),
            plan_bytes=len(plan.data),
            plan_sha256=hashlib.sha256(plan.data).hexdigest(),
        )
        return Built(manifest, store.add(manifest, plan.data, plan.log), was_there=False)


def _found(store: EngineStore, identity: Identity, capability: str) -> Manifest | None:
    """The engine of that identity, or the same built ahead of time for GPUs of `capability`."""
    if found := store.whole(identity):
        return found
    for manifest in store.manifests():
        ahead = capability in manifest.identity.recipe["compute_capabilities"]
        alike = set(identity.differences(manifest.identity)) <= _AHEAD_OF_TIME
        if ahead and alike and store.whole(manifest.identity):
            return manifest
    return None


def _graph(path: Path, recipe: EngineRecipe) -> bytes:
    try:
        import onnx

        from vsr.backends.precision import in_precision
    except ModuleNotFoundError as error:
        raise MissingDependencyError("building engines needs onnx", hint="pip install onnx") from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf and the file system each have their own.
        raise EngineBuildError(f"{path} is damaged: {error}", hint="copy the package again") from error
    data: bytes = in_precision(model, recipe.precision).SerializeToString()
    return data


def _so_far(usual_s: float | None) -> str:
    if usual_s is None:
        return ", which is kept for the next time; the first may take minutes"
    return f", which is kept for the next time; builds here took {usual_s:.{0 if usual_s >= 10 else 1}f} s"


def _gpu_here() -> tuple[str, str, str]:
    try:
        return gpu_here()
    except MissingDependencyError as error:
        raise MissingDependencyError(
            f"there is no GPU here to build for: {error.message}",
            hint='name compute capabilities: --for 8.9, or compute_capabilities = ["8.9"] in the recipe',
        ) from error
