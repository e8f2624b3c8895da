"""A unit that is held: in every family, and nothing else is changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from textwright.errors import RequestError
from textwright.generation.steering import Hold, steered
from textwright.runs import Run
from textwright.runs.weights import read_weights
from textwright.runtimes.registry import RUNTIMES

GOLDEN = Path(__file__).parents[1] / "golden"
TOKENS = np.array([3, 1, 4, 1, 5, 9, 2, 6])


def runtime_of(name: str):  # type: ignore[no-untyped-def]
    run = Run(GOLDEN / name)
    return RUNTIMES[type(run.config())](run.config(), read_weights(run.weights_file))


@pytest.mark.parametrize("family", ["lstm", "gru", "rnn"])
def test_a_recurrent_unit_keeps_its_value(family: str) -> None:
    runtime = runtime_of(family)
    before, _ = runtime(TOKENS, runtime.initial_state())
    layer = len(runtime.layers) - 1
    other = steered(runtime, [Hold(layer, 2, 0.5), Hold(layer, 0, -1.0)])
    held, state = other(TOKENS, other.initial_state())
    parts = state.layers[layer]
    units = np.tanh(parts[1]) if len(parts) > 1 else parts[0]
    assert units[2] == pytest.approx(0.5)
    assert units[0] == pytest.approx(-1, abs=2e-4)
    assert np.isfinite(held).all() and np.abs(held - before).max() > 1e-3
    again, _ = runtime(TOKENS, runtime.initial_state())
    np.testing.assert_array_equal(again, before)  # the model itself stays as it is


@pytest.mark.parametrize("family", ["gpt", "transformer"])
def test_a_channel_of_the_residual_stream_keeps_its_value(family: str) -> None:
    runtime = runtime_of(family)
    before, _ = runtime(TOKENS, runtime.initial_state())
    other = steered(runtime, [Hold(0, 3, 2.5)])
    state = other.initial_state()
    config = runtime.config
    state.residual = np.zeros((config.num_layers, config.block_size, config.hidden_size), "f4")
    held, state = other(TOKENS, state)
    assert (state.residual[0, : len(TOKENS), 3] == 2.5).all()
    assert np.abs(held - before).max() > 1e-3
    again, _ = runtime(TOKENS, runtime.initial_state())
    np.testing.assert_array_equal(again, before)


def test_to_hold_what_a_unit_has_anyway_changes_nothing() -> None:
    runtime = runtime_of("gru")
    token = TOKENS[:1]
    before, state = runtime(token, runtime.initial_state())
    value = float(state.layers[-1][0][1])
    held, _ = (other := steered(runtime, [Hold(len(runtime.layers) - 1, 1, value)]))(
        token, other.initial_state()
    )
    np.testing.assert_allclose(held, before, atol=1e-6)


@pytest.mark.parametrize(
    ("hold", "said"),
    [
        (Hold(9, 0, 0.5), "no layer 9"),
        (Hold(0, 100_000, 0.5), "no unit 100000"),
        (Hold(0, 0, 1.5), "between -1 and 1"),
        (Hold(0, 0, float("nan")), "between"),
    ],
)
def test_what_there_is_not_is_named(hold: Hold, said: str) -> None:
    with pytest.raises(RequestError, match=said):
        steered(runtime_of("lstm"), [hold])
    with pytest.raises(RequestError, match="at most 16"):
        steered(runtime_of("lstm"), [Hold(0, unit % 8, 0.0) for unit in range(17)])
