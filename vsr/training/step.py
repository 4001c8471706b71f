"""One training step, run eagerly or captured once in a CUDA graph and replayed.

These networks are so small that launching their kernels takes longer than running them; replaying a captured step launches all
of it at once. Everything a step reads therefore lies in tensors that stay in place: the host writes a chunk of patch places and
rates into them, and the step counts its own way through.
"""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from vsr.backends.devices import full_name, listed, parse_device
from vsr.backends.torch.backend import BACKEND as TORCH
from vsr.core.errors import ConfigError, WeightsError, reason
from vsr.models.archs.temporal import Temporal
from vsr.models.archs.vae import Vae
from vsr.training.adversary import Adversary
from vsr.training.clips import ClipPool
from vsr.training.damaged_pool import DamagedPool
from vsr.training.data import PatchPool
from vsr.training.loss_scale import LossScale
from vsr.training.losses import blended, steadiness, with_chroma
from vsr.training.optimizers import Adam, Muon, hidden_kernels
from vsr.training.recipe import TrainRecipe
from vsr.training.workers import Workers, local_device

CHUNK = 64
"""Steps whose patches are drawn together. Part of what a seed means: another value gives other patches."""

device_lock = threading.RLock()
"""Held while capturing, and while doing anything on the device but replaying: one capture at a time, undisturbed."""


class TrainStep:
    """Network, optimizer and the moving average as one state, and the step that advances it.

    `load_chunk` gives the next steps' patches and rates, `run` advances by one step. `state` names every tensor of the
    training; they are updated in place. `graphed`: whether the step was captured.
    """

    def __init__(
        self,
        network: nn.Module,
        pool: PatchPool | DamagedPool | ClipPool,
        recipe: TrainRecipe,
        batch: int,
        adversary: Adversary | None = None,
        workers: Workers | None = None,
    ) -> None:
        self._network: Callable[..., Any] = (
            network.unrolled if isinstance(network, Temporal) and isinstance(pool, ClipPool) else network
        )
        self._pool, self._recipe, self._batch = pool, recipe, batch
        self._adversary, self._workers = adversary, workers or Workers()
        self._in_colour = isinstance(pool, DamagedPool) and pool.planes == 3
        self._variational = network if isinstance(network, Vae) else None
        self._latent = network.latent if isinstance(network, Vae) else 0
        self._named = dict(network.named_parameters())
        self._parameters = list(self._named.values())
        device = self._parameters[0].device
        self.device = device
        self.graphed = False
        self._graph: torch.cuda.CUDAGraph | None = None
        self._lr = torch.zeros((), device=device)
        with_muon = recipe.optimizer == "muon"
        hidden = hidden_kernels(self._named) if with_muon else {}
        self._muon = Muon(hidden, self._lr, recipe.muon_lr / recipe.lr, recipe.weight_decay)
        others = {name: parameter for name, parameter in self._named.items() if name not in hidden}
        self._adam = Adam(
            others, self._lr, 0.0 if with_muon else recipe.weight_decay, decoupled=recipe.optimizer == "adamw"
        )
        self._scale = LossScale(device) if recipe.precision == "fp16" else None
        self._average = [parameter.detach().clone() for parameter in self._parameters]
        self._places = torch.zeros((CHUNK, batch, 6), dtype=torch.int64, device=device)
        self._noise = torch.zeros((CHUNK, batch, self._latent), device=device)
        self._rates = torch.zeros(
            (CHUNK, 2), device=device
        )  # Learning rate, share of the mean squared error.
        self._cursor = torch.zeros(1, dtype=torch.int64, device=device)
        self._loss_sum = torch.zeros(2, device=device)  # The network's loss, and the discriminator's.

    @property
    def state(self) -> dict[str, Tensor]:
        """weights.* and average.* of every parameter, with exp_avg.*, exp_avg_sq.* and step.*, or momentum.*; in fp16
        also loss_scale."""
        tensors = self._adam.state | self._muon.state | (self._scale.state if self._scale else {})
        if self._adversary:
            tensors |= {f"adversary.{name}": tensor for name, tensor in self._adversary.state.items()}
        for (name, parameter), average in zip(self._named.items(), self._average, strict=True):
            tensors[f"weights.{name}"] = parameter.detach()
            tensors[f"average.{name}"] = average
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

    def load_chunk(self, rng: np.random.Generator, rates: npt.NDArray[np.float32], first: int) -> None:
        """Give the next steps this worker's share of the patches drawn from `rng`, and `rates` float32 [CHUNK, 2]; the steps
        before index `first` were run already."""
        workers, all_of_it = self._workers, self._workers.count * self._batch
        share = slice(workers.rank * self._batch, (workers.rank + 1) * self._batch)
        places = self._pool.draw(rng, CHUNK * all_of_it).reshape(CHUNK, all_of_it, 6)[:, share]
        noise = rng.standard_normal((CHUNK, all_of_it, self._latent), dtype=np.float32)[:, share]
        self._noise.copy_(self._pinned(torch.from_numpy(noise)), non_blocking=True)
        self._places.copy_(self._pinned(torch.from_numpy(places)), non_blocking=True)
        self.load_rates(rates)
        self._cursor.fill_(first)
        self._loss_sum.zero_()

    def load_rates(self, rates: npt.NDArray[np.float32]) -> None:
        """Give the chunk's steps other `rates` float32 [CHUNK, 2]."""
        self._rates.copy_(self._pinned(torch.from_numpy(rates)), non_blocking=True)

    def loss_sum(self) -> Tensor:
        """Sums of both losses, [2], since the chunk was loaded, on their way to the host when the device is CUDA."""
        if self.device.type != "cuda":
            return self._loss_sum.clone()
        return torch.empty(2, pin_memory=True).copy_(self._loss_sum, non_blocking=True)

    def run(self) -> None:
        """Advance by one step."""
        if self._graph is not None:
            self._graph.replay()
        else:
            self._advance()

    def capture(self, say: Callable[[str], None], *, compiled: bool = True) -> None:
        """Compile the network, unless told not to, and capture the step on the current CUDA stream; if either fails, say so and
        continue without. State is kept.

        With an adversary the step stays eager: its spectral norm changes buffers the capture does not know of; with other
        workers, which it must wait for; and with pictures that the host damages.
        """
        if self._adversary or self._workers.count > 1 or isinstance(self._pool, DamagedPool):
            return
        kept = {name: tensor.clone() for name, tensor in self.state.items()}
        with device_lock, torch.backends.cudnn.flags(enabled=True, benchmark=True):
            stream = torch.cuda.current_stream(self.device)
            if compiled:
                self._compile(say)
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
                say(f"the step could not be captured in a CUDA graph, running it eagerly: {reason(error)}")
            self.load_state(kept)
            self._cursor.zero_()
            stream.synchronize()

    def _compile(self, say: Callable[[str], None]) -> None:
        """Fuse the operations between the convolutions, which take longer than the convolutions in the backward pass. Not if
        features are rounded to 8 bits: fused, they would be rounded differently than when the network runs."""
        if self._variational or self._recipe.rounded:
            return
        say("compiling the network, half a minute at most")
        eager = self._network
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Advice on precision, which the recipe has chosen.
            try:
                self._network = torch.compile(eager, dynamic=False)
                self._advance()
            except Exception as error:  # Exceptions of compilers, torch and Triton share no base class.
                self._network = eager
                self._drop_gradients()
                say(f"the network could not be compiled, which makes training slower: {reason(error)}")

    def _advance(self) -> None:
        recipe = self._recipe
        places = self._places.index_select(0, self._cursor).squeeze(0)
        rates = self._rates.index_select(0, self._cursor).squeeze(0)
        self._lr.copy_(rates[0])
        lr, hr = self._pool.gather(places)
        if self._variational:
            noise = self._noise.index_select(0, self._cursor).squeeze(0)
            output, divergence = self._variational.reconstruct(lr, hr, noise)
            loss = blended(recipe.loss, output, hr, rates[1]) + recipe.kl_weight * divergence
        elif isinstance(self._pool, ClipPool):
            frames = self._network(lr)
            steady = recipe.steady * steadiness(recipe.loss, frames, hr) if recipe.steady else 0.0
            output, hr = frames.flatten(0, 1).unsqueeze(1), hr.flatten(0, 1).unsqueeze(1)
            loss = blended(recipe.loss, output, hr, rates[1]) + steady
        else:
            output = self._network(lr)
            if self._in_colour:
                output, hr = with_chroma(output), with_chroma(hr)
            loss = blended(recipe.loss, output, hr, rates[1])
        if self._adversary:
            loss = loss + self._adversary.judge(output, hr)
        # Gradients are computed, not accumulated: a replayed step must not add to the gradients of the step before.
        scale = self._scale
        # Zeros for what a network with memory does not use on single pictures.
        taken = torch.autograd.grad(
            scale.up(loss) if scale else loss, self._parameters, materialize_grads=True
        )
        gradients = self._workers.average(taken)
        gradients = scale.down(gradients) if scale else gradients
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
            self._loss_sum[0].add_(loss.detach())
            self._cursor.add_(1)
        if self._adversary:
            self._loss_sum[1].add_(self._adversary.learn(output, hr))

    def _drop_gradients(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None

    def _pinned(self, tensor: Tensor) -> Tensor:
        return tensor.pin_memory() if self.device.type == "cuda" else tensor


def compute_dtype(precision: str, device: torch.device) -> torch.dtype:
    """The precision of the convolutions: "bf16", "fp16" or "fp32" as the recipe says.

    A processor that has no bf16 computes in float32 instead: imitating it takes ten times as long.
    """
    dtype = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}[precision]
    imitated = device.type == "cpu" and not torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return torch.float32 if imitated and dtype is torch.bfloat16 else dtype


def pick_device(name: str) -> torch.device:
    """The device for "auto", "cpu" or "cuda" (also "cuda:1"). Raises ConfigError where it isn't there."""
    kind, number = parse_device(name)
    if kind not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"training runs on cpu or cuda, not on {name}")
    if kind == "cpu" or (kind == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    there = TORCH.devices()
    if full_name(f"cuda:{number or 0}") not in there:
        raise ConfigError(
            f"torch sees no {name}, but {listed(there)}", hint="--device cpu trains without one, slowly"
        )
    return local_device(torch.device("cuda" if number is None else f"cuda:{number}"))


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
