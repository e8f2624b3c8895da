"""Muon (Jordan et al., 2024) for many small matrices, in blocks of rows.

`torch.optim.Muon` but for polynomials and blocks, with the same state, so that either resumes a
checkpoint of the other. A matrix is orthogonalised in blocks of at most `BLOCK` rows, or columns
where there are fewer of them, each by itself. That takes a fifth of the products or less, and no
training that was tried learned less in the same time (see `docs/log.md`). All is float32.

On a processor `kernels/muon.c` does a step of one matrix, each block while it is in the caches; on
other devices, and without kernels, torch does the same, many blocks a call.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from textwright.kernels import kernels
from textwright.kernels.structures import FLOAT, INTEGER, POINTER

_POLYNOMIALS = (
    (8.3007, -24.0375, 17.4661),
    (4.0034, -2.9228, 0.5419),
    (3.4709, -2.5494, 0.5002),
    (2.4901, -1.8343, 0.4368),
)
"""ax + bx³ + cx⁵, one after the other: of all such those that bring singular values between 0.003
and 1 nearest to 1, to 0.80 to 1.20 (Amsel et al., "The Polar Express", 2025, algorithm 1; all but
the last made for values a hundredth larger, since products are rounded). A fifth less work than the
five iterations of Jordan et al., and no higher a loss."""
_MARGIN = 1.01
"""The input is divided by it for the same reason."""
_EPS = 1e-7

BLOCK = 64
"""Rows of a block. A training that begins with another's weights takes whole matrices: blocks
forget more of what it knows (`docs/log.md`)."""
_AT_ONCE = 1 << 18
"""Numbers of a task on a processor: more don't fit into the caches, and threads need several tasks
each."""

_ARGUMENTS: list[Any] = [
    *[INTEGER] * 4, *[FLOAT] * 4, POINTER, INTEGER, POINTER, INTEGER, POINTER, POINTER,
]  # fmt: skip
"""The C types of the arguments of `muon` in `kernels/muon.c`."""


class Muon:
    """Muon over some matrices, each of which has a gradient at each step.

    Args:
        matrices: (rows, columns) each.
        weight_decay: decoupled, times the learning rate.
        momentum: decay rate of the mean of the gradients; Nesterov's update is taken.
        rows: of a block, at most; 0 takes whole matrices.
    """

    def __init__(
        self,
        matrices: Sequence[Tensor],
        weight_decay: float,
        momentum: float,
        rows: int = BLOCK,
    ) -> None:
        self._rows = rows
        self.parameters = list(matrices)
        self.state = [{"momentum_buffer": torch.zeros_like(matrix)} for matrix in matrices]
        self._weight_decay, self._momentum = weight_decay, momentum
        self._groups = _group_by_shape(self.parameters)
        self._library = kernels().library
        if self._library is not None:
            self._library.muon.argtypes = _ARGUMENTS

    def step(self, rate: float) -> None:
        """Update every matrix by its gradient, at the learning rate `rate`."""
        for task in self.tasks(rate):
            task()

    def tasks(self, rate: float) -> list[Callable[[], None]]:
        """The parts of a step, which may run in any order and in parallel."""
        return [partial(self._update, group, rate) for group in self._groups]

    @torch.no_grad()
    def _update(self, group: list[int], rate: float) -> None:
        matrices = [self.parameters[place] for place in group]
        gradients = [_gradient(matrix) for matrix in matrices]
        momenta = [self.state[place]["momentum_buffer"] for place in group]
        if self._library is not None and _fits_kernel(matrices, gradients):
            self._update_compiled(self._library, matrices, gradients, momenta, rate)
            return
        torch._foreach_lerp_(momenta, gradients, 1 - self._momentum)
        nesterov = torch._foreach_lerp(gradients, momenta, self._momentum)
        wide = torch.stack([_transpose_if_tall(update) for update in nesterov])
        torch._foreach_mul_(matrices, 1 - rate * self._weight_decay)
        for matrix, update in zip(matrices, _orthogonal(wide, self._rows), strict=True):
            is_wide = matrix.shape[0] <= matrix.shape[1]
            matrix.add_(update if is_wide else update.T, alpha=-_scaled(rate, matrix))

    def _update_compiled(
        self,
        library: ctypes.CDLL,
        matrices: list[Tensor],
        gradients: list[Tensor],
        momenta: list[Tensor],
        rate: float,
    ) -> None:
        n, m = sorted(matrices[0].shape)
        most = self._rows or n
        room = torch.empty(library.muon_room(n, m, most))
        for matrix, gradient, momentum in zip(matrices, gradients, momenta, strict=True):
            rows, columns = matrix.shape
            by_rows = matrix.stride(1) == 1  # else by columns
            library.muon(
                n, m, most, (rows > columns) == by_rows,
                self._momentum, 1 - self._momentum, 1 - rate * self._weight_decay,
                _scaled(rate, matrix),
                gradient.data_ptr(), matrix.stride(1 - by_rows),
                momentum.data_ptr(), momentum.stride(1 - by_rows),
                matrix.data_ptr(), room.data_ptr(),
            )  # fmt: skip


def _orthogonal(matrices: Tensor, most: int) -> Tensor:
    """The matrices with each block of rows orthogonalised approximately, by matrix polynomials.

    Args:
        matrices: (number, rows, columns), rows ≤ columns.
        most: rows of a block; 0: all.
    """
    number, rows, columns = matrices.shape
    many = math.ceil(rows / (most or rows))
    size = math.ceil(rows / many)
    x = pad(matrices, (0, 0, 0, many * size - rows)).view(number * many, size, columns)
    # Each polynomial multiplies x by one of x xᵀ from the left: x itself is read twice in all. What
    # float32 rounds away of x xᵀ is below the square of the least value that is brought to 1.
    gram = torch.bmm(x, x.mT)
    norms = gram.diagonal(dim1=-2, dim2=-1).sum(-1).sqrt()[:, None, None] * _MARGIN
    norms = norms.clamp(min=_EPS)  # divided by them, no singular value is above 1
    gram = gram / norms.square()
    left = step = None
    for a, b, c in _POLYNOMIALS:
        if step is not None:
            gram = torch.bmm(torch.bmm(step, gram), step)
        step = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        step.diagonal(dim1=-2, dim2=-1).add_(a)
        left = step if left is None else torch.bmm(step, left)
    assert left is not None
    return torch.bmm(left / norms, x).view(number, many * size, columns)[:, :rows]


def _fits_kernel(matrices: list[Tensor], gradients: list[Tensor]) -> bool:
    """Whether the C kernel can do these: float32 on the CPU, contiguous by rows or by columns."""
    return all(
        one.device.type == "cpu" and one.dtype == gradient.dtype == torch.float32
        and 1 in one.stride() and one.stride() == gradient.stride()
        for one, gradient in zip(matrices, gradients, strict=True)
    )  # fmt: skip


def _scaled(rate: float, matrix: Tensor) -> float:
    rows, columns = matrix.shape
    return rate * math.sqrt(max(1, rows / columns))


def _gradient(matrix: Tensor) -> Tensor:
    assert matrix.grad is not None, "a step follows a backward pass"
    return matrix.grad


def _transpose_if_tall(matrix: Tensor) -> Tensor:
    """(rows, columns) with rows ≤ columns, as a view."""
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T


def _group_by_shape(matrices: list[Tensor]) -> list[list[int]]:
    """Groups of indices of matrices that are orthogonalised in one task."""
    shapes: dict[tuple[int, ...], list[int]] = {}
    for place, matrix in enumerate(matrices):
        shapes.setdefault(tuple(sorted(matrix.shape)), []).append(place)
    groups = []
    for shape, places in shapes.items():
        on_processor = matrices[places[0]].device.type == "cpu"
        many = max(1, _AT_ONCE // math.prod(shape)) if on_processor else len(places)
        groups += [places[begin : begin + many] for begin in range(0, len(places), many)]
    return groups
