"""A step of Muon: torch's own, and ours of blocks and of whole matrices.

    python benchmarks/muon.py [--sizes nano micro] [--rounds 5]

The hidden matrices of `gpt` and `lstm` with random gradients, one thread: milliseconds of CPU time
a step of `torch.optim.Muon`, which computes in bfloat16, and of `training.optim.muon.Muon`, in
turn, medians of the rounds. `TEXTWRIGHT_KERNELS=off` has it done by torch.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from statistics import median

import torch

from textwright.models import build
from textwright.training.optim.muon import Muon
from textwright.training.planning.presets import model_settings

RATE = 0.02
STEPS = 10
"""A turn."""


def step_ms(step: Callable[[], object]) -> float:
    """CPU milliseconds of a step."""
    began = time.process_time()
    for _ in range(STEPS):
        step()
    return (time.process_time() - began) / STEPS * 1e3


def compare(family: str, size: str, rounds: int) -> None:
    """Print the line of one model."""
    model = build(model_settings(family, size, 65), 1)
    views = [view for m in model.matrices() for view in m.of(m.parameter.detach())]
    mine, whole, other = ([view.clone() for view in views] for _ in range(3))
    for matrix in (*mine, *whole, *other):
        matrix.grad = torch.randn_like(matrix)
    steps = [
        torch.optim.Muon(other, lr=RATE).step,
        partial(Muon(mine, weight_decay=0.1, momentum=0.95).step, RATE),
        partial(Muon(whole, weight_decay=0.1, momentum=0.95, rows=0).step, RATE),
    ]
    for step in steps:
        step()
    turns = [[step_ms(step) for step in steps] for _ in range(rounds)]
    torchs, blocks, wholes = (median(turn[place] for turn in turns) for place in range(3))
    told = f"{family} {size}: {len(views)} matrices, torch's {torchs:.1f} ms"
    print(f"{told}, in blocks {blocks:.1f}, whole {wholes:.1f}")


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
