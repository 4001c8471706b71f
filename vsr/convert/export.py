"""Makes a package that runs anywhere from the weights of a training."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from vsr.convert.calibrate import calibration
from vsr.convert.importing import import_model
from vsr.convert.onnx_file import OnnxFile, OnnxPrecision, write_onnx
from vsr.core.errors import ConfigError, WeightsError, reason
from vsr.files.checks import check_writable, is_folder, is_special, stat_of
from vsr.models.archs import ARCHITECTURES, COMMUNITY, spec_from_dict
from vsr.models.graphs.colour_network import ColourNetwork
from vsr.models.graphs.networks import ChainNetwork, Network
from vsr.models.graphs.package import PackageFacts, refuse_existing, write_package
from vsr.models.graphs.temporal import TemporalNetwork
from vsr.models.registry import package_folder
from vsr.models.spec import WEIGHTS_NAME, ModelSpec

# Limit of a hyperparameter: a larger network is not built for the comparison.
_LARGEST = 4096


def export_model(
    weights: Path,
    target: str | Path,
    *,
    title: str = "",
    licence: str = "",
    sample: int | None = None,
    calibrate: Sequence[Path] = (),
    overwrite: bool = False,
) -> ModelSpec:
    """Make a package from the weights of `vsr train`, or from a package's network, with the facts about its training. target:
    the package's name, which puts it among the user's models, or the path of its folder, whose name is the package's.

    sample: seed of one of the results of a variational network; None for the middle one. calibrate: pictures, or folders of
    pictures, for int8 graphs; the package then uses int8 where it is faster. Raises ConfigError for a folder that exists and is
    not a package or must not be replaced, WeightsError as below.
    """
    folder = package_folder(str(target))
    refuse_existing(folder, overwrite=overwrite)
    metadata, _ = _read(weights)
    if metadata.get("arch") == COMMUNITY:
        if calibrate or sample is not None:
            raise ConfigError(
                "a network of the community is neither calibrated nor sampled", hint="leave it out"
            )
        named = weights / WEIGHTS_NAME if is_folder(weights) else weights
        return import_model(named, target, title=title, licence=licence, overwrite=overwrite)
    facts = {key: metadata[key] for key in ("command", "hardware") if metadata.get(key)}
    try:
        numbers = {key: json.loads(metadata[key]) for key in ("seed", "steps", "seconds") if key in metadata}
        psnr = {name: float(value) for name, value in json.loads(metadata.get("psnr", "{}")).items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise WeightsError(
            f"the training data in {weights} is damaged: {error}", hint="train or export it again"
        ) from error
    quality = {f"{name.lower()}_psnr": round(value, 3) for name, value in psnr.items()}
    figures = "".join(f"- {name}: {value:.2f} dB (luma)\n" for name, value in psnr.items())
    card = f"# {folder.resolve().name}\n\n{title or 'Trained with vsr.'}\n" + (
        f"\n{figures}" if figures else ""
    )
    return package_from_weights(
        weights,
        folder,
        id=folder.resolve().name,
        title=title or "Trained with vsr",
        training=facts | numbers,
        quality=quality,
        card=card,
        licence=licence or "not stated",
        sample=sample,
        calibrate=calibrate,
    )


def package_from_weights(
    weights: Path,
    folder: Path,
    *,
    id: str,
    title: str,
    training: Mapping[str, Any],
    quality: Mapping[str, Any],
    card: str,
    licence: str = "Apache-2.0",
    sample: int | None = None,
    calibrate: Sequence[Path] = (),
    single: str = "",
    strength: float = 1.0,
) -> ModelSpec:
    """Make the package of a folded network that `vsr train` wrote. Needs the extras onnx and torch. `sample`, `calibrate` as
    above. single: for a network with memory, the id of the network for single pictures; by default the package itself, which
    then has no frame before. strength: of a network in colour.

    Raises WeightsError where the file is damaged, has values that are not finite or does not hold the network it names,
    ConfigError for a sample of a network that isn't variational.
    """
    with _network(weights, sample) as network:
        facts = PackageFacts(
            id, title, licence, strength=strength, training=training, quality=quality, card=card
        )
        if isinstance(network, TemporalNetwork):
            # Motion and what is weighed by it need float32.
            facts = replace(facts, precision="shown", states=network.states, single=single or id)
        if calibrate:
            with tempfile.TemporaryDirectory() as temporary:
                draft = write_package(network, facts, Path(temporary) / folder.name)
                facts = replace(facts, calibration=calibration(draft, calibrate))
        return write_package(network, facts, folder)


def export_onnx(
    weights: Path, path: Path, *, precision: OnnxPrecision = "fp32", sample: int | None = None
) -> OnnxFile:
    """Write the network of a package, or of weights of `vsr train`, as one ONNX file: see `OnnxFile`.

    Raises ConfigError for a file that exists or cannot be written, WeightsError as above, and if fp16 overflows.
    """
    if stat_of(path) is not None:
        raise ConfigError(f"{path} exists", hint="name a new file")
    check_writable(path, overwrite=False)
    with _network(weights, sample) as network:
        if isinstance(network, ColourNetwork):
            raise ConfigError(
                f"{weights} is of a network in colour; .onnx files are for networks on luma",
                hint="export it as a package",
            )
        if isinstance(network, TemporalNetwork):
            raise ConfigError(
                f"{weights} is of a network with memory, which takes more than a picture",
                hint="export it as a package, whose frame graphs have the frame before as inputs",
            )
        return write_onnx(network, path, precision)


@contextmanager
def _network(weights: Path, sample: int | None) -> Generator[Network | TemporalNetwork]:
    """The network of a weights file, or of the one in a package."""
    metadata, tensors = _read(weights)
    try:
        arch, hyperparameters = metadata["arch"], json.loads(metadata["hyperparameters"])
    except (KeyError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"{weights} does not name its network",
            hint="`vsr train` writes that into weights.safetensors, beside the checkpoint",
        ) from error
    if arch == COMMUNITY:
        raise WeightsError(
            f"{weights} is of a network on RGB; .onnx files are for networks on luma",
            hint="name a package instead",
        )
    try:
        spec = spec_from_dict(arch, hyperparameters)
    except ConfigError as error:
        raise WeightsError(f"{weights}: {error.message}", hint=error.hint) from error
    for name, value in hyperparameters.items():
        if value > _LARGEST:
            raise WeightsError(
                f"{weights}: {name} is {value}, more than {_LARGEST}", hint="train or export it again"
            )
    if apart := _apart(arch, spec, tensors):
        raise WeightsError(
            f"{weights} does not hold the network it names, {spec}: {apart}", hint="train or export it again"
        )
    if sample is not None:
        tensors = _sampled(arch, spec, tensors, sample)
    if arch in ("chain", "colour"):
        tensors = _within_half_precision(spec, tensors)
    with tempfile.TemporaryDirectory() as temporary:
        # Only the tensors and their description are copied: the rest of the metadata is in the spec and the card.
        bare = Path(temporary) / WEIGHTS_NAME
        safetensors.numpy.save_file(
            tensors, bare, {key: metadata[key] for key in ("arch", "hyperparameters")}
        )
        if arch == "chain":
            yield ChainNetwork(spec, bare)
        elif arch == "colour":
            yield ColourNetwork(spec, bare)
        elif arch == "temporal":
            yield TemporalNetwork(spec, bare)
        else:
            from vsr.convert.traced import TracedNetwork

            yield TracedNetwork(arch, spec, bare)


def _apart(arch: str, spec: Any, tensors: Mapping[str, NDArray[Any]]) -> str:
    """The differences between `tensors` and the network's own, in words; empty if there are none."""
    import torch

    architecture = ARCHITECTURES[arch]
    with torch.device("meta"):  # Names and shapes only: the tensors may need too much memory.
        wanted = architecture.load(architecture.plain)(spec).state_dict()
    for name in sorted(wanted.keys() | tensors.keys()):
        if name not in tensors or name not in wanted:
            return f"{name} is {'missing' if name in wanted else 'not of it'}"
        if tensors[name].dtype != np.float32 or tensors[name].shape != tuple(wanted[name].shape):
            return f"{name} is {tensors[name].dtype}, {list(tensors[name].shape)}"
        if not np.isfinite(tensors[name]).all():
            return f"{name} has values that are not finite"
    return ""


def _sampled(arch: str, spec: Any, tensors: dict[str, Any], seed: int) -> dict[str, Any]:
    if arch != "vae":
        raise ConfigError(
            f"a network of type {arch} has one result and no samples", hint="leave the sample out"
        )
    import torch

    from vsr.models.archs.vae import VaeDecoder

    decoder = VaeDecoder(spec)
    decoder.load_folded({name: torch.from_numpy(tensor) for name, tensor in tensors.items()})
    return {name: tensor.numpy() for name, tensor in decoder.sampled(seed).items()}


def _within_half_precision(spec: Any, tensors: dict[str, Any]) -> dict[str, Any]:
    import torch

    from vsr.models.archs.chain import within_half_precision

    chain = {
        name: torch.from_numpy(array) for name, array in tensors.items() if not name.startswith("chroma.")
    }
    scaled = within_half_precision(spec, chain)
    return tensors | {name: tensor.numpy() for name, tensor in scaled.items()}


def _read(weights: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """Metadata and tensors of a safetensors file, or of the one in a package; nothing in it is ever executed."""
    if is_folder(weights):
        weights = weights / WEIGHTS_NAME
    if is_special(weights):
        raise WeightsError(
            f"{weights} is not a regular file", hint="name a file that `vsr train` wrote, or a package"
        )
    try:
        with safetensors.safe_open(weights, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            return metadata, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except OSError as error:
        # The text of safetensors names the path once more.
        why = "there is no such file" if isinstance(error, FileNotFoundError) else reason(error)
        raise WeightsError(f"cannot read {weights}: {why}") from error
    except (safetensors.SafetensorError, TypeError) as error:  # TypeError: a kind of number that NumPy lacks.
        raise WeightsError(f"cannot read {weights}: {reason(error)}") from error
