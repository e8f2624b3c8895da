"""A step of Muon, of all matrices of a shape at once and of one after the other.

    python benchmarks/muon.py [--sizes nano micro] [--rounds 5]

The hidden matrices of `gpt` and `lstm` with random gradients, one thread: milliseconds of CPU time
a step of `torch.optim.Muon` and of `textwright.training.muon.Muon`, in turn, medians of the rounds.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import torch

from textwright.models import build
from textwright.training.muon import Muon
from textwright.training.presets import model_settings

STEPS = 10
"""A turn."""


def step_ms(optimizer: torch.optim.Optimizer) -> float:
    """CPU milliseconds of a step."""
    began = time.process_time()
    for _ in range(STEPS):
        optimizer.step()
    return (time.process_time() - began) / STEPS * 1e3


def compare(family: str, size: str, rounds: int) -> None:
    """Print the line of one model."""
    model = build(model_settings(family, size, 65), 1)
    views = [view for m in model.matrices() for view in m.of(m.parameter.detach())]
    optimizers = []
    for kind in (torch.optim.Muon, Muon):
        own = [view.clone() for view in views]
        for matrix in own:
            matrix.grad = torch.randn_like(matrix)
        optimizers.append(kind(own, lr=0.02))
    for optimizer in optimizers:
        optimizer.step()
    turns = [[step_ms(optimizer) for optimizer in optimizers] for _ in range(rounds)]
    one, together = (median(turn[place] for turn in turns) for place in (0, 1))
    ratio = median(turn[1] / turn[0] for turn in turns)
    told = f"{family} {size}: {len(views)} matrices, {one:.1f} ms"
    print(f"{told}, at once {together:.1f} ({ratio:.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--sizes", nargs="+", default=["nano", "micro"])
    parser.add_argument("--rounds", type=int, default=5)
    choice = parser.parse_args()
    torch.set_num_threads(1)
    for family in ("gpt", "lstm"):
        for size in choice.sizes:
            compare(family, size, choice.rounds)


if __name__ == "__main__":
    main()
