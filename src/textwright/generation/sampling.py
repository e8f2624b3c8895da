"""Drawing the next token from a model's logits.

The order of the steps is the one `transformers` has, so the same settings mean the same there:

1. repetition penalty on tokens already in the text (Keskar et al., "CTRL", 2019, section 4.1);
2. tokens that are never drawn (padding, unknown …) leave;
3. temperature 0 takes the likeliest token, the lowest id where several are; else logits are
   divided by the temperature;
4. top-k keeps the k likeliest, of equals the lowest ids;
5. top-p keeps the likeliest that together reach p of what is left, the one that reaches it
   included (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020);
6. min-p keeps what is at least that share of the likeliest (Nguyen et al., "Turning Up the
   Heat", 2024);
7. one number of a Philox stream is looked up in the cumulative distribution, ids in order.

All in float64, and Philox (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", 2011) is
a fixed function of key and counter, so one seed gives one text in any version and runtime whose
logits are the same.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textwright.arrays import Floats
from textwright.configs import SamplingSettings
from textwright.errors import RequestError, TextwrightError

Doubles = NDArray[np.float64]
Ids = NDArray[np.int64]

MAX_SEED = 1 << 63
TINY = 1e-200
"""A temperature below it may take a logit out of what float64 holds."""
WORDS = 64
"""Of a random stream that are fetched at once."""


@dataclass(frozen=True)
class LogitsProcessor:
    """Bias and penalties by token, applied before any step of sampling."""

    bias: Mapping[int, float] = field(default_factory=dict)
    """Added to the logit of a token id; −100 bans it in effect."""
    presence_penalty: float = 0.0
    """Subtracted once from the logit of each token that was drawn."""
    frequency_penalty: float = 0.0
    """Subtracted for each time that the token was drawn."""

    @property
    def is_active(self) -> bool:
        """Whether `apply` changes anything."""
        return bool(self.bias) or self.presence_penalty != 0 or self.frequency_penalty != 0

    def apply(self, logits: Floats, drawn: Counter[int]) -> Floats:
        """A changed copy of `logits`, (V,); `drawn` counts the tokens of the text so far."""
        processed = logits.copy()
        for token, bias in self.bias.items():
            processed[token] += bias
        for token, count in drawn.items():
            processed[token] -= self.presence_penalty + count * self.frequency_penalty
        return processed


def new_seed() -> int:
    """A seed for who gave none: short enough to be typed again."""
    return int.from_bytes(os.urandom(4))


def check_seed(seed: int) -> int:
    """`seed`, if it is one. Raises `RequestError` where it isn't."""
    if not 0 <= seed < MAX_SEED:
        raise RequestError(f"seed must be at least 0 and below 2**63, not {seed}")
    return seed


class Sampler:
    """Draws tokens; one a text, since it remembers what was drawn and how far its stream is."""

    def __init__(
        self,
        settings: SamplingSettings,
        seed: int,
        *,
        suppressed: Iterable[int] = (),
        read: Iterable[int] = (),
    ) -> None:
        """
        Args:
            settings: temperature and its kin; their `seed` and `stop` are not looked at.
            seed: the key of the random stream, 0 ≤ seed < 2⁶³.
            suppressed: ids that are never drawn.
            read: ids of the text so far, for the repetition penalty.

        Raises:
            RequestError: the seed is out of range.
        """
        self.settings = settings
        self.suppressed = np.fromiter(suppressed, np.int64)
        self._random = np.random.Philox(key=check_seed(seed))
        self._words: list[int] = []  # fetched and not used yet, the next one last
        self._read = np.unique(np.fromiter(read, np.int64)) if self._penalises else None

    @property
    def _penalises(self) -> bool:
        return self.settings.repetition_penalty != 1.0

    def draw(self, logits: Floats) -> int:
        """The next token.

        Args:
            logits: (V,); left as they are.

        Raises:
            TextwrightError: they aren't numbers, or none may be drawn.
        """
        scores = self._scores(logits)
        if self.settings.temperature == 0:
            token = int(scores.argmax())
            fine = np.isfinite(scores[token])
        else:
            ids, weights = self._kept(scores)
            cumulative: Doubles = np.add.accumulate(weights)
            total = float(cumulative[-1])
            fine = 0 < total < math.inf
            point = self._uniform() * total
            # Rounding may reach the total itself: then it is the token that reached that.
            side: Literal["left", "right"] = "right" if point < total else "left"
            place = cumulative.searchsorted(point, side=side)
            token = int(place if ids is None else ids[place])
        if not fine:
            raise TextwrightError(
                "the model's logits are not finite numbers; its weights are damaged or its "
                "training diverged: train it again"
            )
        if self._read is not None:
            self._read = np.union1d(self._read, (token,))
        return token

    def probabilities(self, logits: Floats) -> Doubles:
        """The distribution that `draw` draws from now, (V,)."""
        scores = self._scores(logits)
        spread = np.zeros(len(scores))
        if self.settings.temperature == 0:
            spread[scores.argmax()] = 1.0
            return spread
        ids, weights = self._kept(scores)
        spread[slice(None) if ids is None else ids] = weights / weights.sum()
        return spread

    def _scores(self, logits: Floats) -> Doubles:
        """Steps 1 and 2."""
        scores = logits.astype(np.float64)
        if self._read is not None:
            penalty = self.settings.repetition_penalty
            there = scores[self._read]
            scores[self._read] = np.where(there > 0, there / penalty, there * penalty)
        if len(self.suppressed):
            scores[self.suppressed] = -np.inf
        return scores

    def _kept(self, scores: Doubles) -> tuple[Ids | None, Doubles]:
        """Steps 3 to 6: the ids left, ascending (None: all), and their weights, not normalised."""
        settings = self.settings
        ids: Ids | None = None
        most = float(np.maximum.reduce(scores))  # of the method the quicker half
        if not math.isfinite(most):
            return None, np.full(1, math.nan)
        scores -= most
        if settings.temperature < TINY:
            with np.errstate(over="ignore"):
                scores /= settings.temperature
        elif settings.temperature != 1:
            scores /= settings.temperature
        if 0 < settings.top_k < len(scores):
            ids = _likeliest(scores, settings.top_k)
            scores = scores[ids]
        weights: Doubles = np.exp(scores, out=scores)
        if settings.top_p < 1:
            order = (-weights).argsort(kind="stable")
            reached = weights[order].cumsum()
            count = reached.searchsorted(settings.top_p * reached[-1]) + 1
            kept = np.sort(order[:count])
            ids, weights = kept if ids is None else ids[kept], weights[kept]
        if settings.min_p > 0:
            kept = np.flatnonzero(weights >= settings.min_p)  # the likeliest has weight 1
            ids, weights = kept if ids is None else ids[kept], weights[kept]
        return ids, weights

    def _uniform(self) -> float:
        """A number in [0, 1): the upper 53 bits of the next word of the stream."""
        if not self._words:
            self._words = self._random.random_raw(WORDS)[::-1].tolist()
        return (self._words.pop() >> 11) * 2.0**-53


def _likeliest(scores: Doubles, count: int) -> Ids:
    """The ids of the `count` highest scores, ascending; of equals the lowest ids."""
    least = np.partition(scores, -count)[-count]
    above = np.flatnonzero(scores > least)
    equal = np.flatnonzero(scores == least)[: count - len(above)]
    return np.sort(np.concatenate((above, equal)))


def log_probabilities(logits: Floats) -> Doubles:
    """The model's own distribution as natural logarithms, along the last axis."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=-1, keepdims=True)
    scores -= np.log(np.exp(scores).sum(axis=-1, keepdims=True))
    return scores


def ranked(probabilities: Doubles, count: int) -> Ids:
    """The ids of the `count` likeliest tokens, the likeliest first; of equals the lowest ids."""
    count = max(0, min(count, len(probabilities)))
    if count == 0:
        return np.empty(0, np.int64)
    ids = _likeliest(probabilities, count)
    return ids[(-probabilities[ids]).argsort(kind="stable")]
