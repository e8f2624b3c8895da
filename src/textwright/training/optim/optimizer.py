"""Which optimiser updates which parameters, and the learning-rate schedule: warmup, plateau, decay.

Muon (Jordan et al., 2024) orthogonalises the momentum of the hidden matrices; everything else
(embedding, output, norms, biases) takes AdamW (Loshchilov and Hutter, 2019).

A training that goes on beyond its plan takes the rates of the longer plan, after a short warmup
from its last rate to them; `docs/log.md` has what else was tried.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import Tensor

from textwright.configs import TrainingSettings
from textwright.models import LanguageModel
from textwright.training.optim.adamw import AdamW
from textwright.training.optim.muon import BLOCK, Muon

Task = Callable[[], None]
"""A part of an optimiser's step."""


def run_in_turn(tasks: Iterable[Task]) -> None:
    """Run tasks one after the other, on this thread."""
    for task in tasks:
        task()


class Optimizers:
    """The optimisers of a model, stepped together: AdamW, and Muon where the settings have it."""

    def __init__(self, model: LanguageModel, settings: TrainingSettings) -> None:
        self.settings = settings
        self._matrices = list(model.matrices()) if settings.optimizer == "muon" else []
        in_muon = {id(matrices.parameter) for matrices in self._matrices}
        rest = [parameter for parameter in model.parameters() if id(parameter) not in in_muon]
        # Weight decay is for matrices: norms and biases have no scale to keep small, and with
        # Muon the two tables are left alone, since few rows of them get a gradient each step.
        decay = settings.weight_decay if settings.optimizer == "adamw" else 0.0
        groups = [
            ([parameter for parameter in rest if parameter.ndim >= 2], decay),
            ([parameter for parameter in rest if parameter.ndim < 2], 0.0),
        ]
        self.all: list[AdamW | Muon] = [AdamW(groups, (settings.beta1, settings.beta2))]
        # Views, since several matrices may lie in one parameter: each is orthogonalised by itself.
        self._views = [
            view for matrices in self._matrices for view in matrices.of(matrices.parameter.detach())
        ]
        if self._views:
            rows = 0 if settings.parent else BLOCK
            self.all.append(Muon(self._views, settings.weight_decay, settings.momentum, rows))
        self._peak_lrs = [settings.learning_rate, settings.matrix_learning_rate]

    def step(self, factor: float, run: Callable[[list[Task]], object] = run_in_turn) -> None:
        """Update the parameters at `factor` × the learning rates, and clear the gradients.

        Args:
            factor: see `lr_multiplier`.
            run: runs tasks that don't depend on each other.
        """
        views = iter(self._views)
        for matrices in self._matrices:
            gradient = matrices.parameter.grad
            assert gradient is not None, "a step follows a backward pass"
            for part in matrices.of(gradient):
                next(views).grad = part
            matrices.parameter.grad = None
        rates = [peak * factor for peak in self._peak_lrs]
        run([task for one, rate in zip(self.all, rates, strict=False) for task in one.tasks(rate)])
        for optimizer in self.all:
            for parameter in optimizer.parameters:
                parameter.grad = None

    def tensors(self) -> dict[str, Tensor]:
        """The state as named tensors: `optimizer.parameter.name`."""
        return {
            f"{number}.{place}.{name}": value
            for number, optimizer in enumerate(self.all)
            for place, state in enumerate(optimizer.state)
            for name, value in state.items()
        }

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `tensors` returned.

        Raises:
            KeyError, RuntimeError: they are another model's.
        """
        for name, own in self.tensors().items():
            own.copy_(tensors[name])


Course = Sequence[tuple[int, int]]
"""The legs of a training, in order: first step, and the step that it was planned to end at. A
training that wasn't gone on with beyond its plan has one, `[(0, steps)]`."""


def lr_multiplier(step: int, settings: TrainingSettings, course: Course) -> float:
    """The factor on the learning rates at `step` (from 0)."""
    number = max(number for number, (begin, _) in enumerate(course) if begin <= step or not begin)
    begin, steps = course[number]
    planned = _planned_multiplier(step, settings, steps)
    rise = math.ceil(settings.warmup * (steps - begin))
    if not begin or step - begin >= rise:
        return planned
    before = lr_multiplier(begin - 1, settings, course[:number])
    return before + (planned - before) * (step - begin + 1) / rise


def _planned_multiplier(step: int, settings: TrainingSettings, steps: int) -> float:
    """The factor of a training with one leg of so many steps."""
    warmup = math.ceil(settings.warmup * steps)
    if step < warmup:
        return (step + 1) / warmup
    falling = settings.decay * steps
    left = steps - step
    if settings.schedule == "constant" or left >= falling:
        return 1.0
    share = left / falling
    if settings.schedule == "cosine":
        share = 0.5 * (1.0 - math.cos(math.pi * share))
    low = settings.final_learning_rate
    return low + (1.0 - low) * share
