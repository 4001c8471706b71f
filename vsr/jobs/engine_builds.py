"""Engines ahead of time: built, and compared with float32 on real frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from vsr.backends.base import Arrays
from vsr.backends.devices import gpu_number
from vsr.backends.memory import memory_of_a_still
from vsr.backends.tensorrt.backend import TensorRTEngine
from vsr.backends.tensorrt.build import BuiltEngine, wanted_engine
from vsr.backends.tensorrt.build import build_engine as build
from vsr.backends.tensorrt.library import OnProgress
from vsr.backends.tensorrt.recipe import EngineRecipe, recipe_from_dict
from vsr.backends.tensorrt.store import EngineStore, Manifest
from vsr.core.errors import EngineStaleError
from vsr.core.frame import Frame
from vsr.files.checks import is_folder
from vsr.media.frames.planes import av_from_frame, av_name, frame_from_av
from vsr.media.frames.resize import Converter
from vsr.media.read.open import open_source
from vsr.media.samples import CLIP
from vsr.media.types import SourceOptions
from vsr.models.registry import find_model
from vsr.upscale.graph_inputs import small_inputs

VERIFIED_FRAMES = 8


def build_engine(
    recipe: EngineRecipe,
    store: EngineStore | None = None,
    *,
    device: str = "cuda",
    again: bool = False,
    say: Callable[[str], None] = lambda _doing: None,
    on_progress: OnProgress = lambda _phase, _done, _steps: None,
) -> BuiltEngine:
    """Build an engine. If it is for a GPU of this machine, verify it there; `device` names the GPU, as "cuda:1".

    Raises the errors of `vsr.backends.tensorrt.build.build_engine` and of `verify_engine`.
    """
    store = store or EngineStore()
    built = build(recipe, store, gpu=gpu_number(device), again=again, say=say, on_progress=on_progress)
    if recipe.compute_capabilities or built.manifest.parity:
        return built
    return replace(built, manifest=verify_engine(built.manifest.identity.key, store, device=device))


def verify_engine(
    key: str,
    store: EngineStore | None = None,
    *,
    device: str = "cuda",
    input: str = str(CLIP),
    frames: int = VERIFIED_FRAMES,
) -> Manifest:
    """Compare an engine with float32 on frames of a video, write the parity into the engine's manifest, and return the
    manifest.

    The engine's key begins with `key`; it runs on the GPU `device`, as "cuda:1". Raises EngineNotFoundError; EngineStaleError;
    EngineBuildError below the recipe's limit, and removes the engine; MissingDependencyError without a GPU; the errors of
    reading the video.
    """
    store = store or EngineStore()
    gpu, manifest = gpu_number(device), store.named(key)
    # An engine built elsewhere belongs to the package with the same name here, if the packages are equal.
    model = manifest.package if is_folder(Path(manifest.package)) else manifest.identity.recipe["model"]
    recipe = recipe_from_dict({**manifest.identity.recipe, "model": model})
    if differ := wanted_engine(recipe, gpu=gpu).identity.differences(manifest.identity):
        raise EngineStaleError(
            f"the engine was built with another {', '.join(differ)}", hint="`vsr engine build` makes it"
        )
    spec = find_model(model)
    with TensorRTEngine(manifest, spec, store, gpu=gpu) as engine:
        engine.verify(
            {**inputs, **memory_of_a_still(spec, recipe.graph_layout, inputs)}
            for inputs in batches(recipe, input, frames)
        )
        return engine.manifest


def batches(recipe: EngineRecipe, input: str, frames: int) -> Iterator[Arrays]:
    """Inputs for an engine of this recipe, made from a video's first frames, resized to the engine's best size."""
    wanted: list[Frame] = []
    for frame in _frames(recipe, input, max(frames, recipe.batch.opt)):
        wanted.append(frame)
        if len(wanted) == recipe.batch.opt:
            names = recipe.graph_layout.plane_names
            planes = {
                name: np.stack([np.asarray(one.planes[number]) for one in wanted])[:, None]
                for number, name in enumerate(names)
            }
            yield planes | small_inputs(wanted[0].format, wanted[0].color)
            wanted = []


def _frames(recipe: EngineRecipe, input: str, frames: int) -> Iterator[Frame]:
    name, size = av_name(recipe.pixel_format), (recipe.width.opt, recipe.height.opt)
    convert: Converter | None = None
    with open_source(input, SourceOptions()) as source:
        for frame in islice(source, frames):
            given = av_from_frame(frame)
            convert = convert or Converter(
                given.format.name, (given.width, given.height), frame.color, name, size, frame.color
            )
            yield frame_from_av(convert(given))
