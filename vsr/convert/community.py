"""Checkpoints of community networks (.pth, .safetensors) as ONNX, by way of spandrel, which knows their architectures."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx

from vsr.convert.foreign import Runner, require_finite
from vsr.core.errors import MissingDependencyError, WeightsError, reason
from vsr.core.extras import install
from vsr.models.graphs.builder import OPSET

try:
    import safetensors.torch
    import torch
    from torch import Tensor, nn

    with warnings.catch_warnings():  # Here and below: warnings of spandrel and its networks.
        warnings.simplefilter("ignore")
        import spandrel
except ModuleNotFoundError as error:
    raise MissingDependencyError(
        f"importing checkpoints needs {error.name}", hint=install("torch")
    ) from error
except (ImportError, RuntimeError) as error:  # RuntimeError: torchvision is made for another build of torch.
    raise MissingDependencyError(
        f"spandrel cannot be loaded: {reason(error)}",
        hint="torch and torchvision must fit: pip install --force-reinstall torch torchvision",
    ) from error

if TYPE_CHECKING:
    from spandrel import ImageModelDescriptor

# Input pictures of the exported example, and of the comparison after it.
_EXAMPLE, _OTHER = (2, 64, 96), (1, 128, 64)
_CLOSE = 0.01


def onnx_from_checkpoint(path: Path) -> onnx.ModelProto:
    """The network of a checkpoint with free sizes: float32 RGB or one channel [n, channels, h, w] in 0..1.

    Arrays alone are read: a file with pickled code is refused. Raises WeightsError for that, for an architecture that
    spandrel does not know or that is for neither super-resolution nor restoration, for weights that are no finite numbers, and
    where neither of torch's exporters can express it.
    """
    network = known(path)
    if network.purpose not in ("SR", "Restoration"):
        raise WeightsError(
            f"{path.name} is a {network.architecture.name} for {network.purpose}: it makes no larger or cleaner picture of one"
        )
    if network.input_channels != network.output_channels or network.input_channels not in (1, 3):
        raise WeightsError(
            f"{path.name} takes {network.input_channels} channels and makes {network.output_channels}; "
            "only luma and RGB are supported"
        )
    reasons = []
    # The older exporter follows one run of the code, which fixes decisions that depend on the size; the newer one reads the
    # code itself, which fails for some networks.
    for reads_code in (False, True):
        try:
            model = _exported(network, reads_code=reads_code)
            difference = _difference(network, model)
        except Exception as error:  # Both exporters pass on the exceptions of their many parts.
            reasons.append(reason(error))
            continue
        if difference < _CLOSE:
            return model
        reasons.append(f"off by {difference:.2g} at another size")
    raise WeightsError(
        f"torch cannot express {path.name} ({network.architecture.name}) in ONNX for every size: {reasons[-1]}",
        hint="networks of convolutions alone, such as Compact, SPAN and ESRGAN, can be",
    )


def known(path: Path) -> ImageModelDescriptor[Any]:
    """The network of a checkpoint, as spandrel has it. Raises WeightsError as above."""
    state = spandrel.canonicalize_state_dict(_tensors(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = spandrel.ModelLoader().load_from_state_dict(state)
    except Exception as error:  # UnsupportedModelError, and the networks' errors for wrong shapes.
        raise WeightsError(
            f"spandrel does not know the network of {path.name}: {reason(error)}",
            hint="for weights of `vsr train`, use `vsr model export`",
        ) from error
    if not isinstance(found, spandrel.ImageModelDescriptor):
        raise WeightsError(f"{path.name} ({found.architecture.name}) does not make a picture of one picture")
    for name, tensor in found.model.state_dict().items():
        if tensor.is_floating_point():
            require_finite(tensor.float().numpy(), f"{path}: {name}")
    found.model.eval()
    return found


def _tensors(path: Path) -> dict[str, Any]:
    try:
        if path.suffix.lower() == ".safetensors":
            return dict(safetensors.torch.load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {reason(error)}") from error
    except UnpicklingError as error:
        raise WeightsError(
            f"{path} holds code beside tensors, and vsr never executes it",
            hint="save its state_dict alone, best as .safetensors",
        ) from error
    except Exception as error:  # torch and safetensors each have their own exceptions for damaged files.
        raise WeightsError(f"{path} is not a whole checkpoint: {reason(error)}") from error
    if not isinstance(loaded, dict):
        raise WeightsError(f"{path} holds no table of tensors")
    return loaded


class _Alone(nn.Module):
    """A network with its picture as the one input."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, picture: Tensor) -> Tensor:
        result: Tensor = self.network(picture)
        return result


def _exported(network: ImageModelDescriptor[Any], *, reads_code: bool) -> onnx.ModelProto:
    count, height, width = _EXAMPLE
    given = (torch.rand(count, network.input_channels, height, width),)
    module, free = _Alone(network.model).eval(), {0: "n", 2: "h", 3: "w"}
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        if reads_code:
            shapes = (dict.fromkeys(free, torch.export.Dim.DYNAMIC),)
            program = torch.onnx.export(
                module, given, opset_version=OPSET, dynamic_shapes=shapes, verbose=False
            )
            assert program is not None
            made: onnx.ModelProto = program.model_proto
            return made
        with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
            torch.onnx.export(
                module,
                given,
                file.name,
                dynamo=False,
                opset_version=OPSET,
                input_names=["picture"],
                output_names=["larger"],
                dynamic_axes={"picture": free},
            )
            return onnx.load(file.name)


def _difference(network: ImageModelDescriptor[Any], model: onnx.ModelProto) -> float:
    """Largest difference from the network itself, at a size and count that the export has not seen."""
    count, height, width = _OTHER
    picture = torch.rand(count, network.input_channels, height, width)
    found = np.clip(Runner(model)(picture.numpy()), 0, 1)
    wanted = network(picture.clone()).numpy()  # Some networks write into their input.
    if found.shape != wanted.shape:
        return float("inf")
    return float(np.abs(found - wanted).max())
