"""A generation runtime in the place of a torch model, so that what generates can be evaluated."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from textwright.configs import ModelConfig
from textwright.generation import load
from textwright.models import LanguageModel, Matrices, State
from textwright.runs import Run
from textwright.runtimes.base import Runtime


def as_generated(run: Run, precision: str) -> LanguageModel:
    """A run's model as `load(run, precision=precision)` computes it.

    Raises:
        RunError: a file is missing or damaged.
        RequestError: there is no such precision, or it can't be had here.
    """
    return _Generating(run.config(), load(run, precision=precision).runtime)


class _Generating(LanguageModel):
    """Reads each row by itself; its state is numbers (batch,) of states, kept until read."""

    def __init__(self, config: ModelConfig, runtime: Runtime) -> None:
        super().__init__(config)
        self.runtime = runtime
        self._numbers = itertools.count()
        self._states: dict[int, Any] = {}
        self._nothing = nn.Parameter(torch.empty(0))  # tells the device

    def initial_state(self, batch_size: int) -> State:
        return {"number": self._keep([self.runtime.initial_state() for _ in range(batch_size)])}

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        numbers = (state or self.initial_state(len(tokens)))["number"]
        rows, after = [], []
        for number, row in zip(numbers.tolist(), tokens.numpy(), strict=True):
            logits, read = self.runtime(row, self._states.pop(number))
            rows.append(logits)
            after.append(read)
        return torch.from_numpy(np.stack(rows)), {"number": self._keep(after)}

    def matrices(self) -> Iterable[Matrices]:
        return ()

    def _keep(self, states: list[Any]) -> Tensor:
        numbers = list(itertools.islice(self._numbers, len(states)))
        self._states.update(zip(numbers, states, strict=True))
        return torch.tensor(numbers)
