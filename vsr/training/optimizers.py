"""Optimizers whose state is tensors that stay where they are, for a step that is captured once and replayed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_MOMENTUM = 0.95
# Coefficients of the quintic Newton-Schulz iteration, which its authors chose for speed: singular values end between about 0.7
# and 1.2.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ITERATIONS = 5
_NARROW = 16


class Adam:
    """torch's fused Adam, or AdamW once there is `weight_decay`, at `rate` for `named`, whose gradients are in `grad`."""

    def __init__(
        self,
        named: Mapping[str, nn.Parameter],
        rate: Tensor,
        weight_decay: float = 0.0,
        *,
        decoupled: bool = False,
    ) -> None:
        kind = torch.optim.AdamW if decoupled else torch.optim.Adam
        on_cuda = rate.device.type == "cuda"
        parameters = list(named.values())
        self._adam = kind(parameters, lr=rate, weight_decay=weight_decay, fused=True, capturable=on_cuda)
        self.state: dict[str, Tensor] = {}
        for name, parameter in named.items():
            state = {
                "step": torch.zeros((), device=rate.device),
                "exp_avg": torch.zeros_like(parameter),
                "exp_avg_sq": torch.zeros_like(parameter),
            }
            self._adam.state[parameter] = state
            self.state |= {f"{key}.{name}": tensor for key, tensor in state.items()}

    def step(self) -> None:
        """Advance every parameter."""
        self._adam.step()


def hidden_kernels(named: Mapping[str, nn.Parameter]) -> dict[str, nn.Parameter]:
    """Kernels between the first and the last, [out, in, h, w] or [layers, out, h, w, in], except kernels with less than 16
    rows or columns as a matrix (depthwise ones), which have few directions."""
    kernels = {name: kernel for name, kernel in named.items() if kernel.dim() >= 4}
    inner = list(kernels.items())[1:-1]
    return {name: kernel for name, kernel in inner if min(_as_matrices(kernel).shape[1:]) >= _NARROW}


class Muon:
    """Momentum, orthogonalised (Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024).

    Adam scales every weight by itself; here a kernel is taken as a matrix, and its step has all singular values near one,
    so that directions the gradient hardly shows are learnt as fast as the strongest. Steps are `ratio` times `rate`. They
    are no smaller where the gradient is, so kernels grow over a long training, which `weight_decay` (decoupled) holds.
    """

    def __init__(
        self, kernels: Mapping[str, nn.Parameter], rate: Tensor, ratio: float, weight_decay: float = 0.0
    ) -> None:
        self._rate, self._ratio, self._decay = rate, ratio, weight_decay
        self.state = {f"momentum.{name}": torch.zeros_like(kernel) for name, kernel in kernels.items()}
        # Kernels of one shape are orthogonalised together.
        self._alike: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = {}
        for name, kernel in kernels.items():
            self._alike.setdefault(kernel.shape, []).append((kernel, self.state[f"momentum.{name}"]))

    @torch.no_grad()
    def step(self) -> None:
        """Advance every kernel."""
        for shape, group in self._alike.items():
            ahead = []
            for kernel, momentum in group:
                assert kernel.grad is not None
                momentum.lerp_(kernel.grad, 1 - _MOMENTUM)
                ahead.append(_as_matrices(torch.lerp(kernel.grad, momentum, _MOMENTUM)))
            matrices = torch.cat(ahead)
            rows, columns = matrices.shape[1:]
            size = self._rate * (self._ratio * max(1.0, rows / columns) ** 0.5)
            steps = orthogonalised(matrices).mul_(size).chunk(len(group))
            for (kernel, _), step in zip(group, steps, strict=True):
                if self._decay:
                    kernel.mul_(1 - self._rate * (self._ratio * self._decay))
                kernel.sub_(step.view(shape))


def orthogonalised(matrices: Tensor) -> Tensor:
    """The nearest matrices with singular values near one, [N, rows, columns] float32."""
    tall = matrices.shape[1] > matrices.shape[2]
    x: Tensor = matrices.mT if tall else matrices
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x.mT if tall else x


def _as_matrices(kernel: Tensor) -> Tensor:
    """[out, ...] as one matrix, [layers, out, ...] as many: [N, out, the rest]."""
    return kernel.flatten(2) if kernel.dim() == 5 else kernel.flatten(1)[None]
