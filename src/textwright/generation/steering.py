"""Holds single units of a model at a value while it reads: what a text becomes with them so.

Only the NumPy runtimes can; one that is steered shares the weights of the one that it is made of,
which stays as it is.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from textwright.errors import RequestError
from textwright.runtimes.base import Held, Runtime
from textwright.runtimes.kv_cache import NumPyAttention
from textwright.runtimes.recurrent import RecurrentRuntime

MOST = 16
"""Units that are held at once."""
NEARLY = 0.9999
"""Of an LSTM's unit at most: the cell behind a tanh of 1 would be infinite."""


class Hold(NamedTuple):
    """A unit and its value."""

    layer: int
    """From 0."""
    unit: int
    """Of a recurrent layer's hidden units; of an attention model a channel of the residual stream
    behind that block."""
    value: float
    """Of a recurrent unit between −1 and 1: for `lstm` the tanh of its cell, for others the state.
    Of a channel any number."""


def steered(runtime: Runtime, holds: Sequence[Hold]) -> Runtime:
    """A runtime like `runtime` in which each of `holds` has its value after every token.

    Raises:
        RequestError: it isn't one in NumPy, or has no such unit, or the value is out of range.
    """
    if len(holds) > MOST:
        raise RequestError(f"steer: at most {MOST} units at once, not {len(holds)}")
    if isinstance(runtime, RecurrentRuntime):
        widths = [layer.width for layer in runtime.layers]
        by_layer = _by_layer(holds, widths, most=1.0)
        recurrent = copy.copy(runtime)
        recurrent.layers = [copy.copy(layer) for layer in runtime.layers]
        for number, held in by_layer.items():
            layer = recurrent.layers[number]
            cells = np.arctanh(np.clip(held.values, -NEARLY, NEARLY))
            layer.held = Held(held.units, cells) if layer.parts > 1 else held
        return recurrent
    if isinstance(runtime, NumPyAttention):
        widths = [runtime.config.hidden_size] * runtime.config.num_layers
        attention = copy.copy(runtime)
        attention.held = _by_layer(holds, widths, most=1e6)
        return attention
    raise RequestError("steer: this model's family can't be steered; gpt, transformer, lstm, gru "
                       "and rnn can")  # fmt: skip


def _by_layer(holds: Sequence[Hold], widths: Sequence[int], *, most: float) -> dict[int, Held]:
    values: dict[int, dict[int, float]] = {}
    for layer, unit, value in holds:
        if not 0 <= layer < len(widths):
            raise RequestError(f"steer: no layer {layer}; this model has 0 to {len(widths) - 1}")
        if not 0 <= unit < widths[layer]:
            raise RequestError(
                f"steer: no unit {unit} in layer {layer}; it has 0 to {widths[layer] - 1}"
            )
        if not math.isfinite(value) or abs(value) > most:
            raise RequestError(f"steer: a value must be between {-most:g} and {most:g}")
        values.setdefault(layer, {})[unit] = value
    return {
        layer: Held(np.array(list(units)), np.array(list(units.values()), np.float32))
        for layer, units in values.items()
    }
