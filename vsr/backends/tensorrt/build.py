"""Builds the engine of a recipe into the store."""

from __future__ import annotations

import difflib
import hashlib
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

from vsr.backends.base import chosen_precision
from vsr.backends.tensorrt.gpu import gpu_here, on_gpu
from vsr.backends.tensorrt.library import OnProgress, TensorRT, installed_library
from vsr.backends.tensorrt.recipe import EngineRecipe, recipe_from_dict
from vsr.backends.tensorrt.store import EngineStore, Identity, Manifest
from vsr.core.errors import ConfigError, EngineBuildError, MissingDependencyError, reason
from vsr.core.extras import install
from vsr.files.ordinary import read_ordinary
from vsr.files.whole import write_whole
from vsr.models.registry import find_model
from vsr.models.spec import WEIGHTS_NAME, ModelSpec, Precision

_LEAST_OF_FP8 = (8, 9)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The engine of a recipe on this machine: the frame graph in its precision, and all values that the engine depends on."""

    recipe: EngineRecipe
    spec: ModelSpec
    library: TensorRT
    graph: bytes
    identity: Identity
    capability: str


@dataclass(frozen=True, slots=True)
class BuiltEngine:
    """An engine. was_there: whether it existed before."""

    manifest: Manifest
    folder: Path
    was_there: bool


def wanted_engine(recipe: EngineRecipe, *, gpu: int = 0) -> Wanted:
    """The engine of `recipe` on this machine. gpu: the GPU, as CUDA counts them, if the recipe names none.

    Raises MissingDependencyError without TensorRT, onnx, or a GPU where none is named; ConfigError, UnknownModelError,
    WeightsError, EngineBuildError for a package that cannot be read.
    """
    library = installed_library(recipe.library)
    spec = find_model(recipe.model, on_gpu=True)
    wanted = None if recipe.precision == "auto" else recipe.precision
    recipe = replace(recipe, precision=chosen_precision(spec, wanted, ["fp16", *get_args(Precision)]))
    for side in (recipe.width, recipe.height):
        if any(length % spec.size_multiple for length in (side.min, side.opt, side.max)):
            raise ConfigError(f"{spec.id} needs sides that are multiples of {spec.size_multiple}")
    graph = _graph(spec.graph(recipe.graph_layout), spec, recipe)
    weights = spec.folder / WEIGHTS_NAME
    here = None if recipe.compute_capabilities else _gpu_here(gpu)
    for capability in recipe.compute_capabilities or (here[1:2] if here else ()):
        if recipe.precision == "fp8" and _number(capability) < _LEAST_OF_FP8:
            raise ConfigError(
                f"a GPU of compute capability {capability} does not compute in fp8, which begins with 8.9",
                hint="--precision int8",
            )
    identity = Identity(
        recipe=recipe.as_dict() | {"model": spec.id, "library": library.name},
        graph=hashlib.sha256(graph).hexdigest(),
        weights=hashlib.sha256(weights.read_bytes()).hexdigest() if weights.is_file() else "",
        library=library.name,
        version=library.version,
        target=f"{here[0]} ({here[1]})" if here else ", ".join(recipe.compute_capabilities),
        driver=here[2] if here else "",
    )
    return Wanted(recipe, spec, library, graph, identity, here[1] if here else "")


def serving_engine(recipe: EngineRecipe, store: EngineStore, *, gpu: int = 0) -> Manifest | None:
    """The newest stored engine that can replace the engine of `recipe` on a GPU of this machine. It may be built from
    another recipe: ahead of time, for a range of sizes, with layers kept in fp32. None if there is none. Raises as
    `wanted_engine` does."""
    here = wanted_engine(recipe, gpu=gpu)
    for manifest in reversed(store.manifests()):
        if manifest.identity.recipe.get("model") != here.spec.id:
            continue
        try:
            theirs = recipe_from_dict({**manifest.identity.recipe, "model": recipe.model})
            for_it = not theirs.compute_capabilities or here.capability in theirs.compute_capabilities
            if for_it and theirs.serves(here.recipe):
                now = wanted_engine(theirs, gpu=gpu).identity
                if now == manifest.identity and store.whole(now):
                    return manifest
        except (ConfigError, MissingDependencyError):
            continue  # The engine's library, setting or layer is not here.
    return None


def build_engine(
    recipe: EngineRecipe,
    store: EngineStore | None = None,
    *,
    gpu: int = 0,
    again: bool = False,
    may_build: bool = True,
    say: Callable[[str], None] = lambda _doing: None,
    on_progress: OnProgress = lambda _phase, _done, _steps: None,
) -> BuiltEngine:
    """Build what a recipe says, unless it is there and not to be built `again`. gpu: the one to build for, and on, if the
    recipe names none, as CUDA counts them.

    say is told before a build how long such took, and "" when it is over. Raises what `wanted_engine` does; EngineBuildError;
    FileError where it cannot be written; where it is not there and none `may_build`, EngineNotFoundError, or EngineStaleError
    if what is there was made from something else.
    """
    store = store or EngineStore()
    wanted = wanted_engine(recipe, gpu=gpu)

    def there() -> BuiltEngine | None:
        found = None if again else store.whole(wanted.identity)
        return BuiltEngine(found, store.folder / found.identity.key, was_there=True) if found else None

    # Look without the lock, too: a store that is only read needs none.
    if built := there():
        return built
    if not may_build:
        store.plan(wanted.identity)  # Raises an error that names the missing or different engine.
    with store.locked(say), on_gpu(gpu) if wanted.capability else nullcontext():
        return there() or _built(wanted, store, say, on_progress)


def _built(
    wanted: Wanted, store: EngineStore, say: Callable[[str], None], on_progress: OnProgress
) -> BuiltEngine:
    spec, recipe, identity, library = wanted.spec, wanted.recipe, wanted.identity, wanted.library
    timings = store.timing_cache(identity)
    try:
        measured = read_ordinary(timings)
    except OSError:
        measured = b""
    started = time.perf_counter()
    say(f"building the engine of {spec.id}{_so_far(store.usual_build_s(library.name, spec.id))}")
    try:
        plan = library.build(
            wanted.graph, spec.graph(recipe.graph_layout), recipe, spec, on_progress, timing_cache=measured
        )
    finally:
        say("")
    manifest = Manifest(
        identity=identity,
        package=str(spec.folder.resolve()),
        ports=plan.ports,
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        build_s=round(time.perf_counter() - started, 3),
        plan_bytes=len(plan.data),
        plan_sha256=hashlib.sha256(plan.data).hexdigest(),
    )
    folder = store.add(manifest, plan.data, plan.log)
    if plan.timing_cache:
        write_whole(timings, plan.timing_cache)
    return BuiltEngine(manifest, folder, was_there=False)


def _graph(path: Path, spec: ModelSpec, recipe: EngineRecipe) -> bytes:
    try:
        import onnx
        from onnx.numpy_helper import to_array

        from vsr.backends.graphs.precision import float_layers, guarded, in_precision
        from vsr.models.graphs.quantize import quantized
    except ModuleNotFoundError as error:
        raise MissingDependencyError("building engines needs onnx", hint=install("rtx")) from error
    weights: dict[str, Any] = {}
    try:
        model = onnx.load(str(path), load_external_data=False)
        if recipe.precision in ("int8", "fp8"):
            weights = {tensor.name: to_array(tensor) for tensor in onnx.load(str(path)).graph.initializer}
    except Exception as error:  # protobuf, numpy and the file system each have their own exceptions.
        raise EngineBuildError(
            f"{path}, or its weights, cannot be read: {reason(error)}", hint="copy the package again"
        ) from error
    layers = list(float_layers(model))
    if unknown := sorted(set(recipe.keep_fp32) - set(layers)):
        near = difflib.get_close_matches(unknown[0], layers, n=3) or layers[:3]
        raise ConfigError(
            f"keep_fp32 has {unknown[0]!r}, which the network of {recipe.model} does not make",
            hint=f"it makes, for instance, {', '.join(near)}",
        )
    if recipe.precision in ("int8", "fp8"):
        model = quantized(guarded(model), weights, spec.calibration, features=recipe.precision)
    else:
        model = in_precision(guarded(model), recipe.concrete_precision, recipe.keep_fp32)
    data: bytes = model.SerializeToString()
    return data


def _number(capability: str) -> tuple[int, ...]:
    return tuple(int(part) for part in capability.split("."))


def _so_far(usual_s: float | None) -> str:
    if usual_s is None:
        return "; it is kept for later runs. The first build may take minutes"
    return (
        f"; it is kept for later runs. Builds on this machine took {usual_s:.{0 if usual_s >= 10 else 1}f} s"
    )


def _gpu_here(gpu: int) -> tuple[str, str, str]:
    try:
        return gpu_here(gpu)
    except MissingDependencyError as error:
        raise MissingDependencyError(
            f"this machine has no GPU to build for: {error.message}",
            hint='name compute capabilities: --for 8.9, or compute_capabilities = ["8.9"] in the recipe',
        ) from error
