"""Which tokens a step trains on: a pure function of (seed, step, sample index).

Nothing is remembered between steps, so a checkpoint needs no data position, and any worker can
cut its share out of any step's batch. Two orders, chosen by the family:

- *windows*, for attention models: the text is cut into blocks, at an offset that is drawn anew
  every epoch, and the blocks are shuffled anew every epoch.
- *streams*, for recurrent models: every sample of the batch is a stretch of text that goes on
  where it stopped in the step before, so that the state can be carried (truncated
  backpropagation through time: Williams and Peng, 1990). Each epoch starts at a new offset.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textwright.data.tokens import Tokens
from textwright.errors import CorpusError

NOT_COUNTED = -100
"""A target that torch's losses leave out, by their own default."""

_FRESH = 0x46  # sets these draws apart from others of the same step


class Batches(Protocol):
    """Batches of one order over one text."""

    steps_per_epoch: float
    """Steps that read as many tokens as the text has."""

    def resets_state(self, step: int) -> bool:
        """Whether the state is reset before this step; always where no state is carried."""
        ...

    def batch(self, step: int, first: int, count: int) -> NDArray[np.int64]:
        """Samples `first` … `first + count - 1` of the step, (count, block_size + 1).

        Input and target overlap: the input is all but the last column, the target all but the
        first. A token that doesn't count in the loss is its complement; see `inputs_and_targets`.
        """
        ...


def inputs_and_targets(rows: Tensor) -> tuple[Tensor, Tensor, int]:
    """Split rows (B, T + 1), as `Batches.batch` gives them.

    Returns:
        What is read, (B, T); what is predicted, (B, T), with `NOT_COUNTED` where it doesn't count;
        and how many count, at least 1.
    """
    inputs, targets = rows[:, :-1], rows[:, 1:]
    silent = targets < 0
    count = targets.numel() - int(silent.sum())
    if count == targets.numel():  # then only what comes before them can be negative
        return torch.where(inputs < 0, ~inputs, inputs), targets, count
    inputs = torch.where(inputs < 0, ~inputs, inputs)
    return inputs, targets.masked_fill(silent, NOT_COUNTED), max(1, count)


class Windows:
    """Shuffled blocks."""

    def __init__(self, tokens: Tokens, block_size: int, batch_size: int, seed: int) -> None:
        if len(tokens) < 2 * block_size:
            # One block must fit whatever the epoch's offset is.
            raise too_short(len(tokens), 2 * block_size, block_size)
        self.tokens, self.block_size, self.batch_size = tokens, block_size, batch_size
        self.seed = seed
        self.blocks = (len(tokens) - block_size) // block_size
        self.steps_per_epoch = len(tokens) / (batch_size * block_size)

    def resets_state(self, step: int) -> bool:
        return True

    def batch(self, step: int, first: int, count: int) -> NDArray[np.int64]:
        numbers = np.arange(count) + (step * self.batch_size + first)
        rows = np.empty((count, self.block_size + 1), dtype=np.int64)
        for row, number in enumerate(numbers):
            epoch, position = divmod(int(number), self.blocks)
            offset, order = _epoch_order(self.seed, epoch, self.blocks, self.block_size)
            start = offset + int(order[position]) * self.block_size
            rows[row] = self.tokens[start : start + self.block_size + 1]
        return rows


@lru_cache(maxsize=4)  # a batch touches two epochs at most, unless the text is tiny
def _epoch_order(
    seed: int, epoch: int, blocks: int, block_size: int
) -> tuple[int, NDArray[np.int64]]:
    generator = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, epoch))))
    offset = int(generator.integers(block_size))
    return offset, generator.permutation(blocks)


class Streams:
    """Contiguous stretches that carry the state from step to step."""

    def __init__(self, tokens: Tokens, block_size: int, batch_size: int, seed: int) -> None:
        self.steps = len(tokens) // batch_size // block_size
        if self.steps < 1:
            raise too_short(len(tokens), batch_size * block_size, block_size)
        self.tokens, self.block_size, self.batch_size = tokens, block_size, batch_size
        self.seed = seed
        self.steps_per_epoch = len(tokens) / (batch_size * block_size)

    def resets_state(self, step: int) -> bool:
        return step % self.steps == 0

    def batch(self, step: int, first: int, count: int) -> NDArray[np.int64]:
        epoch, place = divmod(step, self.steps)
        length = len(self.tokens)
        sequence = np.random.SeedSequence((self.seed, epoch))
        offset = int(np.random.Generator(np.random.Philox(sequence)).integers(length))
        stretch = length // self.batch_size
        rows = np.empty((count, self.block_size + 1), dtype=np.int64)
        for row in range(count):
            start = (offset + (first + row) * stretch + place * self.block_size) % length
            piece = self.tokens[start : start + self.block_size + 1]
            rows[row, : len(piece)] = piece
            rows[row, len(piece) :] = self.tokens[: self.block_size + 1 - len(piece)]
        return rows


def fresh_starts(seed: int, step: int, samples: int, share: float) -> NDArray[np.bool_]:
    """Which samples of a step begin from the initial state, (samples,); of all steps, `share`."""
    sequence = np.random.SeedSequence((seed, step, _FRESH))
    return np.random.Generator(np.random.Philox(sequence)).random(samples) < share


def too_short(tokens: int, needed: int, block_size: int) -> CorpusError:
    """The error for a text that doesn't fill one batch."""
    return CorpusError(
        f"the training text has {tokens:,} tokens, fewer than the {needed:,} that this model needs"
        f" at least; give it more text, or set model.block_size below {block_size}"
        " (and training.batch_size lower)"
    )
