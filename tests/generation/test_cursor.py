"""Reading a text in chunks and windows comes to the same as reading it at once."""

import numpy as np
import pytest

from small_models import random_weights, small_config
from textwright.generation.cursor import CHUNK, Cursor
from textwright.runtimes import load_runtime

FAMILIES = ("lstm", "gpt", "transformer")


def runtime(family: str):
    config = small_config(family, block_size=48)
    return load_runtime(config, random_weights(config))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("length", [1, CHUNK, 47, 48, 49, 72, 73, 400])
def test_the_logits_are_those_of_the_text_read_at_once(family: str, length: int) -> None:
    model = runtime(family)
    tokens = np.random.default_rng(length).integers(0, 40, length)
    expected, _ = model(tokens, model.initial_state(), last_only=True)
    for cut in (1, 7, length):
        cursor = Cursor(model)
        for start in range(0, length, cut):
            cursor.read(tokens[start : start + cut].tolist())
            cursor.copy().logits  # noqa: B018 - a copy that goes on changes nothing here
            _ = cursor.logits if cut < 7 else None
        np.testing.assert_allclose(cursor.logits, expected[0], atol=2e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_long_prompt_costs_one_window(family: str) -> None:
    model = runtime(family)
    cursor = Cursor(model)
    cursor.read(range(40))
    cursor.read([3] * 100_000)
    read = 0
    while cursor.pending and read < 1000:
        chunk = cursor.chunk()
        assert 1 <= len(chunk) <= CHUNK
        read += len(chunk)
        logits, state = model(chunk, cursor.state, last_only=True)
        cursor.advance(logits[0], state)
    assert read >= 1000 if family == "lstm" else read <= 48
