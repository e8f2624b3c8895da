"""Every size of every family gives the logits of torch, past its context too, on random weights."""

import numpy as np
import pytest

from small_models import random_weights
from textwright.configs import CONFIG_CLASSES, ModelConfig
from textwright.runtimes import load_runtime
from textwright.training.planning.presets import SIZES

VOCABULARY = 64


def config_of(family: str, size: str) -> ModelConfig:
    kind = next(kind for kind in CONFIG_CLASSES if family in kind.families)
    fields = {"family": family, "vocab_size": VOCABULARY, **SIZES[family][size].model}
    if size == "large":  # far positions are those of `medium`; here it is the width and the depth
        fields["block_size"] = 128
    return kind(**fields)


@pytest.mark.slow
@pytest.mark.parametrize("size", SIZES["gpt"])
@pytest.mark.parametrize("family", ["lstm", "gru", "rnn", "gpt", "transformer"])
def test_logits_equal_those_of_torch(
    family: str, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from textwright.models import build

    for draw in ("normal_", "orthogonal_", "kaiming_uniform_", "uniform_"):
        # Every weight is replaced, and to draw those of a large model takes seconds
        monkeypatch.setattr(torch.nn.init, draw, lambda tensor, *_, **__: tensor)
    config = config_of(family, size)
    model = build(config, seed=1).eval()
    weights = random_weights(config)
    model.load_weights({name: torch.tensor(array) for name, array in weights.items()})
    past = config.block_size + 3 if config.order == "windows" else 40
    tokens = np.random.default_rng(1).integers(0, VOCABULARY, past)
    with torch.no_grad():
        expected = model(torch.tensor(tokens)[None])[0][0].numpy()
    runtime = load_runtime(config, weights, "float32")
    logits, _ = runtime(tokens, runtime.initial_state())
    assert np.abs(expected).max() > 0.5  # there is something to be equal to
    np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=0)
