"""Log probabilities of tokens, as `/v1/completions` has them."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel

from textwright.generation import Explanation, TokenLogprob
from textwright.serving.openai import MIN_LOGPROB


class Logprobs(BaseModel):
    """Natural logarithms of probabilities, before any sampling setting."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


def logprobs_of(tokens: list[TokenLogprob], offset: int, top: int) -> dict[str, Any]:
    """The `logprobs` of a choice, with `top` alternatives per token, itself among them; `offset` is
    the first token's position in the choice's text."""
    offsets = []
    for token in tokens:
        offsets.append(offset)
        offset += len(token.token)
    return {
        "tokens": [token.token for token in tokens],
        "token_logprobs": [finite(token.logprob) for token in tokens],
        "top_logprobs": [_alternatives(token, top) for token in tokens],
        "text_offset": offsets,
    }


def _alternatives(token: TokenLogprob, top: int) -> dict[str, float] | None:
    if not top:
        return None
    alternatives = {text: finite(logprob) for text, logprob in token.top[:top]}
    return {**alternatives, token.token: finite(token.logprob)}


def prompt_logprobs(tokens: list[Explanation], top: int) -> dict[str, Any]:
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
    logprobs = logprobs_of(converted, 0, top)
    if converted:
        logprobs["token_logprobs"][0] = logprobs["top_logprobs"][0] = None
    return logprobs


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else MIN_LOGPROB


def finite(logprob: float) -> float:
    """`logprob`, or `MIN_LOGPROB` where it is below that: JSON has no infinity."""
    return max(logprob, MIN_LOGPROB)
