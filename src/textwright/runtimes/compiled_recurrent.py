"""`lstm`, `gru` and `rnn` on `recurrent.c`."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence

import numpy as np

from textwright.arrays import Floats, Tokens
from textwright.configs import RecurrentConfig
from textwright.kernels.sampling import Pending, write_all
from textwright.kernels.structures import (
    ALL_LOGITS,
    INTEGER,
    LANES,
    LAST_LOGITS,
    POINTER,
    Matrix,
    Memory,
    Precision,
    SingleBatch,
    address,
    kernel,
    pad,
    read_all,
    read_one,
    round_up,
)
from textwright.runs.weights import take

TABLE_VALUES = 1 << 22
"""The largest table of a first layer's inputs, in values: 16 MiB."""
KINDS = ("lstm", "gru", "rnn")


class Layer(ctypes.Structure):
    """`Layer` of recurrent.c."""

    _fields_ = [("width", INTEGER), ("from_input", Matrix), ("from_state", Matrix)]


class Model(ctypes.Structure):
    """`Recurrent` of recurrent.c."""

    _fields_ = [
        ("kind", INTEGER),
        ("layers", INTEGER),
        ("vocab_size", INTEGER),
        ("embedding_width", INTEGER),
        ("is_table", INTEGER),
        ("widest", INTEGER),
        ("most_outputs", INTEGER),
        ("embedding", POINTER),
        ("layer", POINTER),
        ("output", Matrix),
    ]


class CompiledRecurrentState:
    """The states of all layers in one array, updated in place."""

    def __init__(self, values: Floats) -> None:
        self.values = values
        self.address = values.ctypes.data
        self.batch = SingleBatch(self.address)

    @property
    def nbytes(self) -> int:
        return self.values.nbytes

    def copy(self) -> CompiledRecurrentState:
        return CompiledRecurrentState(self.values.copy())


class CompiledRecurrentRuntime:
    """A recurrent model on `recurrent.c`."""

    block_size = None

    def __init__(
        self,
        config: RecurrentConfig,
        weights: Mapping[str, Floats],
        library: ctypes.CDLL,
        precision: Precision = "auto",
    ) -> None:
        self.vocab_size = config.vocab_size
        self._library, self._call = library, kernel(library, "recurrent_read")
        self._memory = memory = Memory(precision)
        inputs = [config.embedding_size, *config.layer_sizes]
        padded = [round_up(width, LANES) for width in inputs]
        layers = [
            _layer(config, weights, number, memory) for number in range(len(config.layer_sizes))
        ]
        embedding = take(weights, "embedding.weight", config.vocab_size, config.embedding_size)
        output = embedding
        if not config.tie_embeddings:
            output = take(weights, "output.weight", config.vocab_size, inputs[-1])
        head = memory.matrix(
            pad(output, padded[-1]).T, take(weights, "output.bias", config.vocab_size)
        )
        rows = pad(embedding, padded[0])
        first = layers[0].from_input.outputs
        is_table = config.vocab_size * first <= TABLE_VALUES
        if is_table:
            weight, bias = _gates(config, weights, 0, "ih")
            rows = _table(library, weight, bias, rows)
        parts = 2 if config.family == "lstm" else 1
        self._floats = parts * sum(padded[1:])
        self._model = memory.keep(
            Model(
                kind=KINDS.index(config.family),
                layers=len(layers),
                vocab_size=config.vocab_size,
                embedding_width=rows.shape[1],
                is_table=is_table,
                widest=max(padded),
                most_outputs=max(head.outputs, *(layer.from_state.outputs for layer in layers)),
                embedding=memory.floats(rows),
                layer=ctypes.addressof(memory.keep((Layer * len(layers))(*layers))),
                output=head,
            )
        )
        self._address = ctypes.addressof(self._model)
        self.weight_bytes = memory.used

    def initial_state(self) -> CompiledRecurrentState:
        return CompiledRecurrentState(np.zeros(self._floats, np.float32))

    def __call__(
        self, tokens: Tokens, state: CompiledRecurrentState, *, last_only: bool = False
    ) -> tuple[Floats, CompiledRecurrentState]:
        logits_for = LAST_LOGITS if last_only else ALL_LOGITS
        size = self.vocab_size
        return read_one(self._call, self._address, tokens, state.batch, 0, logits_for, size), state

    def batch(
        self, tokens: Sequence[Tokens], states: Sequence[CompiledRecurrentState]
    ) -> tuple[Floats, list[CompiledRecurrentState]]:
        addresses = [state.address for state in states]
        positions, size = [0] * len(addresses), self.vocab_size  # which the kernel doesn't use
        logits = read_all(self._call, self._address, tokens, addresses, positions, size)
        return logits, list(states)

    def write(self, texts: Sequence[Pending]) -> list[list[int]]:
        positions, size = [0] * len(texts), self.vocab_size
        return write_all(self._library, self._call, self._address, texts, positions, size)


def _table(library: ctypes.CDLL, weight: Floats, bias: Floats, rows: Floats) -> Floats:
    """`rows` @ `weight` + `bias`, of the same bits on every processor, which NumPy's are not."""
    memory = Memory("float32")
    matrix = memory.matrix(weight, bias)
    table = np.empty((len(rows), matrix.outputs), np.float32)
    function = library.recurrent_table
    function.argtypes = (POINTER, POINTER, INTEGER, POINTER)
    function.restype = None
    function(ctypes.addressof(matrix), address(rows), len(rows), address(table))
    return table


def _layer(
    config: RecurrentConfig, weights: Mapping[str, Floats], number: int, memory: Memory
) -> Layer:
    from_input, input_bias = _gates(config, weights, number, "ih")
    from_state, state_bias = _gates(config, weights, number, "hh")
    return Layer(
        width=round_up(config.layer_sizes[number], LANES),
        from_input=memory.matrix(from_input, input_bias),
        from_state=memory.matrix(from_state, state_bias),
    )


def _gates(
    config: RecurrentConfig, weights: Mapping[str, Floats], number: int, part: str
) -> tuple[Floats, Floats]:
    """A layer's weight (in, gates × width) and bias, padded to whole vectors with zeros."""
    inputs = [config.embedding_size, *config.layer_sizes]
    width, gates = config.layer_sizes[number], config.gates
    below = inputs[number] if part == "ih" else width
    name = f"layers.{number}"
    weight = take(weights, f"{name}.weight_{part}", gates * width, below)
    bias = take(weights, f"{name}.bias_{part}", gates * width)
    padded = round_up(width, LANES)
    weight = pad(weight.T.reshape(below, gates, width), padded).reshape(below, gates * padded)
    weight = np.pad(weight, ((0, round_up(below, LANES) - below), (0, 0)))
    return weight, pad(bias.reshape(gates, width), padded).reshape(-1)
