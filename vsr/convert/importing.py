"""Model packages of other people's networks."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import onnx

from vsr.convert.bordered import bordered
from vsr.convert.foreign import Examined, OnnxNetwork, Runner, examine, generalised, load_onnx
from vsr.convert.holds import held, int8_ends
from vsr.convert.ncnn import onnx_from_ncnn
from vsr.core.errors import WeightsError
from vsr.core.frame import Frame, PixelFormat
from vsr.files.checks import is_special
from vsr.models.graphs.package import PackageFacts, refuse_existing, write_package
from vsr.models.graphs.rgb_graph import rgb_graph
from vsr.models.registry import CHECKPOINT_SUFFIXES, NCNN_SUFFIX, package_folder
from vsr.models.spec import WEIGHTS_NAME, ModelSpec
from vsr.upscale.upscaler import Upscaler

_SIDE = 96


def import_model(
    file: Path, target: str | Path, *, title: str = "", licence: str = "", overwrite: bool = False
) -> ModelSpec:
    """Make a package from another program's network: an .onnx file, a checkpoint of an architecture that spandrel knows, or an
    ncnn .param file with its .bin beside it.

    The network's input is a picture of one channel (luma) or three (RGB), float32 NCHW with white at 1 or 255; its output is as
    large, or two to eight times as large. A run of the network finds scale, size multiple and halo, and whether it holds in
    bf16, fp16 and int8 (`vsr.convert.holds`). target: the package's name, which puts it among the user's models, or the path of
    its folder.

    Raises ConfigError for a folder that exists and is not a package or must not be replaced; WeightsError for a network that
    cannot be used, or whose package computes something else.
    """
    folder = package_folder(str(target))
    refuse_existing(folder, overwrite=overwrite)
    if is_special(file):
        raise WeightsError(
            f"{file} is not a regular file", hint="name an .onnx file, a checkpoint or a .param"
        )
    model, peak = _loaded(file)
    try:
        model = bordered(model)
        facts = examine(model, peak)
    except WeightsError as error:
        raise WeightsError(f"{file.name}: {error.message}", hint=error.hint) from error
    name = folder.resolve().name
    with tempfile.TemporaryDirectory() as temporary:
        network = OnnxNetwork(model, facts, Path(temporary) / WEIGHTS_NAME)
        package = PackageFacts(
            name,
            title or f"Imported from {file.name}",
            licence or "not stated",
            precision="shown",  # The picture itself goes through its layers, and rounding may spoil it.
            training={"source": file.name},
            card=_card(name, title, file, facts),
        )
        make = partial(rgb_graph, network) if facts.domain == "rgb" else None
        draft = write_package(network, package, Path(temporary) / name, make)
        difference = _difference(draft, model, facts)
        if not difference <= 1:
            raise WeightsError(
                f"the package of {file.name} is up to {difference} code values from the network itself",
                hint="please report it with the file",
            )
        ends, in_int8 = int8_ends(draft)
        package = replace(package, holds=held(draft) + (("int8",) if in_int8 else ()), calibration=ends)
        return write_package(network, package, folder, make)


def _loaded(file: Path) -> tuple[onnx.ModelProto, float | None]:
    """The network of a file, and the value of white where it is known."""
    suffix = file.suffix.lower()
    if suffix in CHECKPOINT_SUFFIXES:
        from vsr.convert.community import onnx_from_checkpoint

        return generalised(onnx_from_checkpoint(file), file), 1.0
    if suffix == NCNN_SUFFIX:
        return generalised(onnx_from_ncnn(file), file), None
    if suffix == ".bin" and file.with_suffix(NCNN_SUFFIX).is_file():
        raise WeightsError(
            f"{file} has only the weights of a network", hint=f"name {file.with_suffix(NCNN_SUFFIX)}"
        )
    return load_onnx(file), None


def _difference(spec: ModelSpec, model: onnx.ModelProto, facts: Examined) -> int:
    """Largest difference in 8-bit codes between the package and the network, over a picture with noise and edges."""
    rng = np.random.default_rng(0)
    names = "rgb" if facts.domain == "rgb" else "y"
    side = -(-_SIDE // facts.size_multiple) * facts.size_multiple
    codes = {name: rng.integers(0, 256, (side, side)).astype(np.uint8) for name in names}
    for plane in codes.values():
        plane[: side // 2] = np.linspace(0, 255, side, dtype=np.uint8)
    given = np.stack(list(codes.values()))[None].astype(np.float32) * np.float32(facts.peak / 255)
    wanted = np.clip(np.floor(Runner(model)(given)[0] * (255 / facts.peak) + 0.5), 0, 255).astype(int)
    order = ("g", "b", "r") if facts.domain == "rgb" else ("y",)
    kind = PixelFormat("rgb" if facts.domain == "rgb" else "gray")
    with Upscaler(str(spec.folder)) as upscaler:
        planes = upscaler.upscale(Frame([codes[name] for name in order], side, side, kind)).planes
    found = dict(zip(order, planes, strict=True))
    return max(
        int(np.abs(np.asarray(found[name]).astype(int) - wanted[at]).max()) for at, name in enumerate(names)
    )


def _card(name: str, title: str, file: Path, facts: Examined) -> str:
    reach = "the whole picture" if facts.whole else f"{facts.halo} pixels around"
    return (
        f"# {name}\n\n{title or f'Imported from {file.name}.'}\n\n"
        f"x{facts.scale} on {facts.domain}, white at {facts.peak:g}; depends on {reach}; "
        f"{facts.macs_per_pixel:,} multiply-adds per input pixel, {facts.parameters:,} parameters.\n"
    )
