"""AdamW (Loshchilov and Hutter, 2019) by torch's fused kernel, without torch's class around it.

The numbers and the state are those of `torch.optim.AdamW(fused=True)`, so either resumes a
checkpoint of the other. Torch's class imports its compiler, which would cost every training more
than a second before the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.optim.adamw import adamw

_EPS = 1e-8


class AdamW:
    """AdamW over parameters that each have a gradient at each step.

    Args:
        groups: parameters and their weight decay, decoupled, times the learning rate.
        betas: decay rates of the means of the gradients and of their squares.
    """

    def __init__(
        self, groups: Sequence[tuple[Sequence[Tensor], float]], betas: tuple[float, float]
    ) -> None:
        self._groups = [(list(parameters), decay) for parameters, decay in groups if parameters]
        self._betas = betas
        self.parameters = [one for parameters, _ in self._groups for one in parameters]
        self.state = [_initial_state(parameter) for parameter in self.parameters]

    def tasks(self, rate: float) -> list[Callable[[], None]]:
        """A step as its one task."""
        return [partial(self.step, rate)]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Update every parameter by its gradient, at the learning rate `rate`."""
        states = iter(self.state)
        for parameters, decay in self._groups:
            own = [next(states) for _ in parameters]
            adamw(
                parameters,
                [_gradient(parameter) for parameter in parameters],
                [state["exp_avg"] for state in own],
                [state["exp_avg_sq"] for state in own],
                [],
                [state["step"] for state in own],
                fused=True,
                amsgrad=False,
                beta1=self._betas[0],
                beta2=self._betas[1],
                lr=rate,
                weight_decay=decay,
                eps=_EPS,
                maximize=False,
            )


def _initial_state(parameter: Tensor) -> dict[str, Tensor]:
    parameter = parameter.detach()
    return {
        "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
        "exp_avg": torch.zeros_like(parameter),
        "exp_avg_sq": torch.zeros_like(parameter),
    }


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None, "a step follows a backward pass"
    return parameter.grad
