"""The protocol of all runtimes: `(tokens, state) → (logits, state)`, on NumPy arrays.

A runtime is a model that can generate. Families differ in their state only, so no caller asks for
the family. A runtime is immutable: what changes is in the state, so threads may share a runtime,
each with states of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from textwright.arrays import Floats, Tokens
from textwright.kernels.sampling import Pending
from textwright.kernels.structures import token_error


class Held(NamedTuple):
    """Units that keep their values after each token: see `generation.steering`."""

    units: NDArray[np.integer[Any]]
    values: Floats


class State(Protocol):
    """What a model carries from one token to the next: a KV cache, or hidden vectors."""

    @property
    def nbytes(self) -> int:
        """Bytes that it takes, approximately."""
        ...

    def copy(self) -> State:
        """An independent state at the same position."""
        ...


class Runtime(Protocol):
    """A model that reads tokens in order."""

    @property
    def vocab_size(self) -> int: ...

    @property
    def block_size(self) -> int | None:
        """Tokens of the context; None for a recurrent model."""
        ...

    @property
    def weight_bytes(self) -> int:
        """Bytes of memory of the weights, approximately."""
        ...

    def initial_state(self) -> Any:
        """The `State` before any token; its content is the runtime's own matter."""
        ...

    def __call__(
        self, tokens: Tokens, state: Any, *, last_only: bool = False
    ) -> tuple[Floats, Any]:
        """Read `tokens` after what `state` holds.

        Args:
            tokens: ids, (T,), T ≥ 1, each below `vocab_size`.
            state: from `initial_state` or an earlier call. It may be changed in place: copy it
                first to continue from the same position twice.
            last_only: return the logits after the last token alone, which saves work.

        Returns:
            Logits of the token after each one read, (T, vocab_size), or (1, vocab_size) with
            `last_only`; and the new state.

        Raises:
            IndexError: there are no tokens, or an id is outside the vocabulary.
        """
        ...

    def batch(self, tokens: Sequence[Tokens], states: Sequence[Any]) -> tuple[Floats, list[Any]]:
        """Read pieces of several texts together, each after its own state.

        Threads may call this at the same time, each with states of its own.

        Args:
            tokens: N pieces of any lengths ≥ 1, each as for a call with one text.
            states: N states, which may be changed in place.

        Returns:
            Logits after the last token of each piece, (N, vocab_size), and the new states. Row i
            is, bit for bit, what reading piece i alone gives.
        """
        ...


@runtime_checkable
class Writer(Protocol):
    """A runtime that also draws, so that many tokens take one call."""

    def write(self, texts: Sequence[Pending]) -> list[list[int]]:
        """Read and draw token after token of several texts.

        What is drawn of a text, and its state, are bit for bit those of reading and drawing alone.

        Args:
            texts: each with a state of this runtime, which is changed in place, and a limit that
                its window has room for.

        Returns:
            The tokens drawn of each, up to its limit, an end of text, or a −1 for logits that
            are NaN or infinite. The last one isn't read.
        """
        ...


def check_tokens(tokens: Tokens, vocab_size: int) -> None:
    """Raises `IndexError` as the kernels do; NumPy would take −1 for the last row of a table."""
    if not len(tokens) or tokens.min() < 0 or tokens.max() >= vocab_size:
        raise token_error(vocab_size)


def batch_sequentially(
    runtime: Runtime, tokens: Sequence[Tokens], states: Sequence[Any]
) -> tuple[Floats, list[Any]]:
    """`Runtime.batch` by one call a piece, for runtimes that gain nothing from a batch."""
    logits = np.empty((len(tokens), runtime.vocab_size), np.float32)
    after = []
    for row, piece, state in zip(logits, tokens, states, strict=True):
        last, state_after = runtime(piece, state, last_only=True)
        row[:] = last[0]
        after.append(state_after)
    return logits, after
