"""The results of generating: a text, a token, an explanation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from textwright.arrays import Floats
from textwright.generation.sampling import Doubles, Ids, log_probabilities, ranked
from textwright.notebook_display import html_of, print_plain

FinishReason = Literal["stop", "length"]
"""`stop`: a stop string or the model's own end of text. `length`: `max_tokens` were reached."""


@dataclass(frozen=True)
class TokenLogprob:
    """A token's log probability in the model's own distribution, before any sampling setting."""

    token: str
    id: int
    logprob: float
    """Natural logarithm."""
    top: list[tuple[str, float]] = field(default_factory=list)
    """The likeliest tokens with their log probabilities, the likeliest first."""
    top_ids: list[int] = field(default_factory=list)
    """The ids of `top`."""

    @property
    def probability(self) -> float:
        return math.exp(self.logprob)

    @property
    def likeliest(self) -> list[tuple[str, float]]:
        """`top` with probabilities in place of log probabilities."""
        return [(token, math.exp(logprob)) for token, logprob in self.top]


@dataclass(frozen=True)
class Generation:
    """A text that a model continued; `str()` of it is prompt and continuation."""

    prompt: str
    """As it was given."""
    text: str
    """The continuation alone."""
    tokens: list[int]
    """Ids drawn, those of a stop string included, an end of text not."""
    finish_reason: FinishReason
    seed: int
    """The one given, or the one drawn where none was."""
    warnings: list[str] = field(default_factory=list)
    """One line each, e.g. of characters in the prompt that the model doesn't know."""
    logprobs: list[TokenLogprob] | None = None
    """One a token, where requested."""

    _repr_html_ = html_of
    _repr_pretty_ = print_plain

    def __str__(self) -> str:
        return self.prompt + self.text


@dataclass(frozen=True, eq=False)
class Step:
    """One drawn token."""

    token: int
    text: str
    """The characters that it completed; empty after the first bytes of a character."""
    logits: Floats = field(repr=False)
    """Of the vocabulary, (V,), before any sampling setting."""

    @property
    def probability(self) -> float:
        """Of the token, in `distribution`."""
        return float(self.distribution[self.token])

    @cached_property
    def distribution(self) -> Doubles:
        """The softmax of `logits`, (V,), in float64."""
        return np.exp(log_probabilities(self.logits))


class Explanation(NamedTuple):
    """How likely a token of a text was."""

    token: str
    probability: float
    """Of the token, given everything before it."""
    alternatives: list[tuple[str, float]]
    """The likeliest tokens at its position with their probabilities, the likeliest first."""


class Explanations(list[Explanation]):
    """One a token of a text; notebooks show it coloured."""

    _repr_html_ = html_of
    _repr_pretty_ = print_plain

    @property
    def bits(self) -> float:
        """What the text costs: the sum of -log2 of the probabilities."""
        return sum(-math.log2(max(each.probability, 5e-324)) for each in self)


class Scores(NamedTuple):
    """How likely T tokens of a text were, and the K likeliest at each place, as arrays: a text of
    many tokens takes a tenth of the memory that `Explanation`s do."""

    tokens: Ids
    """(T,)."""
    probabilities: Doubles
    """(T,)."""
    top: Ids
    """(T, K), the likeliest first."""
    top_probabilities: Doubles
    """(T, K)."""

    @classmethod
    def of(cls, logits: Floats, tokens: Sequence[int], top: int) -> Scores:
        """From the logits (T, V) before each of `tokens`."""
        ids = np.asarray(tokens, np.int64)
        rows = np.exp(log_probabilities(logits))
        best = np.stack([ranked(row, top) for row in rows])
        places = np.arange(len(ids))
        return cls(ids, rows[places, ids], best, rows[places[:, None], best])

    def explain(self, token_text: Callable[[int], str]) -> Iterator[Explanation]:
        """One a token."""
        for token, probability, ids, values in zip(*(each.tolist() for each in self), strict=True):
            named = [(token_text(other), value) for other, value in zip(ids, values, strict=True)]
            yield Explanation(token_text(token), probability, named)
