"""What every runtime is: `(tokens, state) → (logits, state)`, in NumPy, for one sequence.

A runtime is a model made ready to generate. Families differ in their state only, so nothing above
this interface asks which family it holds. A runtime itself never changes once made: everything
that does lives in the state, so several threads may share one runtime, each with its own states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from textwright.arrays import Floats, Tokens
from textwright.kernels.batch import token_error


class State(Protocol):
    """What a model carries from one token to the next."""

    def copy(self) -> State:
        """An independent state that continues from the same place."""
        ...


class Runtime(Protocol):
    """A model that reads tokens one after another."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def block_size(self) -> int | None:
        """Tokens a state holds at most, or None where it has no such limit."""
        ...

    @property
    def held_bytes(self) -> int:
        """Bytes of memory that the weights take, about."""
        ...

    def initial_state(self) -> Any:
        """The state before any token; a `State`, known in full to this runtime only."""
        ...

    def __call__(
        self, tokens: Tokens, state: Any, *, last_only: bool = False
    ) -> tuple[Floats, Any]:
        """Read `tokens` after what `state` holds.

        Args:
            tokens: ids, (T,), T ≥ 1, each below `vocab_size`.
            state: from `initial_state` or an earlier call. It is used up: copy it beforehand to
                continue from the same place twice.
            last_only: give the logits after the last token alone, which saves work.

        Returns:
            Logits of the token after each one read, (T, vocab_size), or (1, vocab_size) with
            `last_only`; and the new state.

        Raises:
            IndexError: there are no tokens, or an id is outside the vocabulary.
        """
        ...

    def batch(self, tokens: Sequence[Tokens], states: Sequence[Any]) -> tuple[Floats, list[Any]]:
        """Read pieces of several texts at once, each after its own state.

        Several threads may call this at once on one runtime, each with states of its own.

        Args:
            tokens: N pieces, of a length of their own each, as for a call with one text.
            states: N states, used up.

        Returns:
            Logits after the last token of each piece, (N, vocab_size), and the new states. Row i
            is, bit for bit, what reading piece i alone gives.
        """
        ...


def check_tokens(tokens: Tokens, vocab_size: int) -> None:
    """Raises `IndexError` as the kernels do; NumPy would take −1 for the last row of a table."""
    if not len(tokens) or tokens.min() < 0 or tokens.max() >= vocab_size:
        raise token_error(vocab_size)


def one_by_one(
    runtime: Runtime, tokens: Sequence[Tokens], states: Sequence[Any]
) -> tuple[Floats, list[Any]]:
    """`Runtime.batch` for a runtime that gains nothing from reading texts together."""
    logits = np.empty((len(tokens), runtime.vocab_size), np.float32)
    after = []
    for row, piece, state in zip(logits, tokens, states, strict=True):
        last, state_after = runtime(piece, state, last_only=True)
        row[:] = last[0]
        after.append(state_after)
    return logits, after
