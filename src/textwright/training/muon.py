"""Muon (Jordan et al., 2024) for many small matrices: one call orthogonalises all of a shape.

The same numbers as `torch.optim.Muon` and the same state, so that a checkpoint of one goes on in
the other. What differs is the number of calls: a GPT of 4 layers has 28 matrices of two
shapes, and on a processor a call on one of them costs as much as its arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

_TOGETHER_UP_TO = 192
"""On a processor, the smaller side of what is done at once: larger ones leave the caches."""


class Muon(torch.optim.Muon):
    """`torch.optim.Muon`, all of whose matrices have a gradient at each step."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update every matrix by its gradient."""
        for group in self.param_groups:
            self._update(group)

    def _update(self, group: dict[str, Any]) -> None:
        for matrices in _together(group["params"]):
            gradients = [_gradient(matrix) for matrix in matrices]
            momenta = [self._momentum(matrix) for matrix in matrices]
            torch._foreach_lerp_(momenta, gradients, 1 - group["momentum"])
            looking_ahead = torch._foreach_lerp(gradients, momenta, group["momentum"])
            wide = [_wide(matrix).bfloat16() for matrix in looking_ahead]
            torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])
            for matrix, update in zip(matrices, _orthogonal(wide, group), strict=True):
                rows, columns = matrix.shape
                rate = group["lr"] * math.sqrt(max(1, rows / columns))
                matrix.add_(update if rows <= columns else update.T, alpha=-rate)

    def _momentum(self, matrix: Tensor) -> Tensor:
        state = self.state[matrix]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        buffer: Tensor = state["momentum_buffer"]
        return buffer


def _orthogonal(matrices: list[Tensor], group: dict[str, Any]) -> Iterable[Tensor]:
    """The nearest matrices with singular values about 1, by Newton–Schulz iterations.

    Args:
        matrices: (rows, columns) each, rows ≤ columns.
        group: the optimiser's settings.
    """
    single = len(matrices) == 1
    multiply, add_product = (torch.mm, torch.addmm) if single else (torch.bmm, torch.baddbmm)
    x = matrices[0] if single else torch.stack(matrices)
    a, b, c = group["ns_coefficients"]
    norms = x.norm(dim=(-2, -1), keepdim=True)
    x = x / norms.clamp(min=group["eps"])  # so that no singular value is above 1
    for _ in range(group["ns_steps"]):
        gram = multiply(x, x.mT)
        x = add_product(x, add_product(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return (x,) if single else x


def _gradient(matrix: Tensor) -> Tensor:
    assert matrix.grad is not None, "a step follows a backward pass"
    return matrix.grad


def _wide(matrix: Tensor) -> Tensor:
    """Lying, where it stands."""
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T


def _together(matrices: list[Tensor]) -> list[list[Tensor]]:
    """Those that are orthogonalised at once."""
    found: dict[tuple[int, ...], list[Tensor]] = {}
    for place, matrix in enumerate(matrices):
        key: tuple[int, ...] = tuple(sorted(matrix.shape))
        if matrix.device.type == "cpu" and key[0] > _TOGETHER_UP_TO:
            key = (*key, place)  # by itself
        found.setdefault(key, []).append(matrix)
    return list(found.values())
