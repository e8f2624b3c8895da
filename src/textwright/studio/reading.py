"""Reads a text that somebody is writing: how likely each of its tokens is, and what may come next.

A text changes at one place at a time, so the states of what stands before are kept: only what comes
after the change is read anew.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from textwright.generation import Generator
from textwright.generation.cursor import Cursor
from textwright.generation.results import Scores
from textwright.generation.sampling import log_probabilities, ranked

CHUNK = 64
"""Tokens between two states that are kept."""
MEMORY = 32 << 20
"""Bytes of states that are kept."""


@dataclass(frozen=True)
class _Kept:
    runtime: weakref.ref[Any]
    state: Any
    size: int


class Reader:
    """Reads texts, and keeps states of what it read; one thread at a time uses it."""

    def __init__(self, memory: int = MEMORY) -> None:
        """
        Args:
            memory: bytes of states; the one that was used longest ago goes first.
        """
        self.memory = memory
        self._kept: OrderedDict[tuple[int, int, int], _Kept] = OrderedDict()
        self._used = 0
        self._lock = threading.Lock()

    def read(
        self, model: Generator, text: str, *, start: int = 0, top: int = 10, following: int = 0
    ) -> dict[str, Any]:
        """The tokens of `text` from the one that has the character at `start`, as JSON holds them.

        Args:
            model: reads it.
            text: any.
            start: in characters.
            top: alternatives of each token.
            following: how many of the likeliest next tokens; 0: none.

        Returns:
            `tokens`: lists of start, end (characters of `text`), name, natural logarithm of the
            probability (None for what opens a conversation), alternatives (name and logarithm);
            `next`: the same pairs for what may follow, `rest`: how many tokens are left out of
            that, `warnings`.
        """
        prompt = model.encode_prompt(text)
        places = model.prompt_places(text)
        tokens = list(prompt.tokens) if text else []
        opening = len(model.encode_prompt("").tokens) if model.tokenizer.chat else 0
        ends = _ends(model, tokens, places, len(text))
        first = next((i for i, end in enumerate(ends) if end > start), len(tokens))
        name = model.tokenizer.token_text
        read = []
        if first < len(tokens):
            scores = self._scores(model, tokens, first, top)
            explained = [each for piece in scores for each in piece.explain(name)]
            for index, one in zip(range(first, len(tokens)), explained, strict=True):
                others = [[other, _log(value)] for other, value in one.alternatives]
                likely = None if index < opening else _log(one.probability)
                read.append([places[index], ends[index], one.token, likely, others])
        result = {"tokens": read, "warnings": prompt.warnings}
        return result | (_next(model, prompt.tokens, following) if following else {})

    def _scores(
        self, model: Generator, tokens: Sequence[int], first: int, top: int
    ) -> list[Scores]:
        """Of the tokens from `first` on, as `Generator.score` gives them for all."""
        runtime = model.runtime
        pieces = []
        if first == 0:
            pieces.append(next(iter(model.score(tokens[:1], top=top))))
            first = 1
        done, state = self._resume(runtime, tokens, first - 1)
        while done < len(tokens) - 1:
            end = min((done // CHUNK + 1) * CHUNK, len(tokens) - 1)
            logits, state = runtime(np.array(tokens[done:end]), state)
            wanted = max(done + 1, first)
            if end >= wanted:
                pieces.append(Scores.of(logits[wanted - done - 1 :], tokens[wanted : end + 1], top))
            done = end
            if done % CHUNK == 0:
                self._keep(runtime, tokens[:done], state)
        return pieces

    def _resume(self, runtime: Any, tokens: Sequence[int], most: int) -> tuple[int, Any]:
        for count in range(most // CHUNK * CHUNK, 0, -CHUNK):
            key = _key(runtime, tokens[:count])
            with self._lock:
                kept = self._kept.get(key)
                if kept is not None and kept.runtime() is runtime:
                    self._kept.move_to_end(key)
                    return count, kept.state.copy()
        return 0, runtime.initial_state()

    def _keep(self, runtime: Any, tokens: Sequence[int], state: Any) -> None:
        key = _key(runtime, tokens)
        with self._lock:
            if key in self._kept:
                return
            copy = state.copy()
            size = int(copy.nbytes)
            self._kept[key] = _Kept(weakref.ref(runtime), copy, size)
            self._used += size
            while self._used > self.memory:
                self._used -= self._kept.popitem(last=False)[1].size


def _key(runtime: Any, tokens: Sequence[int]) -> tuple[int, int, int]:
    return id(runtime), len(tokens), hash(tuple(tokens))


def _ends(model: Generator, tokens: list[int], places: list[int], length: int) -> list[int]:
    """Where each token ends: the next one begins there, except that one of a character has one:
    after it may stand what the vocabulary lacks."""
    if model.tokenizer.kind == "char":
        return [min(place + 1, length) for place in places]
    return [*places[1:], length][: len(tokens)]


def _next(model: Generator, tokens: Sequence[int], count: int) -> dict[str, Any]:
    cursor = Cursor(model.runtime)
    cursor.read(tokens)
    scores = log_probabilities(cursor.logits)
    name = model.tokenizer.token_text
    likeliest = [[name(int(i)), float(scores[i])] for i in ranked(scores, count)]
    return {"next": likeliest, "rest": max(0, len(scores) - count)}


def _log(probability: float) -> float:
    return round(float(np.log(max(probability, 1e-30))), 5)
