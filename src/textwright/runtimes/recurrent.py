"""`lstm`, `gru` and `rnn` in NumPy; in torch `textwright/models/recurrent.py`.

The equations and the order of the gates are those of `torch.nn.LSTM`, `GRU` and `RNN`. Two things
are folded into the weights when a model is loaded, which leaves fewer calls per token: σ(x) is
½ + ½ tanh(x/2), with the factor ½ of x in the matrix, so that one tanh serves all gates; and where
the vocabulary is small, a table has the first layer's input product of every token.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from textwright.arrays import Floats, Tokens
from textwright.configs import RecurrentConfig
from textwright.runs.weights import take
from textwright.runtimes.base import Held, batch_sequentially, check_tokens
from textwright.runtimes.threads import single_threaded

PIECE = 1024
"""Tokens whose input products are computed in one call."""
TABLE_VALUES = 1 << 22
"""The largest table of a first layer's inputs, in values: 16 MiB."""


class RecurrentState:
    """Each layer's (h,), for the LSTM (h, c); (width,) each, updated in place."""

    def __init__(self, layers: list[tuple[Floats, ...]]) -> None:
        self.layers = layers

    @property
    def nbytes(self) -> int:
        return sum(part.nbytes for parts in self.layers for part in parts)

    def copy(self) -> RecurrentState:
        return RecurrentState([tuple(part.copy() for part in parts) for parts in self.layers])


class RecurrentRuntime:
    """A recurrent model; weights by the names of `models/recurrent.py`."""

    block_size = None

    def __init__(self, config: RecurrentConfig, weights: Mapping[str, Floats]) -> None:
        self.vocab_size = config.vocab_size
        self.weight_bytes = 4 * config.parameter_count()
        inputs = [config.embedding_size, *config.layer_sizes]
        self.layers = [
            LAYERS[config.family](weights, f"layers.{number}", inputs[number], width)
            for number, width in enumerate(config.layer_sizes)
        ]
        embedding = take(weights, "embedding.weight", config.vocab_size, config.embedding_size)
        self.is_table = config.vocab_size * self.layers[0].from_input.shape[1] <= TABLE_VALUES
        self.embedding = self.layers[0].project(embedding) if self.is_table else embedding
        output = embedding
        if not config.tie_embeddings:
            output = take(weights, "output.weight", config.vocab_size, inputs[-1])
        self.output = np.ascontiguousarray(output.T)  # (H, V)
        self.output_bias = take(weights, "output.bias", config.vocab_size)

    def initial_state(self) -> RecurrentState:
        return RecurrentState([layer.initial_state() for layer in self.layers])

    @single_threaded
    def __call__(
        self, tokens: Tokens, state: RecurrentState, *, last_only: bool = False
    ) -> tuple[Floats, RecurrentState]:
        check_tokens(tokens, self.vocab_size)
        pieces = []
        for start in range(0, len(tokens), PIECE):
            x = self.embedding[tokens[start : start + PIECE]]
            for number, layer in enumerate(self.layers):
                if number or not self.is_table:
                    x = layer.project(x)
                x = layer.run(x, state.layers[number])  # (T, H)
            if not last_only:
                pieces.append(self._logits(x))
        if last_only:
            pieces.append(self._logits(x[-1:]))
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces), state

    def batch(
        self, tokens: Sequence[Tokens], states: Sequence[RecurrentState]
    ) -> tuple[Floats, list[RecurrentState]]:
        return batch_sequentially(self, tokens, states)

    def _logits(self, hidden: Floats) -> Floats:
        logits: Floats = hidden @ self.output
        logits += self.output_bias
        return logits


class Layer(ABC):
    """One recurrent layer of H units; `gates` blocks of H columns in its matrices."""

    gates: int
    parts: int = 1
    """Vectors of its state."""
    held: Held | None = None
    """Units that keep a value: see `generation.steering`."""

    def __init__(self, weights: Mapping[str, Floats], name: str, inputs: int, width: int) -> None:
        rows = self.gates * width
        self.width = width
        self.from_input = self._arrange_gates(take(weights, f"{name}.weight_ih", rows, inputs).T)
        self.from_state = self._arrange_gates(take(weights, f"{name}.weight_hh", rows, width).T)
        self.input_bias = self._arrange_gates(take(weights, f"{name}.bias_ih", rows))
        self.state_bias = self._arrange_gates(take(weights, f"{name}.bias_hh", rows))

    def initial_state(self) -> tuple[Floats, ...]:
        return tuple(np.zeros(self.width, np.float32) for _ in range(self.parts))

    def project(self, x: Floats) -> Floats:
        """The input product of all gates: (T, in) → (T, gates × H)."""
        y: Floats = x @ self.from_input
        y += self.input_bias
        return y

    @abstractmethod
    def run(self, inputs: Floats, state: tuple[Floats, ...]) -> Floats:
        """Run T steps from input products (T, gates × H); outputs (T, H). Updates `state`."""

    def _arrange_gates(self, array: Floats) -> Floats:
        """Bring the last axis, the gates, into the order and scale that `run` expects."""
        return np.ascontiguousarray(array)


class RNNLayer(Layer):
    """h' = tanh(W x + b + U h + c): Elman (1990)."""

    gates = 1

    def __init__(self, weights: Mapping[str, Floats], name: str, inputs: int, width: int) -> None:
        super().__init__(weights, name, inputs, width)
        self.input_bias = self.input_bias + self.state_bias

    def run(self, inputs: Floats, state: tuple[Floats, ...]) -> Floats:
        (h,) = state
        outputs = np.empty((len(inputs), self.width), np.float32)
        for time, x in enumerate(inputs):
            np.add(x, np.dot(h, self.from_state), out=h)
            np.tanh(h, out=h)
            if self.held is not None:
                h[self.held.units] = self.held.values
            outputs[time] = h
        return outputs


class LSTMLayer(Layer):
    """Hochreiter and Schmidhuber (1997), with the forget gate of Gers et al. (2000)."""

    gates = 4
    parts = 2

    def __init__(self, weights: Mapping[str, Floats], name: str, inputs: int, width: int) -> None:
        super().__init__(weights, name, inputs, width)
        self.input_bias = self.input_bias + self.state_bias

    def _arrange_gates(self, array: Floats) -> Floats:
        i, f, g, o = np.split(array, 4, axis=-1)
        half = np.float32(0.5)
        return np.concatenate((i * half, f * half, o * half, g), axis=-1)

    def run(self, inputs: Floats, state: tuple[Floats, ...]) -> Floats:
        h, c = state
        width = self.width
        outputs = np.empty((len(inputs), width), np.float32)
        for time, x in enumerate(inputs):
            z = np.dot(h, self.from_state)
            z += x
            np.tanh(z, out=z)
            sigmoids = z[: 3 * width]
            sigmoids += 1
            sigmoids *= 0.5
            c *= z[width : 2 * width]
            c += z[:width] * z[3 * width :]
            if self.held is not None:
                c[self.held.units] = self.held.values
            np.tanh(c, out=h)
            h *= z[2 * width : 3 * width]
            outputs[time] = h
        return outputs


class GRULayer(Layer):
    """Cho et al. (2014), with the reset gate after the product, as cuDNN and torch have it."""

    gates = 3

    def _arrange_gates(self, array: Floats) -> Floats:
        r, z, n = np.split(array, 3, axis=-1)
        half = np.float32(0.5)
        return np.concatenate((r * half, z * half, n), axis=-1)

    def run(self, inputs: Floats, state: tuple[Floats, ...]) -> Floats:
        (h,) = state
        width = self.width
        outputs = np.empty((len(inputs), width), np.float32)
        for time, x in enumerate(inputs):
            u = np.dot(h, self.from_state)
            u += self.state_bias
            sigmoids = x[: 2 * width]
            sigmoids += u[: 2 * width]
            np.tanh(sigmoids, out=sigmoids)
            sigmoids += 1
            sigmoids *= 0.5
            new = u[2 * width :]
            new *= x[:width]
            new += x[2 * width :]
            np.tanh(new, out=new)
            # h' = (1 − z) n + z h = n + z (h − n)
            h -= new
            h *= x[width : 2 * width]
            h += new
            if self.held is not None:
                h[self.held.units] = self.held.values
            outputs[time] = h
        return outputs


LAYERS: dict[str, Callable[[Mapping[str, Floats], str, int, int], Layer]] = {
    "lstm": LSTMLayer,
    "gru": GRULayer,
    "rnn": RNNLayer,
}
