"""Drawing the next token from a model's logits.

The order of the steps is the one `transformers` has, so the same settings mean the same there:

1. repetition penalty on tokens already in the text (Keskar et al., "CTRL", 2019, section 4.1);
2. tokens that are never drawn (padding, unknown …) leave;
3. temperature 0 takes the likeliest token, the lowest id where several are; else logits are
   divided by the temperature;
4. top-k leaves the k likeliest, of equals the lowest ids;
5. top-p leaves the likeliest that together reach p of what is left, the one that reaches it
   included (Holtzman et al., "The Curious Case of Neural Text Degeneration", 2020);
6. min-p leaves what has at least that share of the likeliest (Nguyen et al., "Turning Up the
   Heat", 2024);
7. one number of a Philox stream is looked up in the cumulative distribution, ids in order.

All in float64, from operations that IEEE 754 rounds in one way, so powers and logarithms are this
file's own: those of NumPy and of C libraries differ in their last bits. And Philox (Salmon et al.,
"Parallel Random Numbers: As Easy as 1, 2, 3", 2011) is a fixed function of key and counter. So one
seed gives one text on any processor and runtime whose logits are the same.

`Sampler` is the reference, in NumPy; `CompiledSampler` gives the same bits on `kernels/sampling.c`,
and lets a runtime write several tokens in one call.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from textwright.arrays import Floats
from textwright.configs import SamplingSettings
from textwright.errors import RequestError, TextwrightError
from textwright.kernels import kernels
from textwright.kernels.sampling import SamplerState, log_softmax

Doubles = NDArray[np.float64]
Ids = NDArray[np.int64]

MAX_SEED = 1 << 63
TINY = 1e-200
"""Dividing by a temperature below it may overflow float64."""
RANDOM_BATCH = 64
"""Random numbers fetched in one call, which costs more than a number."""


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
    """A random seed, short enough to be typed again."""
    return int.from_bytes(os.urandom(4))


def check_seed(seed: int) -> int:
    """`seed`. Raises `RequestError` where it is out of range."""
    if not 0 <= seed < MAX_SEED:
        raise RequestError(f"seed must be at least 0 and below 2**63, not {seed}")
    return seed


class Sampler:
    """Draws the tokens of one text; has the random stream and the tokens to penalise as state."""

    address: int | None = None
    """Of a sampler in C, for `kernels.sampling.Pending`; None where there is none."""

    def __init__(
        self,
        settings: SamplingSettings,
        seed: int,
        *,
        suppress_tokens: Iterable[int] = (),
        prompt_tokens: Iterable[int] = (),
        processor: LogitsProcessor | None = None,
    ) -> None:
        """
        Args:
            settings: temperature, top-k …; their `seed` and `stop` are not used.
            seed: the key of the random stream, 0 ≤ seed < 2⁶³.
            suppress_tokens: ids that are never drawn.
            prompt_tokens: ids that the repetition penalty counts as in the text.
            processor: bias and penalties by count.

        Raises:
            RequestError: the seed is out of range.
        """
        self.settings = settings
        self.suppress_tokens = np.fromiter(suppress_tokens, np.int64)
        self._processor = processor or LogitsProcessor()
        self._counts: Counter[int] | None = Counter() if self._processor.is_active else None
        self._random = np.random.Philox(key=check_seed(seed))
        self._words: list[int] = []  # of the random stream, unused; the next one last
        self._penalised: Ids | None = None
        """Ids in the text, ascending; None without a repetition penalty."""
        if settings.repetition_penalty != 1.0:
            self._penalised = np.unique(np.fromiter(prompt_tokens, np.int64))

    def draw(self, logits: Floats) -> int:
        """Draw the id of the next token.

        Args:
            logits: (V,); not changed.

        Raises:
            TextwrightError: they are NaN or infinite, or all ids are suppressed.
        """
        scores = self._scores(logits)
        if self.settings.temperature == 0:
            token = int(scores.argmax())
            valid = np.isfinite(scores[token])
        else:
            ids, weights = self._truncated(scores)
            cumulative: Doubles = np.add.accumulate(weights)
            total = float(cumulative[-1])
            valid = 0 < total < math.inf
            point = self._uniform() * total
            # Rounding may give the total itself: then the token whose weight reached it is drawn.
            side: Literal["left", "right"] = "right" if point < total else "left"
            index = cumulative.searchsorted(point, side=side)
            token = int(index if ids is None else ids[index])
        if not valid:
            raise logits_error()
        if self._penalised is not None:
            self._penalised = np.union1d(self._penalised, (token,))
        if self._counts is not None:
            self._counts[token] += 1
        return token

    def probabilities(self, logits: Floats) -> Doubles:
        """The distribution that the next `draw` draws from, (V,)."""
        scores = self._scores(logits)
        probabilities = np.zeros(len(scores))
        if self.settings.temperature == 0:
            probabilities[scores.argmax()] = 1.0
            return probabilities
        ids, weights = self._truncated(scores)
        probabilities[slice(None) if ids is None else ids] = weights / weights.sum()
        return probabilities

    def log_probabilities(self, logits: Floats, top: int) -> tuple[Doubles, Ids]:
        """Of all tokens before any setting, (V,), and the ids of the `top` likeliest, in order."""
        logs = log_probabilities(logits)
        return logs, ranked(logs, top)

    def _scores(self, logits: Floats) -> Doubles:
        """Logits in float64 after bias, penalties and step 2, (V,)."""
        if self._counts is not None:
            logits = self._processor.apply(logits, self._counts)
        scores = logits.astype(np.float64)
        if self._penalised is not None:
            penalty = self.settings.repetition_penalty
            seen = scores[self._penalised]
            scores[self._penalised] = np.where(seen > 0, seen / penalty, seen * penalty)
        if len(self.suppress_tokens):
            scores[self.suppress_tokens] = -np.inf
        return scores

    def _truncated(self, scores: Doubles) -> tuple[Ids | None, Doubles]:
        """Steps 3 to 6: the ids left, ascending, and their probabilities, not normalised.

        Ids are None where all are left; the weights are one NaN where `scores` aren't finite.
        """
        settings = self.settings
        ids: Ids | None = None
        highest = float(np.maximum.reduce(scores))  # half the time of `scores.max()`
        if not math.isfinite(highest):
            return None, np.full(1, math.nan)
        scores -= highest
        if settings.temperature < TINY:
            with np.errstate(over="ignore"):
                scores /= settings.temperature
        elif settings.temperature != 1:
            scores /= settings.temperature
        if 0 < settings.top_k < len(scores):
            ids = _likeliest(scores, settings.top_k)
            scores = scores[ids]
        weights = exponentials(scores)
        if settings.top_p < 1:
            order = (-weights).argsort(kind="stable")
            cumulative, total = weights[order].cumsum(), weights.cumsum()[-1]
            count = cumulative.searchsorted(settings.top_p * total) + 1
            indices = np.sort(order[:count])
            ids, weights = indices if ids is None else ids[indices], weights[indices]
        if settings.min_p > 0:
            indices = np.flatnonzero(weights >= settings.min_p)  # the likeliest has weight 1
            ids, weights = indices if ids is None else ids[indices], weights[indices]
        return ids, weights

    def _uniform(self) -> float:
        """A number in [0, 1): the upper 53 of the 64 bits of the stream's next word."""
        if not self._words:
            self._words = self._random.random_raw(RANDOM_BATCH)[::-1].tolist()
        return (self._words.pop() >> 11) * 2.0**-53


def _likeliest(scores: Doubles, count: int) -> Ids:
    """The ids of the `count` highest scores, ascending; of equals the lowest ids."""
    lowest = np.partition(scores, -count)[-count]
    above = np.flatnonzero(scores > lowest)
    equal = np.flatnonzero(scores == lowest)[: count - len(above)]
    return np.sort(np.concatenate((above, equal)))


class CompiledSampler(Sampler):
    """A `Sampler` on `kernels/sampling.c`."""

    def __init__(
        self,
        library: ctypes.CDLL,
        vocab_size: int,
        settings: SamplingSettings,
        seed: int,
        *,
        suppress_tokens: Iterable[int] = (),
        prompt_tokens: Sequence[int] = (),
        processor: LogitsProcessor | None = None,
        end_tokens: Iterable[int] = (),
    ) -> None:
        """
        Args:
            library: a build of the kernels.
            vocab_size: V.
            settings, seed, suppress_tokens, prompt_tokens, processor: as for `Sampler`.
            end_tokens: ids after which a runtime writes nothing.

        Raises:
            RequestError: the seed is out of range.
            IndexError: an id is.
        """
        super().__init__(settings, seed, suppress_tokens=suppress_tokens, processor=processor)
        penalises = settings.repetition_penalty != 1.0
        self._library = library
        self._compiled = SamplerState(
            library,
            vocab_size,
            suppressed=self.suppress_tokens.tolist(),
            biased=self._processor.bias,
            ends=[*end_tokens],
            read=prompt_tokens if penalises else None,
            counts=self._processor.is_active,
            top_k=max(0, min(settings.top_k, vocab_size)),
            temperature=settings.temperature,
            top_p=settings.top_p,
            min_p=settings.min_p,
            repetition_penalty=settings.repetition_penalty,
            presence_penalty=self._processor.presence_penalty,
            frequency_penalty=self._processor.frequency_penalty,
            key=seed,
        )
        self.address = self._compiled.address

    def draw(self, logits: Floats) -> int:
        token = self._compiled.draw(logits)
        if token < 0:
            raise logits_error()
        return token

    def probabilities(self, logits: Floats) -> Doubles:
        if self._penalised is not None:
            self._penalised = self._compiled.read
        if self._counts is not None:
            self._counts = self._compiled.counts
        return super().probabilities(logits)

    def log_probabilities(self, logits: Floats, top: int) -> tuple[Doubles, Ids]:
        logs, ids = log_softmax(self._library, logits, top)
        return logs, ids.astype(np.int64)


def new_sampler(
    vocab_size: int,
    settings: SamplingSettings,
    seed: int,
    *,
    suppress_tokens: Iterable[int],
    prompt_tokens: Sequence[int],
    processor: LogitsProcessor,
    end_tokens: Iterable[int],
) -> Sampler:
    """A `CompiledSampler` where there are kernels, else a `Sampler`; arguments are theirs."""
    library = kernels().library
    if library is None:
        return Sampler(
            settings,
            seed,
            suppress_tokens=suppress_tokens,
            prompt_tokens=prompt_tokens,
            processor=processor,
        )
    return CompiledSampler(
        library,
        vocab_size,
        settings,
        seed,
        suppress_tokens=suppress_tokens,
        prompt_tokens=prompt_tokens,
        processor=processor,
        end_tokens=end_tokens,
    )


def logits_error() -> TextwrightError:
    """What drawing raises where there is no distribution to draw from."""
    return TextwrightError(
        "the model's logits are not finite numbers; its weights are damaged or its "
        "training diverged: train it again"
    )


def exponentials(x: Doubles) -> Doubles:
    """e^x for x ≤ 0, to about one unit in the last place; 0 below −708, for −∞ too.

    x = n ln 2 + r with whole n and |r| ≤ ½ ln 2; e^r is a quotient of polynomials (Cephes, exp), 2ⁿ
    is added to the exponent.
    """
    vanishes = x < -708
    x = np.where(vanishes, -708.0, x)
    magic = 1.5 * 2.0**52  # what is added to it is rounded to a whole number
    shifted = x * 1.4426950408889634 + magic
    n = shifted - magic
    r = x - n * 6.93145751953125e-1 - n * 1.42860682030941723212e-6
    square = r * r
    p = square * 1.26177193074810590878e-4 + 3.02994407707441961300e-2
    p = r * (p * square + 9.99999999999999999910e-1)
    q = square * 3.00198505138664455042e-6 + 2.52448340349684104192e-3
    q = (q * square + 2.27265548208155028766e-1) * square + 2.0
    power: Doubles = 1.0 + 2.0 * (p / (q - p))
    bits = power.view(np.uint64) + (shifted.view(np.uint64) << np.uint64(52))
    bits[vanishes] = 0
    return bits.view(np.float64)


def logarithms(x: Doubles) -> Doubles:
    """ln x for x ≥ 1, to about one unit in the last place (Cephes, log)."""
    m, exponents = np.frexp(x)
    small = m < 0.70710678118654752440
    n = (exponents - small).astype(np.float64)
    m = np.where(small, 2.0 * m, m) - 1.0
    square = m * m
    p = np.full_like(m, 1.01875663804580931796e-4)
    for coefficient in (
        4.97494994976747001425e-1,
        4.70579119878881725854,
        1.44989225341610930846e1,
        1.79368678507819816313e1,
        7.70838733755885391666,
    ):
        p = p * m + coefficient
    q = m + 1.12873587189167450590e1
    for coefficient in (
        4.52279145837532221105e1,
        8.29875266912776603211e1,
        7.11544750618563894466e1,
        2.31251620126765340583e1,
    ):
        q = q * m + coefficient
    y = m * (square * p / q) - n * 2.121944400546905827679e-4
    y -= 0.5 * square
    logs: Doubles = (m + y) + n * 0.693359375
    return logs


def log_probabilities(logits: Floats) -> Doubles:
    """Log-softmax over the last axis, in float64: natural logarithms of probabilities."""
    scores = logits.astype(np.float64)
    scores -= scores.max(axis=-1, keepdims=True)
    totals = np.add.accumulate(exponentials(scores), axis=-1)[..., -1:]
    scores -= logarithms(totals)
    return scores


def top_tokens(
    values: Doubles, count: int | None, token_text: Callable[[int], str]
) -> list[tuple[str, float]]:
    """The texts of the `count` likeliest tokens (None: all) with their `values`, highest first."""
    ids = ranked(values, len(values) if count is None else count)
    return [(token_text(int(token)), float(values[token])) for token in ids]


def ranked(probabilities: Doubles, count: int) -> Ids:
    """The ids of the `count` likeliest tokens, the likeliest first; of equals the lowest ids."""
    count = max(0, min(count, len(probabilities)))
    if count == 0:
        return np.empty(0, np.int64)
    ids = _likeliest(probabilities, count)
    return ids[(-probabilities[ids]).argsort(kind="stable")]
