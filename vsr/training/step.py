"""One training step, run eagerly or captured once in a CUDA graph and replayed.

These networks are so small that launching their kernels takes longer than running them; replaying a captured step
launches all of it at once. Everything a step reads therefore lies in tensors that stay where they are: the host writes
a chunk of patch places and rates into them, and the step counts its own way through.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vsr.core.errors import ConfigError, WeightsError
from vsr.training.data import PatchPool
from vsr.training.losses import blended
from vsr.training.muon import Muon, hidden_kernels
from vsr.training.recipe import TrainRecipe

CHUNK = 64
"""Steps whose patches are drawn together. Part of what a seed means: another value gives other patches."""

device_lock = threading.RLock()
"""Held while capturing, and while doing anything on the device but replaying: one capture at a time, undisturbed."""


class TrainStep:
    """Network, optimizer and the moving average as one state, and the step that advances it.

    `load_chunk` gives the next steps' patches and rates, `run` advances by one step. `state` names every tensor the
    training is made of; they are updated in place. `graphed` tells whether the step was captured.
    """

    def __init__(self, network: nn.Module, pool: PatchPool, recipe: TrainRecipe, batch: int) -> None:
        self._network, self._pool, self._recipe, self._batch = network, pool, recipe, batch
        self._named = dict(network.named_parameters())
        self._parameters = list(self._named.values())
        device = self._parameters[0].device
        self.device = device
        self.graphed = False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._lr = torch.zeros((), device=device)
        hidden = hidden_kernels(self._named) if recipe.optimizer == "muon" else {}
        self._muon = Muon(hidden, self._lr, recipe.muon_lr / recipe.lr)
        kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
        others = [parameter for name, parameter in self._named.items() if name not in hidden]
        self._adam = kind(
            others,
            lr=self._lr,
            weight_decay=recipe.weight_decay,
            fused=True,
            capturable=device.type == "cuda",
        )
        for parameter in others:
            self._adam.state[parameter] = {
                "step": torch.zeros((), device=device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
        self._average = [parameter.detach().clone() for parameter in self._parameters]
        self._places = torch.zeros((CHUNK, batch, 6), dtype=torch.int64, device=device)
        self._rates = torch.zeros(
            (CHUNK, 2), device=device
        )  # Learning rate, share of the mean squared error.
        self._cursor = torch.zeros(1, dtype=torch.int64, device=device)
        self._loss_sum = torch.zeros((), device=device)

    @property
    def state(self) -> dict[str, Tensor]:
        """weights.* and average.* of every parameter, with exp_avg.*, exp_avg_sq.* and step.*, or momentum.*."""
        tensors = {f"momentum.{name}": momentum for name, momentum in self._muon.momentum.items()}
        for (name, parameter), average in zip(self._named.items(), self._average, strict=True):
            tensors[f"weights.{name}"] = parameter.detach()
            tensors[f"average.{name}"] = average
            if name not in self._muon.momentum:
                for key, tensor in self._adam.state[parameter].items():
                    tensors[f"{key}.{name}"] = tensor
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Copy `tensors` into `state`. Raises WeightsError where names or shapes differ."""
        state = self.state
        different = [n for n in state.keys() | tensors.keys() if n not in state or n not in tensors]
        different += [n for n in state.keys() & tensors.keys() if state[n].shape != tensors[n].shape]
        if different:
            raise WeightsError(
                f"the checkpoint is of another network: {', '.join(sorted(different)[:3])} differ",
                hint="resume with the recipe it was started with",
            )
        for name, tensor in state.items():
            tensor.copy_(tensors[name])

    def averaged_weights(self) -> dict[str, Tensor]:
        """The weights that are kept: the moving average, or the latest ones when there is none."""
        kept = self._average if self._recipe.ema_decay else [p.detach() for p in self._parameters]
        return dict(zip(self._named, kept, strict=True))

    def load_chunk(self, places: npt.NDArray[np.int64], rates: npt.NDArray[np.float32], first: int) -> None:
        """Give the coming steps `places` int64 [CHUNK, batch, 6] and `rates` float32 [CHUNK, 2], of which those before
        index `first` were run already."""
        self._places.copy_(self._pinned(torch.from_numpy(places)), non_blocking=True)
        self.load_rates(rates)
        self._cursor.fill_(first)
        self._loss_sum.zero_()

    def load_rates(self, rates: npt.NDArray[np.float32]) -> None:
        """Give the chunk's steps other `rates` float32 [CHUNK, 2]."""
        self._rates.copy_(self._pinned(torch.from_numpy(rates)), non_blocking=True)

    def loss_sum(self) -> Tensor:
        """Sum of the losses since the chunk was loaded, on its way to the host when the device is CUDA."""
        if self.device.type != "cuda":
            return self._loss_sum.clone()
        return torch.empty((), pin_memory=True).copy_(self._loss_sum, non_blocking=True)

    def run(self) -> None:
        """Advance by one step."""
        if self._graph is not None:
            self._graph.replay()
        else:
            self._advance()

    def capture(self, say: Callable[[str], None]) -> None:
        """Capture the step on the current CUDA stream; where that fails, say so and stay eager. State is kept."""
        kept = {name: tensor.clone() for name, tensor in self.state.items()}
        with device_lock, torch.backends.cudnn.flags(enabled=True, benchmark=True):
            stream = torch.cuda.current_stream(self.device)
            for _ in range(4):  # Algorithms are chosen and workspaces allocated before anything is recorded.
                self._advance()
            stream.synchronize()
            self._drop_gradients()
            graph = torch.cuda.CUDAGraph()
            try:
                with torch.cuda.graph(graph, stream=stream, capture_error_mode="thread_local"):
                    self._advance()
                self._graph, self.graphed = graph, True
            except RuntimeError as error:
                self._drop_gradients()
                say(f"the step could not be captured in a CUDA graph, running it eagerly: {error}")
            self.load_state(kept)
            self._cursor.zero_()
            stream.synchronize()

    def _advance(self) -> None:
        recipe = self._recipe
        places = self._places.index_select(0, self._cursor).squeeze(0)
        rates = self._rates.index_select(0, self._cursor).squeeze(0)
        self._lr.copy_(rates[0])
        lr, hr = self._pool.gather(places)
        loss = blended(recipe.loss, self._network(lr), hr, rates[1])
        # Gradients are taken, not accumulated: a replayed step must not add to those of the step before.
        gradients = torch.autograd.grad(loss, self._parameters)
        for parameter, gradient in zip(self._parameters, gradients, strict=True):
            parameter.grad = gradient
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(self._parameters, recipe.clip_norm)
        self._adam.step()
        self._muon.step()
        with torch.no_grad():
            if recipe.ema_decay:
                torch._foreach_lerp_(
                    self._average, [p.detach() for p in self._parameters], 1.0 - recipe.ema_decay
                )
            self._loss_sum.add_(loss.detach())
            self._cursor.add_(1)

    def _drop_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def _pinned(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory() if self.device.type == "cuda" else tensor


def pick_device(name: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda" (also "cuda:1"). Raises ConfigError where it isn't there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(f"no device {name!r}", hint="auto, cpu or cuda") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"training runs on cpu or cuda, not on {name}")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ConfigError("torch sees no CUDA device", hint="--device cpu trains without one, slowly")
    return device


@contextlib.contextmanager
def own_stream(device: torch.device) -> Iterator[None]:
    """A CUDA stream of its own for this thread, so that several trainings share a device; nothing on the CPU."""
    if device.type != "cuda":
        yield
        return
    with torch.cuda.device(device):
        stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            yield
        stream.synchronize()
