"""A torch model with a companion, as a `LanguageModel`, so that `evaluate` can measure it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from textwright.companion.mixing import Companion, MixedState, Mixer
from textwright.companion.table import nothing
from textwright.models import LanguageModel, Matrices, State


class CompanionModel(LanguageModel):
    """What `companion` makes of the network's logits; it can't be trained.

    Its state is the network's, and that of the mixer, (batch, order).
    """

    def __init__(self, network: LanguageModel, companion: Companion) -> None:
        super().__init__(network.config)
        self.network, self.companion = network, companion
        self._mixer = Mixer(companion, companion.table or nothing(network.config.vocab_size))

    def initial_state(self, batch_size: int) -> State:
        nodes = torch.from_numpy(np.tile(self._mixer.initial_state(), (batch_size, 1)))
        return self.network.initial_state(batch_size) | {"companion": nodes}

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        inner = dict(self.initial_state(len(tokens)) if state is None else state)
        nodes = inner.pop("companion").numpy().copy()
        logits, after = self.network(tokens, inner)
        mixed = np.array(logits.float().cpu().numpy(), order="C")
        for row, state_of_row, read in zip(mixed, nodes, tokens.cpu().numpy(), strict=True):
            self._mixer.read(read, MixedState(None, state_of_row), row)
        after = after | {"companion": torch.from_numpy(nodes)}
        return torch.from_numpy(mixed).to(logits.device), after

    def matrices(self) -> Iterable[Matrices]:
        return ()
