"""Log probabilities of tokens, as `/v1/completions` has them."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel

from textwright.generation import Explanation, TokenLogprob
from textwright.serving.openai import LEAST_LOGPROB


class Logprobs(BaseModel):
    """Natural logarithms of probabilities, before any sampling setting."""

    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None]
    text_offset: list[int]


def logprobs_of(tokens: list[TokenLogprob], offset: int, top: int) -> dict[str, Any]:
    """As the OpenAI API has them; the token itself is among its alternatives."""
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
    likeliest = {text: finite(logprob) for text, logprob in token.top[:top]}
    return {**likeliest, token.token: finite(token.logprob)}


def prompt_logprobs(tokens: list[Explanation], top: int) -> dict[str, Any]:
    """Those of a prompt; nothing stands before its first token."""
    noted = [
        TokenLogprob(
            one.token,
            0,
            _log(one.probability),
            [(text, _log(other)) for text, other in one.alternatives],
        )
        for one in tokens
    ]
    logprobs = logprobs_of(noted, 0, top)
    if noted:
        logprobs["token_logprobs"][0] = logprobs["top_logprobs"][0] = None
    return logprobs


def _log(probability: float) -> float:
    return math.log(probability) if probability > 0 else LEAST_LOGPROB


def finite(logprob: float) -> float:
    """A logarithm that JSON can hold."""
    return max(logprob, LEAST_LOGPROB)
