"""A torch model with a companion, as a `LanguageModel`, so that `evaluate` can measure it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from textwright.companion.mixing import Companion, MixedState, Mixer
from textwright.companion.table import Table
from textwright.models import LanguageModel, Matrices, State


class CompanionModel(LanguageModel):
    """`softmax(network · logits + weight · log q)`; it can't be trained.

    Its state is the network's, and the nodes of the table, (batch, order - 1).
    """

    def __init__(self, network: LanguageModel, companion: Companion) -> None:
        super().__init__(network.config)
        self.network, self.companion = network, companion
        self._table = companion.table or _nothing(network.config.vocab_size)
        self._mixer = Mixer(Companion(0.0, 1.0), self._table)

    def initial_state(self, batch_size: int) -> State:
        nodes = torch.from_numpy(np.tile(self._table.initial_state(), (batch_size, 1)))
        return self.network.initial_state(batch_size) | {"companion": nodes}

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        logits, scores, after = self.parts(tokens, state)
        return logits * self.companion.network + scores * self.companion.weight, after

    def parts(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, Tensor, State]:
        """The network's logits and the table's log q, (batch, time, vocab_size), and the state."""
        inner = dict(self.initial_state(len(tokens)) if state is None else state)
        nodes = inner.pop("companion").numpy().copy()
        logits, after = self.network(tokens, inner)
        scores = np.zeros(tuple(logits.shape), np.float32)
        for row, state_of_row, read in zip(scores, nodes, tokens.cpu().numpy(), strict=True):
            self._mixer.read(read, MixedState(None, state_of_row), row)
        after = after | {"companion": torch.from_numpy(nodes)}
        return logits.float(), torch.from_numpy(scores).to(logits.device), after

    def matrices(self) -> Iterable[Matrices]:
        return ()


def _nothing(vocab_size: int) -> Table:
    """A table that knows every token equally well."""
    tokens = np.arange(vocab_size, dtype=np.int32)
    first = np.full(vocab_size + 1, vocab_size, np.int32)
    zeros = np.zeros(vocab_size, np.int16)
    return Table(vocab_size, (vocab_size,), tokens, first, zeros, zeros)
