"""Greedy text many contexts long is that of torch, up to where torch itself is undecided."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import textwright
from textwright.runs import Run
from textwright.runs.weights import read_weights
from textwright.runtimes import load_runtime

pytestmark = pytest.mark.slow

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
TOKENS = 500
UNDECIDED = 1e-4
"""Logits of torch's best two that are as near as this may go either way."""


@pytest.mark.parametrize("name", ["lstm", "gru", "rnn", "gpt", "transformer"])
@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_greedy_text_is_that_of_torch(name: str, precision: str) -> None:
    from textwright.runtimes.torch_runtime import TorchRuntime

    run = Run(GOLDEN / name)
    config, weights = run.config(), read_weights(run.weights_file)
    torch, ours = TorchRuntime(config, weights), load_runtime(config, weights, precision)
    theirs, own, token = torch.initial_state(), ours.initial_state(), np.array([1])
    for place in range(TOKENS):
        expected, theirs = torch(token, theirs, last_only=True)
        found, own = ours(token, own, last_only=True)
        second, best = np.sort(expected[0])[-2:]
        token = np.array([expected[0].argmax()])
        if token[0] != found[0].argmax():
            assert best - second < UNDECIDED, place
            break
    else:
        assert place == TOKENS - 1


def test_greedy_text_of_a_model_that_learned() -> None:
    """Where a text is about something; token by token through the whole of `Generator`."""
    from textwright.runtimes.torch_runtime import TorchRuntime

    model = textwright.load("shakespeare")
    run = next(run for run in textwright.runs.shipped() if run.name == "shakespeare")
    torch = TorchRuntime(run.config(), read_weights(run.weights_file))
    prompt = model.encode_prompt("ROMEO:").tokens
    written = model.generate("ROMEO:", max_tokens=TOKENS, temperature=0.0).tokens
    state, tokens = torch.initial_state(), np.array(prompt)
    for place, token in enumerate(written):
        logits, state = torch(tokens, state, last_only=True)
        ranked = np.sort(logits[0])
        if token != logits[0].argmax():
            assert ranked[-1] - ranked[-2] < UNDECIDED, place
            break
        tokens = np.array([token])
