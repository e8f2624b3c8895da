"""The recipe of a step, beside forty lines of plain torch that know nothing of it."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from textwright.configs import GPTConfig, TrainingSettings
from textwright.models import LanguageModel, build
from textwright.training.loop.batches import Windows
from textwright.training.loop.learner import Learner

STEPS = 20
CONFIG = GPTConfig(vocab_size=17, block_size=16, num_layers=2, hidden_size=32, num_heads=1)
TOKENS = (np.random.default_rng(1).integers(0, 17, 600) // 2 * 2).astype(np.uint16)
RECIPE = {
    "seed": 3, "batch_size": 4, "micro_batch_size": 3, "precision": "float32", "device": "cpu",
    "learning_rate": 0.01, "matrix_learning_rate": 0.03, "weight_decay": 0.2, "beta1": 0.8,
    "beta2": 0.9, "momentum": 0.85, "warmup": 0.2, "decay": 0.5, "final_learning_rate": 0.1,
    "gradient_clip": 0.25, "ema_decay": 0.9,
}  # fmt: skip


def orthogonalise(matrix: Tensor) -> Tensor:
    """Amsel et al., "The Polar Express" (2025): four polynomials of a wide matrix."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalise(matrix.T).T
    x = matrix / (1.01 * matrix.norm()).clamp(min=1e-7)
    for a, b, c in (
        (8.3007, -24.0375, 17.4661),
        (4.0034, -2.9228, 0.5419),
        (3.4709, -2.5494, 0.5002),
        (2.4901, -1.8343, 0.4368),
    ):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def rates() -> Iterator[float]:
    """Up over the first 4 steps, level, down to a tenth over the last 10."""
    yield from (0.25, 0.5, 0.75, 1.0)
    yield from [1.0] * 6
    yield from (0.1 + 0.9 * left / 10 for left in range(10, 0, -1))


def plain(optimizer: str) -> tuple[LanguageModel, dict[str, Tensor], list[float]]:
    """A training by the recipe: the model, the average of its weights, how far it was clipped."""
    model = build(CONFIG, RECIPE["seed"])
    names = dict(model.named_parameters())
    hidden = {name for name in names if "proj" in name} if optimizer == "muon" else set()
    rest = [parameter for name, parameter in names.items() if name not in hidden]
    tables_decay = 0.2 if optimizer == "adamw" else 0.0
    adamw = torch.optim.AdamW(
        [{"params": [p for p in rest if p.ndim > 1], "weight_decay": tables_decay},
         {"params": [p for p in rest if p.ndim == 1], "weight_decay": 0.0}],
        betas=(0.8, 0.9),
    )  # fmt: skip
    momenta = {name: torch.zeros_like(names[name]) for name in hidden}
    average: dict[str, Tensor] = {}
    norms = []
    data = Windows(TOKENS, CONFIG.block_size, 4, RECIPE["seed"])
    for step, rate in enumerate(rates()):
        rows = torch.from_numpy(data.batch(step, 0, 4))
        logits, _ = model(rows[:, :-1])
        F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten()).backward()
        norm = math.sqrt(sum(float(p.grad.square().sum()) for p in names.values()))
        norms.append(norm)
        with torch.no_grad():
            for parameter in names.values():
                parameter.grad *= min(1.0, 0.25 / (norm + 1e-6))
            for name in hidden:
                matrix, gradient = names[name], names[name].grad
                momenta[name] = 0.85 * momenta[name] + 0.15 * gradient
                update = orthogonalise(0.15 * gradient + 0.85 * momenta[name])
                scale = math.sqrt(max(1.0, matrix.shape[0] / matrix.shape[1]))
                matrix.mul_(1 - 0.03 * rate * 0.2).sub_(0.03 * rate * scale * update)
            for group in adamw.param_groups:
                group["lr"] = 0.01 * rate
            adamw.step()
            for name, parameter in names.items():
                before = average.get(name, parameter)
                average[name] = 0.9 * before + 0.1 * parameter
        model.zero_grad()
    return model, average, norms


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
def test_twenty_steps_are_those_of_plain_torch(optimizer: str) -> None:
    settings = TrainingSettings.model_validate({**RECIPE, "optimizer": optimizer})
    learner = Learner(CONFIG, settings, TOKENS, [(0, STEPS)])
    for step in range(STEPS):
        learner.step(step)
    model, average, norms = plain(optimizer)
    assert min(norms) > 2 * settings.gradient_clip, "or clipping is not tried"
    for name, expected in model.named_parameters():
        found = dict(learner.model.named_parameters())[name]
        torch.testing.assert_close(found, expected, atol=5e-4, rtol=0.0, msg=name)
    for name, found in learner.evaluated_model.named_parameters():
        torch.testing.assert_close(found, average[name], atol=5e-4, rtol=0.0, msg=name)


def test_a_large_vocabulary_is_learned_in_pieces() -> None:
    """64 samples of 1,024 tokens and 4,096 types would be 268 million logits: 1 GB, twice."""
    config = CONFIG.model_copy(update={"vocab_size": 4096, "block_size": 1024})
    tokens = np.zeros(4096, np.uint16)
    pieces = []

    class Watched(Learner):
        def _backward(self, _loss: object, inputs: Tensor, *rest: object) -> tuple[Tensor, dict]:
            pieces.append(len(inputs))
            return torch.zeros(()), {}

    settings = TrainingSettings(batch_size=10, precision="float32", gradient_clip=0, shards=1)
    learner = Watched(config, settings, tokens, [(0, 1)])
    learner.optimizers.step = lambda *_: None  # type: ignore[method-assign]
    learner.step(0)
    assert sum(pieces) == 10 and max(pieces) * 1024 * 4096 <= 1 << 24
