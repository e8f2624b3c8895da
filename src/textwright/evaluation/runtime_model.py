"""A generation runtime as a torch `LanguageModel`, so that `evaluate` can measure it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from textwright.configs import ModelConfig
from textwright.generation.loading import load
from textwright.models import LanguageModel, Matrices, State
from textwright.runs import Run
from textwright.runtimes.base import Runtime


def as_torch_model(run: Run, precision: str) -> LanguageModel:
    """The runtime of `load(run, precision=precision, companion="off")`; it can't be trained.

    Raises:
        RunError: a file is missing or damaged.
        RequestError: there is no such precision, or it can't be had here.
    """
    return _RuntimeModel(run.config(), load(run, precision=precision, companion="off").runtime)


class _RuntimeModel(LanguageModel):
    """Reads row by row; a `State` must be tensors, so it holds ids (batch,) of runtime states."""

    def __init__(self, config: ModelConfig, runtime: Runtime) -> None:
        super().__init__(config)
        self.runtime = runtime
        self._ids = itertools.count()
        self._states: dict[int, Any] = {}
        self._device_marker = nn.Parameter(torch.empty(0))  # callers ask the parameters for it

    def initial_state(self, batch_size: int) -> State:
        return {"id": self._store([self.runtime.initial_state() for _ in range(batch_size)])}

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        ids = (state or self.initial_state(len(tokens)))["id"]
        rows, states = [], []
        for id_, row in zip(ids.tolist(), tokens.numpy(), strict=True):
            logits, new_state = self.runtime(row, self._states.pop(id_))
            rows.append(logits)
            states.append(new_state)
        return torch.from_numpy(np.stack(rows)), {"id": self._store(states)}

    def matrices(self) -> Iterable[Matrices]:
        return ()

    def _store(self, states: list[Any]) -> Tensor:
        ids = list(itertools.islice(self._ids, len(states)))
        self._states.update(zip(ids, states, strict=True))
        return torch.tensor(ids)
