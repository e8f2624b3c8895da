"""`/api/read`: a text that somebody writes is read anew from where it changed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from browsing import GOLDEN

import textwright
from textwright.companion.mixing import MixedState
from textwright.page import timelines
from textwright.runs import Run, shipped
from textwright.studio.reading import CHUNK, Reader

TEXT = "The night was dark, and all the people slept. " * 6


@pytest.fixture(scope="module", name="model", params=["gpt", "lstm"])
def _model(request: pytest.FixtureRequest) -> Any:
    return textwright.load(GOLDEN / request.param)


def test_what_changed_is_read_as_all_of_it_is(model: Any) -> None:
    """From a state that was kept, in any order of changes: the numbers of `explain`."""
    reader = Reader()
    reader.read(model, TEXT)
    for text, start in (
        (TEXT, 200),
        (TEXT[:150] + "x" + TEXT[150:], 149),
        (TEXT, CHUNK),
        (TEXT, 0),
    ):
        told = reader.read(model, text, start=start)["tokens"]
        whole = Reader(memory=0).read(model, text)["tokens"]
        assert told == whole[len(whole) - len(told) :]
        assert told[0][1] > start
    expected = [math.log(max(one.probability, 1e-30)) for one in model.explain(TEXT)]
    assert [one[3] for one in whole] == pytest.approx(expected, abs=1e-4)
    assert reader.read(model, "")["tokens"] == []


def test_what_a_mixed_model_read_is_kept(model: Any) -> None:
    state = MixedState(model.runtime.initial_state(), np.zeros(3, np.int32))
    assert state.copy().nbytes == state.inner.nbytes + 12


def test_what_the_vocabulary_lacks_is_in_no_token(model: Any) -> None:
    told = Reader().read(model, "a日本b", following=3)
    assert [(start, end) for start, end, *_ in told["tokens"]] == [(0, 1), (3, 4)]
    assert told["warnings"]
    assert len(told["next"]) == 3
    likely = [math.exp(value) for _, value in told["next"]]
    assert likely == sorted(likely, reverse=True) and sum(likely) <= 1
    assert told["rest"] == model.tokenizer.vocab_size - 3


def test_models_that_come_along_tell_how_they_learned() -> None:
    for run in shipped():
        told = timelines.timeline(run, ("step", "val_loss"))
        assert len(told["samples"]) == len(told["metrics"]) > 5, run.name
        losses = [row["val_loss"] for row in told["metrics"]]
        assert losses[-1] < losses[0]
        assert timelines.beginnings(run)
    assert timelines.beginnings(Run(GOLDEN / "lstm")) == []
