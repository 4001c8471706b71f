"""Several processes on one training, as `torchrun` starts them: each takes its share of every batch.

So many workers with patches of so many each take the steps that one would take with all of them.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from vsr.core.errors import ConfigError, reason


@dataclass(frozen=True)
class Workers:
    """The place of this process among `count` processes. The process of `rank` 0 measures, writes and prints."""

    rank: int = 0
    count: int = 1

    def average(self, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
        """The mean over all workers of each of `tensors`."""
        if self.count == 1:
            return tensors
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.count
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        return [part.view(tensor.shape) for part, tensor in zip(parts, tensors, strict=True)]

    def first(self, value: float, device: torch.device) -> float:
        """The first worker's `value`: clocks and signals differ, and all must go the same way."""
        if self.count == 1:
            return value
        told = torch.tensor(value, dtype=torch.float64, device=device)
        distributed.broadcast(told, src=0)
        return float(told)


def local_device(device: torch.device) -> torch.device:
    """`device`, or where it is CUDA without a number and there are several workers, this one's own."""
    if str(device) != "cuda" or "LOCAL_RANK" not in os.environ:
        return device
    return torch.device("cuda", int(os.environ["LOCAL_RANK"]))


def speaks() -> bool:
    """Whether this process prints for the user."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def joined(device: torch.device) -> Generator[Workers]:
    """The workers that `torchrun` started, or this process alone.

    Raises ConfigError where they don't find each other.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Workers()
        return
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise ConfigError(
            f"the workers don't find each other: {reason(error)}", hint="start them with torchrun"
        ) from error
    try:
        yield Workers(distributed.get_rank(), count)
    finally:
        distributed.destroy_process_group()
