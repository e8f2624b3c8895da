"""One suite for every family, written against `(tokens, state) -> (logits, state)` alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from textwright.configs import (
    GPTConfig,
    ModelConfig,
    RecurrentConfig,
    TransformerConfig,
    model_config,
)
from textwright.errors import RunError
from textwright.models import LanguageModel, State, build
from textwright.models.base import Dropout, dropout_keys
from textwright.models.resizing import resize_vocab

COMMON: dict[str, Any] = {"vocab_size": 23, "block_size": 16, "num_layers": 2}
CONFIGS: dict[str, ModelConfig] = {
    "lstm": RecurrentConfig(
        family="lstm", hidden_size=[24, 12], embedding_size=8, dropout=0.2, **COMMON
    ),
    "lstm-tied": RecurrentConfig(
        family="lstm", hidden_size=16, embedding_size=16, tie_embeddings=True, **COMMON
    ),
    "gru": RecurrentConfig(family="gru", hidden_size=16, embedding_size=8, **COMMON),
    "rnn": RecurrentConfig(family="rnn", hidden_size=16, embedding_size=8, **COMMON),
    "gpt": GPTConfig(hidden_size=64, num_heads=2, dropout=0.2, **COMMON),
    "gpt-tied": GPTConfig(hidden_size=64, num_heads=1, tie_embeddings=True, **COMMON),
    "transformer": TransformerConfig(hidden_size=64, num_heads=2, dropout=0.2, **COMMON),
    "transformer-gelu": TransformerConfig(
        hidden_size=64, num_heads=2, activation="gelu", tie_embeddings=True, **COMMON
    ),
}


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> LanguageModel:
    """A model with no weight at zero, so that everything takes part in the logits."""
    made = build(CONFIGS[request.param], seed=3).eval()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in made.parameters():
            if not parameter.any():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return made


def _tokens(count: int, rows: int = 2) -> Tensor:
    return torch.randint(0, 23, (rows, count), generator=torch.Generator().manual_seed(7))


def _in_pieces(model: LanguageModel, tokens: Tensor, sizes: Iterable[int]) -> Tensor:
    state: State | None = None
    pieces, start = [], 0
    for size in sizes:
        logits, state = model(tokens[:, start : start + size], state)
        pieces.append(logits)
        start += size
    assert start == tokens.shape[1]
    return torch.cat(pieces, dim=1)


@torch.no_grad()
@pytest.mark.parametrize("length", [1, 15, 16, 17, 25, 41])
def test_stepping_gives_the_logits_of_the_whole(model: LanguageModel, length: int) -> None:
    tokens = _tokens(length)
    whole, _ = model(tokens)
    assert whole.shape == (2, length, 23)
    assert whole.std() > 0.05  # a model that says nothing would pass the rest
    torch.testing.assert_close(_in_pieces(model, tokens, [1] * length), whole, rtol=0, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("sizes", [(7, 3, 40, 1, 19), (16, 16, 16, 22), (69, 1)])
def test_any_cut_gives_the_logits_of_the_whole(
    model: LanguageModel, sizes: tuple[int, ...]
) -> None:
    tokens = _tokens(70)
    torch.testing.assert_close(
        _in_pieces(model, tokens, sizes), model(tokens)[0], rtol=0, atol=1e-5
    )


@torch.no_grad()
def test_a_logit_depends_on_earlier_tokens_only(model: LanguageModel) -> None:
    tokens = _tokens(12)
    changed = tokens.clone()
    changed[:, 8] = (changed[:, 8] + 1) % 23
    before, after = model(tokens)[0], model(changed)[0]
    torch.testing.assert_close(before[:, :8], after[:, :8], rtol=0, atol=1e-6)
    assert (before[:, 8:] - after[:, 8:]).abs().amax(dim=(0, 2)).min() > 1e-6


@torch.no_grad()
def test_rows_of_a_batch_do_not_meet(model: LanguageModel) -> None:
    tokens = _tokens(40, rows=3)
    alone = torch.cat([model(row[None])[0] for row in tokens])
    torch.testing.assert_close(model(tokens)[0], alone, rtol=0, atol=1e-5)


@torch.no_grad()
def test_past_the_context_the_last_half_is_read_anew() -> None:
    model = build(CONFIGS["gpt"], seed=3).eval()
    nn.init.normal_(model.lm_head.weight)  # type: ignore[union-attr, arg-type]
    tokens = _tokens(30)
    whole, _ = model(tokens)
    # Token 16 is read after tokens 8 … 15, encoded from position 0; the next renewal is at 24.
    torch.testing.assert_close(whole[:, 16:24], model(tokens[:, 8:24])[0][:, 8:])
    torch.testing.assert_close(whole[:, 24:], model(tokens[:, 16:])[0][:, 8:])


def test_a_config_and_its_json_say_the_same(model: LanguageModel) -> None:
    config = model.config
    assert model_config(config.to_json()) == config
    assert sum(parameter.numel() for parameter in model.parameters()) == config.parameter_count()


@torch.no_grad()
def test_weights_round_trip_and_misfits_are_named(model: LanguageModel) -> None:
    other = build(model.config, seed=99).eval()
    weights = model.weights()
    other.load_weights(weights)
    tokens = _tokens(9)
    assert torch.equal(model(tokens)[0], other(tokens)[0])
    name = sorted(weights)[0]
    with pytest.raises(RunError, match=f"{name} is missing"):
        other.load_weights({key: value for key, value in weights.items() if key != name})
    with pytest.raises(RunError, match=f"{name} is .*, not"):
        other.load_weights({**weights, name: weights[name][:-1]})
    with pytest.raises(RunError, match="odd is not part of this model"):
        other.load_weights({**weights, "odd": weights[name]})


def test_every_parameter_learns_and_the_loss_falls(model: LanguageModel) -> None:
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    tokens = _tokens(17, rows=4)
    losses = []
    for step in range(30):
        model.set_dropout_keys(dropout_keys(0, step, 0, 4))
        logits, _ = model(tokens[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        assert all(parameter.grad is not None for parameter in model.parameters())
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.85 * losses[0]
    matrices = [part for m in model.matrices() for part in m.of(m.parameter)]
    assert matrices and all(part.ndim == 2 for part in matrices)


def test_stacked_matrices_are_given_apart(model: LanguageModel) -> None:
    whole = {id(m.parameter): m.parameter.numel() for m in model.matrices()}
    apart = sum(part.numel() for m in model.matrices() for part in m.of(m.parameter))
    assert apart == sum(whole.values())
    config = model.config
    widths = {config.hidden_size} if isinstance(config.hidden_size, int) else {*config.hidden_size}
    if hasattr(config, "intermediate_size"):
        widths.add(config.intermediate_size)
    outputs = {part.shape[0] for m in model.matrices() for part in m.of(m.parameter)}
    assert outputs <= widths  # a gate, or queries alone, and (out, in) whatever the file's order


def test_the_output_layer_makes_the_logits_of_the_features(model: LanguageModel) -> None:
    model.eval()
    nn.init.normal_(model.output_layer().weight)
    tokens = _tokens(9, rows=2)
    features, _ = model.features(tokens)
    logits = nn.functional.linear(features, *model.output_layer())
    torch.testing.assert_close(model(tokens)[0], logits)


def test_a_recurrent_model_drops_the_same_units_at_all_times() -> None:
    for over_time in (True, False):
        dropout = Dropout(0.5, place=0, over_time=over_time).train()
        dropout.keys = dropout_keys(1, 2, 0, 3)
        masks = dropout(torch.ones(3, 20, 16))
        assert set(masks.unique().tolist()) == {0.0, 2.0}
        assert (masks == masks[:, :1]).all() == over_time
        assert not (masks[0] == masks[1]).all()
    dropouts = [m for m in build(CONFIGS["lstm"]).modules() if isinstance(m, Dropout)]
    assert dropouts and all(module.over_time for module in dropouts)


@pytest.mark.parametrize("name", ["lstm", "gpt", "transformer"])
def test_dropout_is_a_function_of_the_sample(name: str) -> None:
    model = build(CONFIGS[name], seed=3).train()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    tokens = _tokens(16, rows=6)

    def logits(first: int, count: int, step: int = 4) -> Tensor:
        model.set_dropout_keys(dropout_keys(1, step, first, count))
        return model(tokens[first : first + count])[0]

    whole = logits(0, 6)
    # The same samples in smaller batches, as another number of workers would take them
    pieces = torch.cat([logits(0, 2), logits(2, 3), logits(5, 1)])
    torch.testing.assert_close(whole, pieces, rtol=0, atol=1e-5)
    assert not torch.allclose(whole, logits(0, 6, step=5), atol=1e-2)
    model.eval()
    assert not torch.allclose(whole, model(tokens)[0], atol=1e-2)


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    from textwright.models.base import Dropout

    places = []
    for place in range(2):
        dropout = Dropout(0.3, place)
        dropout.keys = dropout_keys(0, 0, 0, 64)
        places.append(dropout.train()(torch.ones(64, 50, 40)))
    for dropped in places:
        assert (dropped == 0).float().mean().item() == pytest.approx(0.3, abs=0.005)
        assert dropped.mean().item() == pytest.approx(1.0, abs=0.01)
        by_sample = (dropped == 0).float().mean(dim=(1, 2))
        assert by_sample.std() < 0.03  # no sample is spared or wiped out
    agree = ((places[0] == 0) == (places[1] == 0)).float().mean().item()
    assert agree == pytest.approx(0.3**2 + 0.7**2, abs=0.01)  # two places draw apart


def test_the_same_seed_builds_the_same_model() -> None:
    state = torch.random.get_rng_state()
    first, again, other = (build(CONFIGS["gpt"], seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    for name, weight in first.weights().items():
        assert torch.equal(weight, again.weights()[name])
    assert not torch.equal(
        first.weights()["model.embed_tokens.weight"], other.weights()["model.embed_tokens.weight"]
    )


@torch.no_grad()
def test_a_larger_vocabulary_leaves_what_was_known(model: LanguageModel) -> None:
    grown = resize_vocab(model, [[4], [4, 5], []], seed=1).eval()
    assert grown.config == model.config.model_copy(update={"vocab_size": 26})
    tokens = _tokens(40)
    before, after = model(tokens)[0], grown(tokens)[0]
    torch.testing.assert_close(after[..., :23], before, rtol=0, atol=1e-5)
    # A new token is about as likely as what it is like; one like none has the mean logit
    expected = (before[..., 4], before[..., 4:6].mean(dim=-1), before.mean(dim=-1))
    spread = before.std(dim=-1).mean()
    for token, logits in enumerate(expected, start=23):
        assert (after[..., token] - logits).abs().mean() < 0.3 * spread, token
    again, other = (resize_vocab(model, [[4], [4, 5], []], seed=seed) for seed in (1, 2))
    for name, tensor in grown.weights().items():
        assert torch.equal(again.weights()[name], tensor), name
    assert any(not torch.equal(other.weights()[n], t) for n, t in grown.weights().items())
    # Read as an input, it acts about as what it is like, and no two new ones are the same
    assert not torch.equal(grown(tokens * 0 + 23)[0], grown(tokens * 0 + 4)[0])


@torch.no_grad()
def test_a_new_token_divides_the_chances_of_what_it_is_like() -> None:
    """By how often both stand in the text, where an output bias can say so."""
    model = build(CONFIGS["lstm"], 1).eval()
    counts = np.zeros(26, np.int64)
    counts[[4, 5, 23, 24]] = 3000, 100, 1000, 100
    grown = resize_vocab(model, [[4], [5, 6], []], seed=1, counts=counts).eval()
    tokens = _tokens(40)
    before, after = model(tokens)[0].exp(), grown(tokens)[0].exp()
    torch.testing.assert_close(after[..., 7:23], before[..., 7:23], rtol=1e-4, atol=0)
    both = after[..., 4] + after[..., 23]
    assert (both / before[..., 4]).mean().item() == pytest.approx(1, abs=0.05)
    assert (after[..., 4] / after[..., 23]).mean().item() == pytest.approx(3, abs=0.3)
    assert (after[..., 5] / before[..., 5]).mean().item() == pytest.approx(0.5, abs=0.01)


def test_nothing_new_is_the_same_model(model: LanguageModel) -> None:
    same = resize_vocab(model, [], seed=1).weights()
    for name, tensor in model.weights().items():
        assert torch.equal(same[name], tensor), name
