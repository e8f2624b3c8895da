"""The loss over a whole text, against a plain walk through it."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from textwright.configs import GPTConfig, RecurrentConfig
from textwright.errors import CorpusError, RequestError
from textwright.models import LanguageModel, build
from textwright.training.loop.evaluation import evaluate

TOKENS = np.random.default_rng(0).integers(0, 13, 3000).astype(np.uint16)


def _gpt() -> LanguageModel:
    model = build(
        GPTConfig(vocab_size=13, block_size=16, num_layers=1, hidden_size=32, num_heads=1)
    )
    torch.nn.init.normal_(model.lm_head.weight, std=0.5)  # type: ignore[union-attr, arg-type]
    return model


def _lstm() -> LanguageModel:
    config = RecurrentConfig(
        vocab_size=13, block_size=16, num_layers=1, hidden_size=16, embedding_size=8
    )
    model = build(config)
    torch.nn.init.normal_(model.output.weight)  # type: ignore[union-attr, arg-type]
    return model


def _losses(model: LanguageModel, tokens: np.ndarray) -> list[float]:
    """Of each prediction, reading `tokens` in one piece."""
    row = torch.from_numpy(tokens.astype(np.int64))[None]
    with torch.no_grad():
        logits, _ = model(row[:, :-1])
    return F.cross_entropy(logits[0], row[0, 1:], reduction="none").tolist()


@pytest.mark.parametrize("count", [2, 10, 17, 18, 33, 500])
def test_windows_that_do_not_overlap_count_every_token_once(count: int) -> None:
    model, tokens = _gpt(), TOKENS[:count]
    expected = []
    for start in range(0, count - 1, 16):
        expected += _losses(model, tokens[start : start + 17])
    assert len(expected) == count - 1
    result = evaluate(model, tokens)
    assert result.tokens == count - 1
    assert result.loss == pytest.approx(np.mean(expected), abs=1e-6)
    assert result.protocol == "windows of 16 tokens"


@pytest.mark.parametrize("stride", [1, 5, 16])
def test_a_stride_gives_every_prediction_more_context(stride: int) -> None:
    model, count = _gpt(), 100
    expected = _losses(model, TOKENS[:17])
    end = 16
    while end < count - 1:
        new = min(end + stride, count - 1)
        expected += _losses(model, TOKENS[new - 16 : new + 1])[-(new - end) :]
        end = new
    assert len(expected) == count - 1
    result = evaluate(model, TOKENS[:count], stride=stride)
    assert result.tokens == count - 1
    assert result.loss == pytest.approx(np.mean(expected), abs=1e-6)


@pytest.mark.parametrize("count", [2, 40, 1024, 3000])
def test_a_recurrent_model_carries_its_state_through_the_text(count: int) -> None:
    model = _lstm()
    result = evaluate(model, TOKENS[:count])
    assert result.tokens == count - 1
    # Streams that warm up on 256 tokens know nearly all that one pass from the start knows.
    one_pass = np.mean(_losses(model, TOKENS[:count]))
    assert result.loss == pytest.approx(one_pass, abs=1e-6 if count < 2048 else 1e-4)
    assert "state carried" in result.protocol


@pytest.mark.parametrize("family", ["gpt", "lstm"])
@pytest.mark.parametrize("window", [1, 5, 16])
def test_windows_of_one_size_compare_families(family: str, window: int) -> None:
    model, count = {"gpt": _gpt, "lstm": _lstm}[family](), 123
    expected = []
    for start in range(0, count - 1, window):  # each from the initial state
        expected += _losses(model, TOKENS[start : min(start + window + 1, count)])
    result = evaluate(model, TOKENS[:count], window=window)
    assert result.tokens == len(expected) == count - 1
    assert result.loss == pytest.approx(np.mean(expected), abs=1e-6)
    assert result.protocol == f"windows of {window} tokens"


def test_a_recurrent_model_reads_windows_of_any_size_and_stride() -> None:
    model = _lstm()
    expected = [*_losses(model, TOKENS[:601]), *_losses(model, TOKENS[600:700])]
    assert evaluate(model, TOKENS[:700], window=600).loss == pytest.approx(np.mean(expected))
    expected = _losses(model, TOKENS[:601])
    for end, new in ((690, 90), (699, 9)):
        expected += _losses(model, TOKENS[end - 600 : end + 1])[-new:]
    result = evaluate(model, TOKENS[:700], window=600, stride=90)
    assert result.tokens == len(expected) == 699
    assert result.loss == pytest.approx(np.mean(expected))
    assert result.protocol == "windows of 600 tokens every 90 tokens, the last 90 counted"
    part = evaluate(model, TOKENS, window=100, limit=1000)
    assert (part.tokens, part.protocol) == (1000, "windows of 100 tokens, 10 of them spread evenly")


def test_a_limit_reads_a_part_and_says_so() -> None:
    result = evaluate(_gpt(), TOKENS, limit=160)
    assert result.tokens == 160
    assert "10 of them spread evenly" in result.protocol
    assert evaluate(_gpt(), TOKENS, limit=10_000).tokens == 2999


def test_measures_and_errors() -> None:
    result = evaluate(_gpt(), TOKENS[:101])
    assert result.perplexity == pytest.approx(math.exp(result.loss))
    with pytest.raises(CorpusError, match="fewer than two tokens"):
        evaluate(_gpt(), TOKENS[:1])
    with pytest.raises(RequestError, match="--stride must be between 1 and the window, 16"):
        evaluate(_gpt(), TOKENS, stride=17)
    with pytest.raises(RequestError, match="--stride must be between 1 and the window, 8"):
        evaluate(_gpt(), TOKENS, window=8, stride=9)
    with pytest.raises(RequestError, match="--window must be between 1 and .* block size, 16"):
        evaluate(_gpt(), TOKENS, window=17)
    with pytest.raises(RequestError, match="--window must be at least 1"):
        evaluate(_lstm(), TOKENS, window=0)
    with pytest.raises(RequestError, match="--stride needs --window here: lstm carries its state"):
        evaluate(_lstm(), TOKENS, stride=4)
