"""What generating gives back."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from textwright.arrays import Floats
from textwright.generation.sampling import Doubles, log_probabilities

FinishReason = Literal["stop", "length"]
"""`stop`: a stop string or the model's own end of text. `length`: as many tokens as asked for."""


@dataclass(frozen=True)
class TokenLogprob:
    """How likely the model itself thought a token, before any sampling setting."""

    token: str
    id: int
    logprob: float
    """Natural logarithm of its probability."""
    top: list[tuple[str, float]] = field(default_factory=list)
    """The likeliest tokens there with their logarithms, the likeliest first."""

    @property
    def probability(self) -> float:
        return math.exp(self.logprob)

    @property
    def likeliest(self) -> list[tuple[str, float]]:
        """`top` with probabilities in place of their logarithms."""
        return [(token, math.exp(logprob)) for token, logprob in self.top]


@dataclass(frozen=True)
class Generation:
    """A text that a model continued; `str()` of it is prompt and continuation."""

    prompt: str
    """As it was given."""
    text: str
    """The continuation alone."""
    tokens: list[int]
    """Ids of the tokens drawn; those that spelled a stop string among them, an end of text not."""
    finish_reason: FinishReason
    seed: int
    """The seed it was drawn with, also where none was given."""
    warnings: list[str] = field(default_factory=list)
    """One line each, e.g. of characters in the prompt that the model never saw."""
    logprobs: list[TokenLogprob] | None = None
    """One a token, where asked for."""

    def __str__(self) -> str:
        return self.prompt + self.text


@dataclass(frozen=True, eq=False)
class Step:
    """One token as it was drawn."""

    token: int
    text: str
    """The characters that it completed; empty while one is still in parts."""
    logits: Floats = field(repr=False)
    """Of every token of the vocabulary before it was drawn, (V,)."""

    @property
    def probability(self) -> float:
        """How likely the model itself thought the token, before any sampling setting."""
        return float(self.distribution[self.token])

    @cached_property
    def distribution(self) -> Doubles:
        """The model's own distribution over the vocabulary, (V,)."""
        return np.exp(log_probabilities(self.logits))


class Explanation(NamedTuple):
    """How a model sees one token of a text."""

    token: str
    probability: float
    """Of the token, given everything before it."""
    alternatives: list[tuple[str, float]]
    """The likeliest tokens in its place with their probabilities, the likeliest first."""
