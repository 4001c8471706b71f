"""The loop of PyTorch on the processor, in bf16 and channels last."""

from __future__ import annotations

from benchmarks.peers.peer import flags
from benchmarks.peers.torch_fp32 import TorchLoop


class TorchBf16(TorchLoop):
    name = "PyTorch's loop, bf16"
    dtype = "bfloat16"

    def left_out(self) -> str | None:
        if flags() & {"amx_bf16", "avx512_bf16"}:
            return None
        return "the processor has no bf16; PyTorch imitates it, many times slower than fp32"


PEER = TorchBf16()
