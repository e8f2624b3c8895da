"""Learning rates by step, and who updates what."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from textwright.configs import GPTConfig, RecurrentConfig, TrainingSettings
from textwright.errors import TrainingError
from textwright.models import build
from textwright.training.loop.trainer import check_finite
from textwright.training.optim.adamw import AdamW
from textwright.training.optim.muon import Muon
from textwright.training.optim.optimizer import Optimizers, lr_multiplier

CONFIG = GPTConfig(vocab_size=11, block_size=8, num_layers=2, hidden_size=32, num_heads=1)


def test_the_rate_rises_stays_and_falls_to_its_end() -> None:
    settings = TrainingSettings(warmup=0.1, decay=0.5)
    rates = [lr_multiplier(step, settings, [(0, 100)]) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == rates[49] == 1.0
    assert rates[75] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.02)
    assert lr_multiplier(100, settings, [(0, 100)]) == 0.0
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_constant_and_a_cosine_schedule() -> None:
    constant = TrainingSettings(warmup=0.0, schedule="constant")
    assert {lr_multiplier(step, constant, [(0, 50)]) for step in range(50)} == {1.0}
    cosine = TrainingSettings(warmup=0.0, decay=1.0, schedule="cosine", final_learning_rate=0.1)
    assert lr_multiplier(0, cosine, [(0, 50)]) == pytest.approx(1.0)
    assert lr_multiplier(25, cosine, [(0, 50)]) == pytest.approx(0.55)
    assert lr_multiplier(50, cosine, [(0, 50)]) == pytest.approx(0.1)


def test_muon_takes_the_hidden_matrices_and_adamw_everything_else() -> None:
    model = build(CONFIG)
    adamw, muon = Optimizers(model, TrainingSettings(precision="float32")).all
    assert isinstance(adamw, AdamW) and isinstance(muon, Muon)
    in_muon = {p.data_ptr() for p in muon.parameters}
    in_adamw = {p.data_ptr() for p in adamw.parameters}
    names = {name for name, p in model.named_parameters() if p.data_ptr() in in_muon}
    assert names == {
        f"model.layers.{layer}.{part}.weight"
        for layer in range(2)
        for part in (
            *(f"self_attn.{p}_proj" for p in "qkvo"),
            *(f"mlp.{p}_proj" for p in ("gate", "up", "down")),
        )
    }
    assert in_adamw == {p.data_ptr() for p in model.parameters()} - in_muon
    assert len(Optimizers(model, TrainingSettings(optimizer="adamw", precision="float32")).all) == 1


def test_adamw_is_that_of_torch() -> None:
    def parameters() -> list[torch.nn.Parameter]:
        draw = torch.Generator().manual_seed(7)
        return [torch.nn.Parameter(torch.randn(s, generator=draw)) for s in ((3, 5), (4, 2), (6,))]

    ours, theirs = parameters(), parameters()
    mine = AdamW([(ours[:2], 0.1), (ours[2:], 0.0)], (0.8, 0.99))
    groups = [
        {"params": theirs[:2], "weight_decay": 0.1},
        {"params": theirs[2:], "weight_decay": 0.0},
    ]
    other = torch.optim.AdamW(groups, lr=0.01, betas=(0.8, 0.99), fused=True)
    draw = torch.Generator().manual_seed(1)
    for _ in range(4):
        for one, two in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=draw)
            two.grad = one.grad.clone()
        mine.step(0.01)
        other.step()
    assert all(map(torch.equal, ours, theirs))
    states = other.state_dict()["state"]
    for place, state in enumerate(mine.state):
        assert state.keys() == states[place].keys()
        assert all(torch.equal(value, states[place][name]) for name, value in state.items())


@pytest.mark.slow
def test_torchs_compiler_is_left_out() -> None:
    program = """
import sys
import torch
from textwright.configs import GPTConfig, TrainingSettings
from textwright.models import build
from textwright.training.optim.optimizer import Optimizers
model = build(GPTConfig(vocab_size=3, block_size=2, num_layers=1, hidden_size=32, num_heads=1))
model(torch.zeros(1, 2, dtype=torch.long))[0].sum().backward()
Optimizers(model, TrainingSettings(precision="float32")).step(1.0)
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_each_gate_is_orthogonalised_by_itself() -> None:
    config = RecurrentConfig(
        vocab_size=11, block_size=8, num_layers=1, hidden_size=16, embedding_size=16
    )
    model = build(config)
    weight = dict(model.named_parameters())["layers.0.weight_hh_l0"]
    before = weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1))
    settings = TrainingSettings(weight_decay=0.0, matrix_learning_rate=1.0, precision="float32")
    Optimizers(model, settings).step(1.0)
    assert weight.grad is None
    for update in (weight.detach() - before).chunk(4):
        values = torch.linalg.svdvals(update)
        # Muon's polynomials bring every singular value near 1, not to it
        assert values.min() > 0.5 and values.max() < 1.3


def test_the_state_round_trips_through_named_tensors() -> None:
    def learned(optimizers: Optimizers, model: torch.nn.Module, steps: int) -> torch.Tensor:
        for step in range(steps):
            tokens = torch.randint(0, 11, (2, 9), generator=torch.Generator().manual_seed(step))
            logits, _ = model(tokens[:, :-1])
            torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), tokens[:, 1:].flatten()
            ).backward()
            optimizers.step(1.0)
        return torch.cat([p.detach().flatten() for p in model.parameters()])

    model = build(CONFIG)
    first = Optimizers(model, TrainingSettings(precision="float32"))
    learned(first, model, 3)
    other = build(CONFIG)
    other.load_state_dict(model.state_dict())
    second = Optimizers(other, TrainingSettings(precision="float32"))
    second.load_tensors({name: tensor.clone() for name, tensor in first.tensors().items()})
    assert torch.equal(learned(first, model, 3), learned(second, other, 3))


def test_a_loss_that_is_not_finite_ends_it_with_advice() -> None:
    check_finite(4.2, 1)
    for bad in (float("nan"), float("inf")):
        with pytest.raises(TrainingError, match=r"step 12.*halve the learning rates"):
            check_finite(bad, 12)
