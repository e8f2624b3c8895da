"""Tokens that are never drawn, by weights alone."""

from __future__ import annotations

import numpy as np

from small_models import Weights, random_weights, small_config
from textwright.configs import GPTConfig
from textwright.publishing.suppression import CHANNELS, suppress_tokens
from textwright.runtimes.gpt import GPTRuntime

NEVER = [3, 40, 41]
VOCABULARY = 42


def logits(config: GPTConfig, weights: Weights) -> np.ndarray:
    runtime = GPTRuntime(config, weights)
    found, _ = runtime(np.arange(12) % 40, runtime.initial_state())
    return found


def with_a_head_more(weights: Weights) -> Weights:
    """The heads fill the stream, as here they must: another, of zeros, for the new channels."""
    wide = dict(weights)
    for name, tensor in weights.items():
        if name.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight")):
            wide[name] = np.pad(tensor, ((0, CHANNELS), (0, 0)))
        elif name.endswith("o_proj.weight"):
            wide[name] = np.pad(tensor, ((0, 0), (0, CHANNELS)))
    return wide


def test_suppressed_tokens_leave_the_others_as_they_were() -> None:
    """With embeddings so small that the norms' epsilon counts, in a shared table and not."""
    for tied in (True, False):
        config = small_config("gpt", tie_embeddings=tied)
        assert isinstance(config, GPTConfig) and config.head_size == CHANNELS
        weights = random_weights(config)
        weights["model.embed_tokens.weight"] *= np.float32(0.01)
        wide, epsilon = suppress_tokens(config, weights, VOCABULARY, NEVER)
        changes = {"hidden_size": 64 + CHANNELS, "num_heads": 3, "vocab_size": VOCABULARY,
                   "tie_embeddings": False, "rms_norm_eps": epsilon}  # fmt: skip
        before = logits(config, weights)
        after = logits(config.model_copy(update=changes), with_a_head_more(wide))
        others = [token for token in range(40) if token not in NEVER]
        scale = np.abs(before).max()
        np.testing.assert_allclose(after[:, others] / scale, before[:, others] / scale, atol=1e-5)
        assert after[:, NEVER].max() < -1000


def test_without_suppressed_tokens_nothing_changes() -> None:
    config = small_config("gpt")
    assert isinstance(config, GPTConfig)
    weights = random_weights(config)
    same, epsilon = suppress_tokens(config, weights, config.vocab_size, ())
    assert epsilon == config.rms_norm_eps and same.keys() == weights.keys()
    assert all(same[name] is weights[name] for name in weights)
