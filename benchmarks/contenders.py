"""Whose training steps `benchmarks/throughput.py` times, each built and run in its own process."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from textwright.training.planning.presets import SIZES

OURS_ADAMW, OURS_RECIPE = "textwright, AdamW", "textwright, recipe"
PEERS = {"gpt": "nanoGPT, AdamW", "lstm": "torch.nn.LSTM, AdamW"}

WARM_UP = 2
"""Steps before any are timed: the first allocate."""

Step = Callable[[int], object]


@dataclass(frozen=True)
class Contender:
    """What one process trains."""

    who: str
    family: str
    size: str
    tokens: np.ndarray
    vocab_size: int
    nanogpt: Path
    """A copy of it."""
    threads: int

    @property
    def model(self) -> dict[str, Any]:
        return SIZES[self.family][self.size].model

    @property
    def batch(self) -> int:
        return int(SIZES[self.family][self.size].training["batch_size"])

    @property
    def tokens_per_step(self) -> int:
        return self.batch * int(self.model["block_size"])


def compete(pipe: Connection, contender: Contender) -> None:
    """Build, warm up, say so; then work whenever asked, until asked to stop.

    Sends the number of parameters first, then the tokens a second of each turn; or a string, which
    says what went wrong.
    """
    try:
        import torch

        torch.set_num_threads(contender.threads)
        torch.manual_seed(1)
        build = {OURS_ADAMW: ours, OURS_RECIPE: ours, PEERS["gpt"]: nanogpt, PEERS["lstm"]: lstm}
        parameters, step = build[contender.who](contender)
        for number in range(WARM_UP):
            step(number)
        pipe.send(parameters)
        number = WARM_UP
        while seconds := pipe.recv():
            first, began = number, time.process_time()
            while number == first or time.process_time() - began < seconds:
                step(number)
                number += 1
            taken = time.process_time() - began
            pipe.send((number - first) * contender.tokens_per_step / taken)
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")


def ours(contender: Contender) -> tuple[int, Step]:
    from textwright.configs import TrainingSettings
    from textwright.training.loop.learner import Learner
    from textwright.training.planning.presets import model_settings

    recipe = {**SIZES[contender.family][contender.size].training, "device": "cpu"}
    if contender.who == OURS_ADAMW:
        recipe["optimizer"] = "adamw"
    config = model_settings(contender.family, contender.size, contender.vocab_size)
    learner = Learner(config, TrainingSettings(**recipe), contender.tokens, [(0, 10_000)])
    return config.parameter_count(), learner.step


def nanogpt(contender: Contender) -> tuple[int, Step]:
    sys.path.insert(0, str(contender.nanogpt))
    from model import GPT, GPTConfig

    shape = contender.model
    with contextlib.redirect_stdout(io.StringIO()):  # it tells what it is made of
        model = GPT(
            GPTConfig(
                block_size=shape["block_size"],
                vocab_size=contender.vocab_size,
                n_layer=shape["num_layers"],
                n_head=shape["num_heads"],
                n_embd=shape["hidden_size"],
                dropout=0.0,
                bias=False,
            )
        )
        optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
    return plain_loop(contender, model, optimizer, lambda x, y: model(x, y)[1])


def lstm(contender: Contender) -> tuple[int, Step]:
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn

    shape, width = contender.model, contender.model["hidden_size"]
    embedding = nn.Embedding(contender.vocab_size, shape["embedding_size"])
    layers = nn.LSTM(shape["embedding_size"], width, shape["num_layers"], batch_first=True)
    output = nn.Linear(width, contender.vocab_size)
    model = nn.ModuleList((embedding, layers, output))

    def loss(x: Tensor, y: Tensor) -> Tensor:
        logits = output(layers(embedding(x))[0])
        return F.cross_entropy(logits.flatten(0, 1), y.flatten())

    return plain_loop(contender, model, torch.optim.AdamW(model.parameters(), 1e-3), loss)


def plain_loop(contender: Contender, model: Any, optimizer: Any, loss: Any) -> tuple[int, Step]:
    """A step as one writes it: random windows, no schedule."""
    import torch

    tokens = torch.from_numpy(contender.tokens.astype(np.int64))
    block = contender.model["block_size"]

    def step(number: int) -> None:
        starts = torch.randint(len(tokens) - block, (contender.batch,)).tolist()
        x = torch.stack([tokens[start : start + block] for start in starts])
        y = torch.stack([tokens[start + 1 : start + 1 + block] for start in starts])
        loss(x, y).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return sum(parameter.numel() for parameter in model.parameters()), step
