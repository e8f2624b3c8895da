"""Log probabilities of tokens, as `/v1/completions` has them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, Field

from textwright.engine import Job
from textwright.generation import Explanation, TokenLogprob
from textwright.serving.openai import MIN_LOGPROB


class Logprobs(BaseModel):
    """Natural logarithms of probabilities, before any sampling setting."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int] = Field(
        description="Where in `text` each token begins, in characters; for a part of a character, "
        "where that is."
    )


class JobLogprobs:
    """The log probabilities of a job's tokens, each to be sent with the text that it begins."""

    def __init__(self, job: Job, begin: int) -> None:
        """`begin`: where in the choice's text the job's begins."""
        self._job = job
        self._begin = begin
        self._length = 0  # of the text that was taken
        self._tokens = job.generator.tokenizer.places()
        self._places: list[int] = []  # one a token, in the job's own text
        self._taken = 0

    def take(self, text: str, top: int, *, done: bool) -> dict[str, Any]:
        """The `logprobs` of the tokens that begin in `text`, the next part of the job's; all that
        are left where it is `done`, those of a stop string at the text's end."""
        for token in self._job.logprobs[len(self._places) :]:
            self._places.append(self._tokens.push(token.id))
        self._length += len(text)
        end = len(self._places)
        if not done:  # tokens may be ahead of the text, which is delayed as a possible stop string
            while end > self._taken and self._places[end - 1] >= self._length:
                end -= 1
        tokens = self._job.logprobs[self._taken : end]
        places = self._places[self._taken : end]
        self._taken = end
        return logprobs_of(
            tokens, [self._begin + min(place, self._length) for place in places], top
        )


def logprobs_of(tokens: list[TokenLogprob], places: Sequence[int], top: int) -> dict[str, Any]:
    """The `logprobs` of a choice, with `top` alternatives per token, itself among them; `places`
    are the tokens' in the choice's text."""
    return {
        "tokens": [token.token for token in tokens],
        "token_logprobs": [finite(token.logprob) for token in tokens],
        "top_logprobs": [_alternatives(token, top) for token in tokens],
        "text_offset": list(places),
    }


def _alternatives(token: TokenLogprob, top: int) -> dict[str, float] | None:
    if not top:
        return None
    alternatives = {text: finite(logprob) for text, logprob in token.top[:top]}
    return {**alternatives, token.token: finite(token.logprob)}


def prompt_logprobs(tokens: list[Explanation], places: Sequence[int], top: int) -> dict[str, Any]:
    """The `logprobs` of an echoed prompt; its first token has none."""
    converted = [
        TokenLogprob(
            token.token,
            0,
            _log(token.probability),
            [(text, _log(probability)) for text, probability in token.alternatives],
        )
        for token in tokens
    ]
    logprobs = logprobs_of(converted, places, top)
    if converted:
        logprobs["token_logprobs"][0] = logprobs["top_logprobs"][0] = None
    return logprobs


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else MIN_LOGPROB


def finite(logprob: float) -> float:
    """`logprob`, or `MIN_LOGPROB` where it is below that: JSON has no infinity."""
    return max(logprob, MIN_LOGPROB)
