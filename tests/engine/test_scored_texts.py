"""How likely a text is, as work of the engine: in pieces, counted, cancelled, in time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from textwright.engine import Engine, Scoring
from textwright.errors import BusyError, DeadlineError
from textwright.generation import Generator, load
from textwright.generation.cursor import CHUNK
from textwright.runs import Run

SECONDS = 200


class Slow:
    """A runtime whose calls each wait for a leave, and whose readings are counted in tokens."""

    def __init__(self, runtime: Any) -> None:
        self.inner = runtime
        self.vocab_size, self.block_size = runtime.vocab_size, runtime.block_size
        self.leave = threading.Semaphore(0)
        self.called = threading.Event()
        self.read: list[int] = []

    def initial_state(self) -> Any:
        return self.inner.initial_state()

    def __call__(self, tokens: Any, state: Any, *, last_only: bool = False) -> Any:
        self.called.set()
        assert self.leave.acquire(timeout=SECONDS)
        self.read.append(len(tokens))
        return self.inner(tokens, state, last_only=last_only)

    def batch(self, tokens: Any, states: Any) -> Any:
        return self.inner.batch(tokens, states)


@pytest.fixture
def slow(make_run: Callable[..., Run]) -> Generator:
    model = load(make_run("lstm"))
    return Generator(Slow(model.runtime), model.tokenizer, name="slow")


def wait_for(scoring: Scoring) -> None:
    while not scoring.done:
        assert scoring.wait(SECONDS)


@pytest.mark.parametrize("family", ["gpt", "lstm", "transformer"])
def test_scores_are_those_of_explain_while_others_write(
    make_run: Callable[..., Run], family: str
) -> None:
    model = load(make_run(family))
    text = "It was the best of times, it was the worst of times. " * 4
    tokens = model.tokenizer.encode(text)
    with Engine(workers=2) as engine:
        writers = [engine.stream(model, "It was", max_tokens=40, seed=seed) for seed in range(5)]
        scorings = [Scoring(model, tokens, top=3), Scoring(model, tokens[:1], top=0)]
        engine.submit(scorings)
        for scoring in scorings:
            wait_for(scoring)
        texts = [job.result(SECONDS) for job in writers]
    long, short = scorings
    name = model.tokenizer.token_text
    assert [each for piece in long.scores for each in piece.explain(name)] == model.explain(
        text, top=3
    )
    assert len(short.scores) == 1 and short.scores[0].top.shape == (1, 0)
    assert texts == [model.generate("It was", max_tokens=40, seed=seed) for seed in range(5)]
    assert engine.prompt_tokens[model.name] == len(tokens) + 1 + 5 * len(
        model.encode_prompt("It was").tokens
    )


def test_those_who_write_get_a_token_for_each_piece(slow: Generator) -> None:
    """With one worker: were a text scored in one go, nobody would be written for meanwhile."""
    runtime: Any = slow.runtime
    with Engine(workers=1) as engine:
        scoring = Scoring(slow, slow.tokenizer.encode("it was the age of wisdom, " * 40), top=1)
        engine.submit([scoring])
        engine.stream(slow, "It", max_tokens=5)
        written = engine.stream(slow, "It", max_tokens=8)
        for _ in range(12):  # of 34 pieces
            runtime.leave.release()
        written.result(SECONDS)
        assert not scoring.done
        assert max(runtime.read) <= CHUNK
        scoring.cancel()
        runtime.leave.release()
        wait_for(scoring)
    assert scoring.outcome == "cancelled"


def test_it_has_a_place_in_the_queue_and_a_deadline(slow: Generator) -> None:
    runtime: Any = slow.runtime
    tokens = slow.tokenizer.encode("it was the age of foolishness, " * 20)
    with Engine(slots=1, waiting=1, workers=1) as engine:
        running, waiting = (Scoring(slow, tokens, top=1, seconds=SECONDS) for _ in range(2))
        engine.submit([running])
        engine.submit([waiting])
        assert (engine.running, engine.waiting) == (1, 1)
        with pytest.raises(BusyError):
            engine.submit([Scoring(slow, tokens, top=1)])
        waiting.cancel()
        assert runtime.called.wait(SECONDS)
        running.seconds = 0.05  # only now, for a busy machine may take longer to begin
        running.wait(0.1)  # past its deadline
        runtime.leave.release(1)
        wait_for(running)
        wait_for(waiting)
        assert isinstance(running.error, DeadlineError) and "0.05 seconds" in str(running.error)
        assert waiting.outcome == "cancelled"
        assert engine.running == engine.waiting == 0
        assert len(runtime.read) == 1
