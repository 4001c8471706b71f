"""Pictures that stay on their device: from a decoder's NV12 or P010 to the graph's planes and back, by torch."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from vsr.backends.base import NOT_FINITE, Arrays, out_of_memory
from vsr.backends.guarded import GuardedEngine
from vsr.core.errors import InferenceError, is_out_of_memory, reason
from vsr.core.frame import SemiPlanar

if TYPE_CHECKING:
    from torch import Tensor

# Rows begin at multiples of this number of samples.
_ROW = 16
# Bits by which P010 shifts its codes of 10 bits up.
_P010_SHIFT = 6


class DeviceEngine(GuardedEngine):
    """An engine that also takes and gives what lies on its own device."""

    dlpack_device: tuple[int, int]
    """The device by DLPack's numbers: (1, 0) for the host, (2, 0) for the first CUDA device."""

    def reached_by_torch(self) -> bool:
        """Whether torch, where it is installed, was made for the engine's device."""
        import torch

        return self.dlpack_device == (1, 0) or torch.cuda.is_available()

    @abstractmethod
    def tensors(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """As `outputs`, but with inputs and results as tensors on the device. The results are finished."""

    def run_on_device(self, picture: SemiPlanar, small: Arrays) -> SemiPlanar:
        """One NV12 or P010 picture through the graph of its planes; `small`: the other inputs. Raises as `run` does."""
        with inference():
            planes = planes_of(picture)
            inputs = planes | {name: _tensor(array, planes["y"]) for name, array in small.items()}
            found = self.tensors(inputs)
            if count := int(found.pop(NOT_FINITE, 0)):
                host = {name: tensor.cpu().numpy() for name, tensor in inputs.items()}
                raise self.not_finite(host, count)
            return _joined(found, deep=self.layout.bytes_per_sample == 2)


@contextmanager
def inference() -> Generator[None]:
    """torch without gradients, its errors in our words. Raises DeviceMemoryError, InferenceError."""
    import torch

    try:
        with torch.inference_mode():
            yield
    except RuntimeError as error:
        # CUDA's own errors, as for pinned memory, are recognized by their words alone.
        if isinstance(error, torch.OutOfMemoryError) or is_out_of_memory(error):
            raise out_of_memory() from error
        raise InferenceError(f"torch: {reason(error)}") from error


def planes_of(picture: SemiPlanar) -> dict[str, Tensor]:
    """Planes y, u and v, uint8 [1, 1, h, w x bytes], on the picture's device."""
    # DLPack capsules, since FFmpeg's frames take no stream to wait for: they are on the default stream, as this work is.
    luma, chroma = (_from_dlpack(array.__dlpack__()) for array in (picture.luma, picture.chroma))
    return {
        name: _bytes(codes) for name, codes in (("y", luma), ("u", chroma[..., 0]), ("v", chroma[..., 1]))
    }


def on_host(picture: SemiPlanar) -> list[NDArray[np.uint8]]:
    """The picture's planes Y, U and V, uint8 [h, w x bytes], in the host's memory."""
    return [plane[0, 0].cpu().numpy() for plane in planes_of(picture).values()]


def _bytes(codes: Tensor) -> Tensor:
    import torch

    if codes.dtype == torch.uint8:
        return codes.contiguous()[None, None]
    # The sign is shifted in from above, and masked.
    low = (codes.contiguous().view(torch.int16) >> _P010_SHIFT) & 0x3FF
    return low.view(torch.uint8)[None, None]


def _joined(outputs: Mapping[str, Tensor], *, deep: bool) -> SemiPlanar:
    import torch

    # torch shifts and copies no unsigned 16 bits.
    kind, given = (torch.int16, torch.uint16) if deep else (torch.uint8, torch.uint8)

    def codes(name: str) -> Tensor:
        plane = outputs[f"{name}_out"][0, 0].view(kind)
        return plane << _P010_SHIFT if deep else plane

    # One piece of memory, as NVENC takes it: it looks for chroma right below luma, with the same distance between rows.
    height, width = (luma := codes("y")).shape
    whole = luma.new_empty(height * 3 // 2, -(-width // _ROW) * _ROW)[:, :width]
    chroma = whole[height:].as_strided((height // 2, width // 2, 2), (whole.stride(0), 2, 1))
    whole[:height] = luma
    chroma[..., 0], chroma[..., 1] = codes("u"), codes("v")
    return SemiPlanar(whole[:height].view(given), chroma.view(given))


def _from_dlpack(capsule: Any) -> Tensor:
    from torch.utils.dlpack import from_dlpack

    return from_dlpack(capsule)


def _tensor(array: NDArray[np.generic], like: Tensor) -> Tensor:
    import torch

    return torch.from_numpy(np.array(array)).to(like.device)
