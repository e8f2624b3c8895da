"""A runtime that mixes a network with a companion.

Its state is the network's and the table's; its logits are `network · logits + companion · log q`,
whose softmax is the mix. Both weights depend on the number of context tokens that the table knows;
line ends have a term of their own. Given the same logits, a row has the same bits alone, in a batch
and on every processor.
"""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from textwright.arrays import Floats, Tokens
from textwright.companion.counting import Lines
from textwright.companion.table import UNIT, Nodes, Table, read_counts, write_counts
from textwright.errors import RunError
from textwright.kernels import kernels
from textwright.kernels.structures import (
    ALL_LOGITS,
    INTEGER,
    LAST_LOGITS,
    POINTER,
    Memory,
    SingleBatch,
    address,
    call_all,
    call_one,
    kernel,
)
from textwright.runtimes.base import Runtime


@dataclass(frozen=True)
class Companion:
    """What a run has beside its network: a table, and the weights of both; or a scale alone."""

    network: float
    """The weight of the network's logits: of a network alone, one over a temperature."""
    weight: float = 0.0
    """That of the table's logarithms."""
    table: Table | None = None
    by_context: tuple[tuple[float, float], ...] = ()
    """Both weights where the table knows 0, 1 … order - 1 tokens of context; empty: those above,
    whatever it knows."""
    lines: Lines | None = None
    """Where lines end; None without a table, too."""

    def write(self, file: Path, vocabulary: str = "") -> None:
        """Write it, whole or not at all; `vocabulary` is the tokenizer's."""
        facts = {"vocabulary": vocabulary} if vocabulary else {}
        facts |= {"network": f"{self.network:.4f}", "companion": f"{self.weight:.4f}"}
        if self.by_context:
            facts["by_context"] = " ".join(f"{one:.4f}" for pair in self.by_context for one in pair)
        write_counts(file, self.table, self.lines, facts)

    @classmethod
    def read(cls, file: Path, vocab_size: int, vocabulary: str = "") -> Companion:
        """The one in `file`.

        Args:
            file: as `write` left it.
            vocab_size, vocabulary: of the tokenizer; files of before don't tell the latter.

        Raises:
            RunError: it is damaged, or of another vocabulary.
        """
        table, lines, facts = read_counts(file, vocab_size)
        if vocabulary and facts.get("vocabulary", vocabulary) != vocabulary:
            raise RunError(
                f"{file.name} counts the tokens of another vocabulary; copy the one that belongs "
                "to this model, or delete it to go without"
            )
        try:
            network, weight = float(facts["network"]), float(facts["companion"])
            flat = [float(one) for one in facts.get("by_context", "").split()]
        except (KeyError, ValueError) as error:
            raise RunError(
                f"{file.name} is damaged (it has no weights); delete it to go without"
            ) from error
        if flat and (table is None or len(flat) != 2 * table.order):
            raise RunError(
                f"{file.name} is damaged (it has other weights); delete it to go without"
            )
        if not np.isfinite([network, weight, *flat]).all():
            raise RunError(
                f"{file.name} is damaged (its weights aren't finite); delete it to go without"
            )
        pairs = tuple(zip(flat[::2], flat[1::2], strict=True))
        return cls(network, weight, table, pairs, lines)


_LONGEST_LINE = (1 << 31) - 1
"""The count of a line's tokens stops there: it is an int32."""


class _Model(ctypes.Structure):
    """`Companion` of companion.c."""

    _fields_ = [
        ("vocab_size", INTEGER),
        ("contexts", INTEGER),
        ("newline", INTEGER),
        ("columns", INTEGER),
        ("folded", POINTER),
        ("tokens", POINTER),
        ("first", POINTER),
        ("log_probabilities", POINTER),
        ("backoffs", POINTER),
        ("network", POINTER),
        ("companion", POINTER),
        ("lines", POINTER),
    ]


class Mixer:
    """Updates states of a table and mixes logits; compiled where there are kernels."""

    def __init__(self, companion: Companion, table: Table) -> None:
        self.table = table
        pairs = companion.by_context or ((companion.network, companion.weight),) * table.order
        self._network = np.array([network for network, _ in pairs], np.float32)
        self._weight = np.array([weight * UNIT for _, weight in pairs], np.float32)
        self._lines = companion.lines or Lines(0, np.zeros(0, np.float32))
        self._call = None
        library = kernels().library
        self.bytes = table.tokens.nbytes + table.first.nbytes + 4 * len(table.log_probabilities)
        if library is not None:
            self._memory = memory = Memory("float32")
            self._call = kernel(library, "companion_mix")
            self._model = _Model(
                vocab_size=table.vocab_size,
                contexts=table.order - 1,
                newline=self._lines.newline,
                columns=len(self._lines.terms),
                folded=memory.values(table.folded),
                tokens=memory.values(table.tokens),
                first=memory.values(table.first),
                log_probabilities=memory.values(table.log_probabilities),
                backoffs=memory.values(table.backoffs),
                network=memory.values(self._network),
                companion=memory.values(self._weight),
                lines=memory.values(self._lines.terms),
            )
            self._address = ctypes.addressof(self._model)

    def initial_state(self) -> Nodes:
        """The table's initial state, and the length of the current line, (order,)."""
        return np.append(self.table.initial_state(), np.int32(0))

    def read(self, tokens: Tokens, state: MixedState, logits: Floats) -> None:
        """Mix, in place, logits after the last of `tokens`, (1, V), or after each, (T, V)."""
        if self._call is not None:
            wanted = ALL_LOGITS if len(logits) == len(tokens) else LAST_LOGITS
            call_one(self._call, self._address, tokens, state.batch, wanted, logits)
            return
        skipped = len(tokens) - len(logits)
        for number, token in enumerate(tokens.tolist()):
            self.table.advance(state.nodes[:-1], token)
            ended = len(self._lines.terms) and token == self._lines.newline
            state.nodes[-1] = 0 if ended else min(int(state.nodes[-1]) + 1, _LONGEST_LINE)
            if number >= skipped:
                self._mix(state.nodes, logits[number - skipped])

    def batch(self, pieces: Sequence[Tokens], states: Sequence[MixedState], logits: Floats) -> None:
        """Mix, in place, the logits after the last token of each piece, (N, V)."""
        if self._call is not None:
            addresses = [state.address for state in states]
            positions = [0] * len(addresses)  # which the kernel doesn't use
            call_all(self._call, self._address, pieces, addresses, positions, logits)
            return
        for piece, state, row in zip(pieces, states, logits, strict=True):
            self.read(piece, state, row[None])

    def _mix(self, nodes: Nodes, row: Floats) -> None:
        known = self.table.known(nodes[:-1])
        row *= self._network[known]
        row += self.table.scores(nodes[:-1]).astype(np.float32) * self._weight[known]
        if len(self._lines.terms):
            column = min(int(nodes[-1]), len(self._lines.terms) - 1)
            row[self._lines.newline] += self._lines.terms[column]


class MixedState:
    """The network's state, the table's, and the length of the current line."""

    def __init__(self, inner: Any, nodes: Nodes) -> None:
        self.inner, self.nodes = inner, nodes
        self.address = address(nodes)
        self.batch = SingleBatch(self.address)

    @property
    def nbytes(self) -> int:
        return int(self.inner.nbytes) + self.nodes.nbytes

    def copy(self) -> MixedState:
        return MixedState(self.inner.copy(), self.nodes.copy())


class MixedRuntime:
    """A network mixed with a table of n-grams."""

    def __init__(self, network: Runtime, companion: Companion, table: Table) -> None:
        self.network = network
        self.vocab_size, self.block_size = network.vocab_size, network.block_size
        self._mixer = Mixer(companion, table)
        self.weight_bytes = network.weight_bytes + self._mixer.bytes

    def initial_state(self) -> MixedState:
        return MixedState(self.network.initial_state(), self._mixer.initial_state())

    def __call__(
        self, tokens: Tokens, state: MixedState, *, last_only: bool = False
    ) -> tuple[Floats, MixedState]:
        logits, state.inner = self.network(tokens, state.inner, last_only=last_only)
        self._mixer.read(tokens, state, logits)
        return logits, state

    def batch(
        self, tokens: Sequence[Tokens], states: Sequence[MixedState]
    ) -> tuple[Floats, list[MixedState]]:
        logits, after = self.network.batch(tokens, [state.inner for state in states])
        for state, inner in zip(states, after, strict=True):
            state.inner = inner
        self._mixer.batch(tokens, states, logits)
        return logits, list(states)


class ScaledRuntime:
    """A network whose logits are scaled, as by a temperature that fits held-out text."""

    def __init__(self, network: Runtime, scale: float) -> None:
        self.network = network
        self.vocab_size, self.block_size = network.vocab_size, network.block_size
        self.weight_bytes = network.weight_bytes
        self._scale = np.float32(scale)

    def initial_state(self) -> Any:
        return self.network.initial_state()

    def __call__(
        self, tokens: Tokens, state: Any, *, last_only: bool = False
    ) -> tuple[Floats, Any]:
        logits, state = self.network(tokens, state, last_only=last_only)
        return logits * self._scale, state

    def batch(self, tokens: Sequence[Tokens], states: Sequence[Any]) -> tuple[Floats, list[Any]]:
        logits, after = self.network.batch(tokens, states)
        return logits * self._scale, after


def as_beside(runtime: Runtime, network: Runtime) -> Runtime:
    """`network` with the companion that `runtime` has beside its own, if it has one."""
    if not isinstance(runtime, MixedRuntime | ScaledRuntime):
        return network
    other = copy.copy(runtime)
    other.network = network
    return other


def with_companion(network: Runtime, companion: Companion) -> Runtime:
    """The runtime of `network` mixed with `companion`."""
    if companion.table is None:
        return ScaledRuntime(network, companion.network)
    return MixedRuntime(network, companion, companion.table)
