"""From a recipe to an engine in the store."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vsr.backends.trt.gpu import gpu_and_driver
from vsr.backends.trt.library import OnProgress, installed_library
from vsr.backends.trt.recipe import EngineRecipe
from vsr.backends.trt.store import EngineStore, Identity, Manifest
from vsr.core.errors import ConfigError, EngineBuildError, MissingDependencyError
from vsr.models.registry import find_model

_WEIGHTS = "weights.safetensors"


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
    on_progress: OnProgress = lambda _phase, _done, _steps: None,
) -> Built:
    """Build what a recipe says, unless it is there and not to be built `again`.

    Raises MissingDependencyError without TensorRT or onnx; ConfigError, UnknownModelError, WeightsError; EngineBuildError.
    """
    store = store or EngineStore()
    library = installed_library(recipe.library)
    spec = find_model(recipe.model)
    if spec.precision == "f32" and recipe.precision != "fp32":
        raise ConfigError(
            f"{spec.id} needs fp32, not {recipe.precision}", hint='precision = "fp32" in the recipe'
        )
    for side in (recipe.width, recipe.height):
        if any(length % spec.size_multiple for length in (side.least, side.best, side.most)):
            raise ConfigError(f"{spec.id} takes sides that are multiples of {spec.size_multiple}")
    path = spec.graph(recipe.graph_layout)
    graph = _graph(path, recipe)
    weights = spec.folder / _WEIGHTS
    target, driver = ", ".join(recipe.compute_capabilities), ""
    if not target:
        target, driver = _gpu_here()
    identity = Identity(
        recipe=recipe.as_dict() | {"model": spec.id},
        graph=hashlib.sha256(graph).hexdigest(),
        weights=hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "",
        library=library.name,
        version=library.version,
        target=target,
        driver=driver,
    )
    with store.locked():
        there = store.find(identity.key)
        if there and not again:
            return Built(there, store.folder / identity.key, was_there=True)
        started = time.perf_counter()
        plan = library.build(graph, path, recipe, on_progress)
        manifest = Manifest(
            identity=identity,
            ports=plan.ports,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            build_s=round(time.perf_counter() - started, 3),
            plan_bytes=len(plan.data),
            plan_sha256=hashlib.sha256(plan.data).hexdigest(),
        )
        return Built(manifest, store.add(manifest, plan.data, plan.log), was_there=False)


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


def _gpu_here() -> tuple[str, str]:
    try:
        return gpu_and_driver()
    except MissingDependencyError as error:
        raise MissingDependencyError(
            f"there is no GPU here to build for: {error.message}",
            hint='name compute capabilities: --for 8.9, or compute_capabilities = ["8.9"] in the recipe',
        ) from error
