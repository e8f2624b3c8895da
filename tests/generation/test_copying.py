"""The guard against copying, with a model that knows its text by heart."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import textwright
from textwright.engine import Engine, Job
from textwright.errors import RequestError, RunError
from textwright.generation import Generator, load
from textwright.generation.copying import BETWEEN, CopyGuard
from textwright.generation.options import check
from textwright.runs import Run
from textwright.tokenizers import Tokenizer, train_tokenizer

SENTENCES = [
    f"The {who} saw {how} the {what} of {where} had been — naïve as ever — left by 你好 and me.\n"
    for who, how, what, where in zip(
        ["notwithstanding", "baker", "stranger", "physician", "magistrate", "old woman"] * 3,
        ["that", "at last that", "too late that", "with horror that", "plainly that"] * 4,
        ["light", "workshop", "destruction", "consequences", "children", "bread", "letters"] * 3,
        ["Geneva", "the north", "ice and snow", "his own making", "Ingolstadt"] * 4,
        strict=False,
    )
]
TEXT = "".join(SENTENCES)


class State:
    """The tokens read so far."""

    nbytes = 8

    def __init__(self, tokens: tuple[int, ...] = ()) -> None:
        self.tokens = tokens

    def copy(self) -> State:
        return State(self.tokens)


class ByHeart:
    """Goes on with the text from the last place where the longest end of what it read stands."""

    weight_bytes = 0
    block_size = None

    def __init__(self, tokens: Sequence[int], vocab_size: int) -> None:
        self.vocab_size = vocab_size
        self._next: dict[tuple[int, ...], int] = {}
        for order in range(1, 9):
            for place in range(len(tokens) - order):
                self._next[tuple(tokens[place : place + order])] = tokens[place + order]

    def initial_state(self) -> State:
        return State()

    def __call__(self, tokens: Any, state: State, *, last_only: bool = False) -> Any:
        state = State((*state.tokens, *(int(token) for token in tokens))[-8:])
        logits = np.random.default_rng(len(state.tokens)).normal(size=self.vocab_size)
        for start in range(len(state.tokens)):
            if (following := self._next.get(state.tokens[start:])) is not None:
                logits[following] += 30
                break
        return logits.astype(np.float32)[None], state

    def batch(self, tokens: Sequence[Any], states: Sequence[State]) -> Any:
        done = [self(piece, state) for piece, state in zip(tokens, states, strict=True)]
        return np.concatenate([logits for logits, _ in done]), [state for _, state in done]


def longest_copied(text: str, of: str) -> int:
    """Characters of the longest stretch of `text` that stands in `of`, by trying them all."""
    longest = 0
    for start in range(len(text)):
        while text[start : start + longest + 1] in of and start + longest < len(text):
            longest += 1
    return longest


@pytest.fixture(scope="module", params=["char", "word", "bpe"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    size = None if request.param == "char" else 300
    return train_tokenizer(request.param, lambda: [TEXT], vocab_size=size)


def by_heart(tokenizer: Tokenizer, at_most: int | None, text: str = TEXT) -> Generator:
    runtime = ByHeart(tokenizer.encode(text), tokenizer.vocab_size)
    guard = None
    if at_most is not None:
        pieces = [text[place : place + 50] for place in range(0, len(text), 50)]
        guard = CopyGuard(lambda: pieces, tokenizer, at_most)
    return Generator(runtime, tokenizer, guard=guard)


@pytest.mark.parametrize("at_most", [16, 23, 40])
def test_no_stretch_is_longer(tokenizer: Tokenizer, at_most: int) -> None:
    options: dict[str, Any] = {"max_tokens": 300, "seed": 1, "temperature": 0.7}
    free = by_heart(tokenizer, None).generate("The baker", **options).text
    assert longest_copied(free, TEXT) > 100
    text = by_heart(tokenizer, at_most).generate("The baker", **options).text
    assert at_most // 2 < longest_copied(text, TEXT) <= at_most


def test_what_copies_less_is_the_same_text(tokenizer: Tokenizer) -> None:
    other = "".join(sorted(TEXT, key=lambda c: (ord(c) * 7919) % 101))
    model = by_heart(tokenizer, None)
    guarded = Generator(model.runtime, tokenizer, guard=CopyGuard(lambda: [other], tokenizer, 16))
    assert guarded.generate(seed=3).text == model.generate(seed=3).text


def test_a_text_is_the_same_in_company(tokenizer: Tokenizer) -> None:
    model = by_heart(tokenizer, 20)
    options = check({"max_tokens": 60, "seed": 5}, model.defaults)
    alone = model.generate("The old", max_tokens=60, seed=5)
    assert "".join(model.stream("The old", max_tokens=60, seed=5)) == alone.text
    with Engine() as engine:
        jobs = [Job(model, model.encode_prompt(start), options) for start in ("The old", "saw", "")]
        engine.submit(jobs)
        texts = [job.result(100) for job in jobs]
    assert texts[0].tokens == alone.tokens
    assert all(longest_copied(text.text, TEXT) <= 20 for text in texts)


def test_nothing_reaches_over_the_edge_of_two_turns() -> None:
    tokenizer = train_tokenizer("char", lambda: [TEXT])
    first, second = SENTENCES[0], SENTENCES[1]
    guard = CopyGuard(lambda: [first + BETWEEN, second + BETWEEN], tokenizer, 20)
    guarded = guard.new_text()
    logits = np.zeros(tokenizer.vocab_size, np.float32)
    for token in tokenizer.encode(first[-10:] + second[:10]):
        guarded.wrote(token)
    assert guarded.masked(logits, ()) is logits
    for token in tokenizer.encode(second[:21]):
        guarded.wrote(token)
    masked = guarded.masked(logits, ())
    assert masked is not None and np.flatnonzero(np.isinf(masked)).tolist() == tokenizer.encode(
        second[21]
    )


def test_where_all_would_be_copied_the_text_ends() -> None:
    text = "ha" * 200
    tokenizer = train_tokenizer("char", lambda: [text])
    generation = by_heart(tokenizer, 16, text).generate("ha", max_tokens=100, seed=1)
    assert generation.finish_reason in ("stop", "length")
    assert longest_copied(generation.text, text) <= 16


@pytest.mark.slow
def test_a_run_without_its_text_says_so_and_one_with_it_is_guarded(
    tmp_path: Path, make_run: Callable[..., Run]
) -> None:
    run = make_run("lstm")
    with pytest.raises(RunError, match=r"compares with its training text:.*doesn't say what"):
        load(run, copy_at_most=40)
    with pytest.raises(RunError, match=r"come with the package; bring that back, or leave"):
        load("english", copy_at_most=40)
    with pytest.raises(RequestError, match="copy_at_most must be a whole number from 16"):
        load(run, copy_at_most=3)
    book = tmp_path / "book.txt"
    book.write_text(TEXT * 3, encoding="utf-8")
    trained = textwright.train(book, model="lstm", size="nano", steps=2, companion="off")
    command = [sys.executable, "-m", "textwright", "generate", str(trained.path)]
    done = subprocess.run(
        [*command, "-n", "20", "--copy-at-most", "30"], capture_output=True, check=True
    )
    assert done.stdout
    book.unlink()
    gone = subprocess.run(
        [*command, "--copy-at-most", "30"], capture_output=True, text=True, check=False
    )
    assert gone.returncode and "copy_at_most compares" in gone.stderr
    assert len(gone.stderr.splitlines()) == 1
