"""What else might make a model learn faster or better: one change at a time, with a fixed seed.

    python benchmarks/levers.py [--only SUBSTRING] [--seeds 1 2 3]

Most of these changes are no settings: each is made to the model that the recipe builds, before its
first step. `gpt` and `lstm` of size `nano` read Tiny Shakespeare for an epoch at most, where what
counts is speed; the "short" ones read its first 100,000 characters 8 and 18 times, where it is what
keeps them from learning by heart. Losses are nats a character of the whole validation text,
with the protocol of `textwright eval`; CPU time is that of the steps, a teacher's too, on one
thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import MethodType
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ours import split_text
from textwright.configs import TrainingSettings
from textwright.models import build
from textwright.models.attention import attend, extend
from textwright.models.fused import rotate
from textwright.training.loop.evaluation import evaluate
from textwright.training.loop.learner import Learner
from textwright.training.planning.presets import model_settings, preset

SHORT = 100_000
"""Characters."""
STEPS = {("gpt", False): 400, ("lstm", False): 500, ("gpt", True): 800, ("lstm", True): 900}
"""Family and whether the text is short → steps."""
DROPOUT = {("gpt", True): 0.1, ("lstm", True): 0.4}
"""Of the short ones, what the plan gives them."""


class Scaled(nn.Module):
    """A layer times a learned number for each output; it would fold into the matrix."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer, self.scale = layer, nn.Parameter(torch.ones(layer.out_features))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self.scale.to(x.dtype)


class SquaredReLU(nn.Module):
    """down(relu(up(x))²), with as many parameters as the gated layer it stands for (So et al.,
    "Primer", 2021)."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.up_proj = nn.Linear(width, inner, bias=False)
        self.down_proj = nn.Linear(inner, width, bias=False)
        nn.init.normal_(self.up_proj.weight, std=width**-0.5)
        nn.init.zeros_(self.down_proj.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.relu(self.up_proj(x)).square())


class Mixture(nn.Module):
    """The logarithm of a mixture of softmaxes (Yang et al., 2018)."""

    def __init__(self, output: nn.Linear, parts: int) -> None:
        super().__init__()
        width = output.in_features
        self.output, self.parts = output, parts
        self.latent, self.prior = nn.Linear(width, parts * width), nn.Linear(width, parts)
        self.weight, self.bias = output.weight, output.bias

    def forward(self, x: Tensor) -> Tensor:
        each = torch.tanh(self.latent(x)).unflatten(-1, (self.parts, -1))
        prior = F.log_softmax(self.prior(x).float(), dim=-1)
        return torch.logsumexp(
            F.log_softmax(self.output(each).float(), -1) + prior[..., None], dim=-2
        )


class Dropped(nn.Module):
    """Weights of which a share is zero in each step (Merity et al., 2018)."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, weight: Tensor) -> Tensor:
        return F.dropout(weight, self.share, self.training)


class Wrapped(nn.Module):
    """A recurrent layer whose output is normalised, or added to its input."""

    def __init__(self, layer: nn.Module, norm: nn.Module | None, *, skip: bool = False) -> None:
        super().__init__()
        self.layer, self.norm, self.skip = layer, norm, skip

    def forward(self, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        made, new = self.layer(x, state)
        if self.norm is not None:
            made = self.norm(made)
        return (x + made if self.skip else made), new


def blocks(model: Any) -> Iterator[Any]:
    return iter(model.model.layers)


def random_projections(model: Any) -> None:
    for block in blocks(model):
        for layer in (block.self_attn.o_proj, block.mlp.down_proj):
            std = (2 * len(model.model.layers) * layer.in_features) ** -0.5
            nn.init.normal_(layer.weight, std=std)


def unnormalised(model: Any) -> None:
    for block in blocks(model):
        block.self_attn.q_norm = block.self_attn.k_norm = nn.Identity()


def squared_relu(model: Any) -> None:
    for block in blocks(model):
        gate = block.mlp.gate_proj
        block.mlp = SquaredReLU(gate.in_features, gate.out_features * 3 // 2)


def learned_scales(model: Any) -> None:
    for block in blocks(model):
        block.self_attn.o_proj = Scaled(block.self_attn.o_proj)
        block.mlp.down_proj = Scaled(block.mlp.down_proj)


def value_residuals(model: Any) -> None:
    """Each layer's values mixed with those of the first (Zhou et al., 2024)."""

    def forward(
        self: Any, x: Tensor, rotation: tuple[Tensor, Tensor], old: Any, new: Any, layer: int
    ) -> Tensor:
        weight = torch.cat((self.q_proj.weight, self.k_proj.weight, self.v_proj.weight))
        heads = F.linear(x, weight).unflatten(-1, (3 * self.heads, self.head_size))
        q, k, v = heads.transpose(1, 2).chunk(3, dim=1)
        q, k = rotate(self.q_norm(q), *rotation), rotate(self.k_norm(k), *rotation)
        first = v if layer == 0 else new["values.0"][..., -v.shape[-2] :, :]
        v = (1 - self.share.to(v.dtype)) * v + self.share.to(v.dtype) * first
        k, v = extend(old, layer, k, v)
        new[f"keys.{layer}"], new[f"values.{layer}"] = k, v
        return self.o_proj(attend(q, k, v))

    for block in blocks(model):
        block.self_attn.share = nn.Parameter(torch.tensor([0.5]))
        block.self_attn.forward = MethodType(forward, block.self_attn)


def stochastic_depth(model: Any) -> None:
    """Halves of blocks left out of a step, a tenth of the time (Huang et al., 2016)."""

    def sometimes(module: nn.Module, _: Any, made: Tensor) -> Tensor:
        if not module.training:
            return made
        return made * float(torch.rand(()) >= 0.1) / 0.9

    for block in blocks(model):
        block.self_attn.register_forward_hook(sometimes)
        block.mlp.register_forward_hook(sometimes)


def capped(model: Any) -> None:
    """Logits kept within ±15 by a tanh (Gemma 2, 2024)."""
    output = model.lm_head if hasattr(model, "lm_head") else model.output
    output.register_forward_hook(lambda _, x, logits: 15 * torch.tanh(logits.float() / 15))


def each_layer(change: Callable[[nn.LSTM], nn.Module]) -> Callable[[Any], None]:
    def made(model: Any) -> None:
        for number, layer in enumerate(model.layers):
            model.layers[number] = change(layer)

    return made


def dropped(share: float) -> Callable[[Any], None]:
    def made(model: Any) -> None:
        for layer in model.layers:
            parametrize.register_parametrization(layer, "weight_hh_l0", Dropped(share))

    return made


def mixture(model: Any) -> None:
    """Its new matrices are AdamW's: Muon takes those of the layers."""
    model.output = Mixture(model.output, 3)


class Distilled(nn.Module):
    """Half of the loss is against what a teacher, the same model trained before, thought likely
    (Furlanello et al., "Born-again neural networks", 2018)."""

    def __init__(self, model: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        self.model, self.teacher = model, teacher.eval()
        self.before: Any = None

    def forward(
        self, inputs: Tensor, targets: Tensor, all_count: bool, state: Any, key: Any
    ) -> tuple[Tensor, Any]:
        logits, after = self.model(inputs, state)
        with torch.no_grad():
            taught, self.before = self.teacher(inputs, self.before if state else None)
        likely = F.softmax(taught.flatten(0, 1).float(), -1)
        logits = logits.flatten(0, 1).float()
        return (F.cross_entropy(logits, targets) + F.cross_entropy(logits, likely)) / 2, after


normed = each_layer(lambda layer: Wrapped(layer, nn.LayerNorm(layer.hidden_size)))
skipping = each_layer(
    lambda layer: Wrapped(layer, None, skip=layer.input_size == layer.hidden_size)
)


@dataclass(frozen=True)
class Lever:
    """A change to the recipe."""

    family: str
    short: bool = False
    change: Callable[[Any], None] = lambda model: None
    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    beginning: tuple[int, int] = (1, 1)
    """What block and batch are divided by for the first quarter of the tokens."""
    taught: bool = False
    """By the same model, trained before."""


def both(name: str, change: Callable[[Any], None]) -> dict[str, Lever]:
    return {f"{family}, {name}": Lever(family, change=change) for family in ("gpt", "lstm")}


def settings(name: str, short: bool, **training: Any) -> dict[str, Lever]:
    begin = "short " if short else ""
    return {
        f"{begin}{family}, {name}": Lever(family, short, training=training)
        for family in ("gpt", "lstm")
    }


def families(name: str, **how: Any) -> dict[str, Lever]:
    return {name.format(family): Lever(family, **how) for family in ("gpt", "lstm")}


LEVERS: dict[str, Lever] = {
    **settings("as it is", False),
    "gpt, projections not zero at first": Lever("gpt", change=random_projections),
    "gpt, queries and keys not normalised": Lever("gpt", change=unnormalised),
    "gpt, squared ReLU": Lever("gpt", change=squared_relu),
    "gpt, learned scales": Lever("gpt", change=learned_scales),
    "gpt, value residuals": Lever("gpt", change=value_residuals),
    **both("logits capped at 15", capped),
    "lstm, layer norm": Lever("lstm", change=normed),
    "lstm, a way past the second layer": Lever("lstm", change=skipping),
    "lstm, mixture of three softmaxes": Lever("lstm", change=mixture),
    **settings("averaged by 0.99", False, ema_decay=0.99),
    **settings("no warm-up", False, warmup=0.0),
    **families("{}, half the batch for a quarter", beginning=(1, 2)),
    **families("{}, half the block for a quarter", beginning=(2, 1)),
    **settings("as it is", True),
    **families("short {}, taught by itself", short=True, taught=True),
    **settings("weight decay 0.3", True, weight_decay=0.3),
    **settings("averaged by 0.99", True, ema_decay=0.99),
    "short gpt, stochastic depth 0.1": Lever("gpt", True, stochastic_depth),
    "short gpt, dropout 0.2": Lever("gpt", True, model={"dropout": 0.2}),
    "short lstm, three tenths of the weights dropped": Lever("lstm", True, dropped(0.3)),
    "short lstm, weights dropped, dropout 0.2": Lever(
        "lstm", True, dropped(0.3), model={"dropout": 0.2}
    ),
    "short lstm, layer norm": Lever("lstm", True, normed),
}


def tried(lever: Lever, seed: int) -> tuple[int, int, float, float]:
    """Parameters, steps, validation loss and CPU seconds of a lever."""
    kind = (lever.family, lever.short)
    train, validation = split_text("shakespeare")
    if lever.short:
        train = train[:SHORT]
    types = sorted(set(train + validation))
    number = {character: i for i, character in enumerate(types)}
    tokens, held_out = (
        np.array([number[c] for c in text], np.uint16) for text in (train, validation)
    )
    chosen = {"dropout": DROPOUT.get(kind, 0.0), **lever.model}
    config = model_settings(lever.family, "nano", len(types), chosen)
    recipe = {**preset(lever.family, "nano").training, **lever.training, "seed": seed}

    def changed(*arguments: Any) -> Any:
        model = build(*arguments)
        torch.manual_seed(seed)  # of the weights that a change draws, and of what it drops later
        lever.change(model)
        return model

    whole = TrainingSettings(**recipe)
    of_block, of_batch = lever.beginning
    less = of_block * of_batch
    early = STEPS[kind] * less // 4 if less > 1 else 0
    steps = early + STEPS[kind] * 3 // 4 if early else STEPS[kind]
    begin = time.process_time()
    with patch("textwright.training.loop.learner.build", changed):
        learner = Learner(config, whole, tokens, [(0, steps)])
        if lever.taught:
            teacher = Learner(
                config, whole.model_copy(update={"seed": seed + 1}), tokens, [(0, steps)]
            )
            for step in range(steps):
                teacher.step(step)
            learner._objective = Distilled(learner.model, teacher.model)
    batches = learner.batches
    for step in range(steps):
        if early and step == 0:
            block, batch = config.block_size // of_block, whole.batch_size // of_batch
            learner.settings = whole.model_copy(update={"batch_size": batch})
            learner.batches = type(batches)(tokens, block, batch, seed)
        elif early and step == early:
            learner.settings, learner.batches, learner.state = whole, batches, None
        learner.step(step)
    seconds = time.process_time() - begin
    parameters = sum(parameter.numel() for parameter in learner.model.parameters())
    return parameters, steps, evaluate(learner.evaluated_model, held_out).loss, seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--only", default="", help="levers whose name has this in it")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'':44} {'params':>9} {'steps':>5}  loss by seed, CPU seconds")
    for name, lever in LEVERS.items():
        if arguments.only in name:
            print(f"{name:44}", end="", flush=True)
            for index, seed in enumerate(arguments.seeds):
                parameters, steps, loss, seconds = tried(lever, seed)
                if not index:
                    print(f" {parameters:9,} {steps:5}", end="")
                print(f"  {loss:.4f} in {seconds:.1f} s", end="", flush=True)
            print()


if __name__ == "__main__":
    main()
