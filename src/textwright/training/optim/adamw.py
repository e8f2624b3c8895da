"""AdamW (Loshchilov and Hutter, 2019) by torch's fused kernel, without torch's class around it.

The same numbers as `torch.optim.AdamW(fused=True)` and the same state, so that a checkpoint of one
goes on in the other. Torch's class brings in its compiler, which costs every training more
than a second before the first step and serves it nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.optim.adamw import adamw

_EPS = 1e-8


class AdamW:
    """All of whose parameters have a gradient at each step.

    Args:
        groups: parameters, and by what share of the learning rate they decay.
        betas: what the means of the gradients, and of their squares, keep of themselves at a step.
    """

    def __init__(
        self, groups: Sequence[tuple[Sequence[Tensor], float]], betas: tuple[float, float]
    ) -> None:
        self._groups = [(list(parameters), decay) for parameters, decay in groups if parameters]
        self._betas = betas
        self.parameters = [one for parameters, _ in self._groups for one in parameters]
        self.state = [_initial_state(parameter) for parameter in self.parameters]

    def tasks(self, rate: float) -> list[Callable[[], None]]:
        """The one part of a step."""
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
