"""The loss of a large vocabulary from a part of it."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from textwright.configs import RecurrentConfig, TrainingSettings
from textwright.models import OutputLayer
from textwright.training.loop.learner import Learner
from textwright.training.loop.loss import sampled_cross_entropy

TYPES, WIDTH, TARGETS = 3000, 24, 64


def _case() -> tuple[torch.Tensor, OutputLayer, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    features = torch.randn(TARGETS, WIDTH, generator=generator)
    weight = 0.3 * torch.randn(TYPES, WIDTH, generator=generator)
    bias = torch.randn(TYPES, generator=generator)
    targets = torch.randint(0, TYPES, (TARGETS,), generator=generator)
    return features, OutputLayer(weight, bias), targets


def test_it_estimates_the_exact_loss_and_gradient() -> None:
    features, output, targets = _case()
    features.requires_grad_()
    exact = F.cross_entropy(F.linear(features, *output), targets)
    (wanted,) = torch.autograd.grad(exact, features)
    losses, gradients = [], []
    for number in range(50):
        loss = sampled_cross_entropy(features, output, targets, 500, (1, number))
        losses.append(loss.item())
        gradients.append(torch.autograd.grad(loss, features)[0])
    assert abs(sum(losses) / 50 - exact.item()) < 0.01
    assert max(losses) - min(losses) > 1e-4  # another draw each time
    mean = torch.stack(gradients).mean(dim=0)
    assert (mean - wanted).norm() < 0.05 * wanted.norm()


def test_the_same_key_draws_the_same_types() -> None:
    features, output, targets = _case()
    losses = [sampled_cross_entropy(features, output, targets, 100, (3, 4)) for _ in range(2)]
    assert losses[0] == losses[1]


def test_as_many_samples_as_types_is_exact() -> None:
    features, output, targets = _case()
    exact = F.cross_entropy(F.linear(features, *output), targets)
    sampled = sampled_cross_entropy(features, output, targets, TYPES, (0,))
    torch.testing.assert_close(sampled, exact)


def test_it_learns_as_the_exact_loss_does() -> None:
    config = RecurrentConfig(
        vocab_size=500, block_size=16, num_layers=1, hidden_size=32, embedding_size=16
    )
    tokens = (torch.arange(6000) * 7 % 480).numpy().astype("uint16")  # each type has one successor

    def learned(samples: int) -> float:
        settings = TrainingSettings(
            sampled_softmax=samples, batch_size=8, learning_rate=2e-2, precision="float32"
        )
        learner = Learner(config, settings, tokens, [(0, 60)])
        for step in range(60):
            learner.step(step)
        rows = torch.from_numpy(tokens[:400].astype("int64"))[None]
        with torch.no_grad():
            logits, _ = learner.model(rows[:, :-1])
        return F.cross_entropy(logits[0], rows[0, 1:]).item()

    assert learned(100) < learned(0) + 0.3 < 4.0


def test_large_vocabularies_are_sampled_on_a_processor() -> None:
    def sampled(types: int, wanted: int | None) -> int:
        config = RecurrentConfig(
            vocab_size=types, block_size=8, num_layers=1, hidden_size=8, embedding_size=8
        )
        settings = TrainingSettings(sampled_softmax=wanted, batch_size=2, device="cpu")
        tokens = torch.zeros(1000, dtype=torch.int64).numpy().astype("uint16")
        return Learner(config, settings, tokens, [(0, 1)])._sampled

    assert sampled(20_000, None) == 2048
    assert sampled(20_000, 0) == 0
    assert sampled(300, None) == 0
    assert sampled(300, 100) == 100
