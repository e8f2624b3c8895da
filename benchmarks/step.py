"""Where a training step goes, with the kernels of training and without, in turn, on one thread.

    python benchmarks/step.py [--families gpt transformer lstm] [--size nano] [--steps 25]
    ONEDNN_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 \\
        TEXTWRIGHT_KERNELS=avx2 python benchmarks/step.py

Milliseconds of the thread's CPU time, the lower quartile: forwards and backwards, clipping, AdamW,
Muon; and of the kernels between products, each by name, so many calls a step. Tokens are drawn at
random, which takes as long as any. Of recurrent models the kernels do Muon alone.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from textwright.configs import TrainingSettings
from textwright.kernels import VARIABLE, kernels
from textwright.models import fused
from textwright.training.loop.learner import Learner
from textwright.training.planning.presets import model_settings, preset

Times = dict[str, list[float]]
VOCABULARY = 65


def timed(function: Callable[..., Any], times: Times, name: str = "") -> Callable[..., Any]:
    """`function`, whose CPU time goes to `times`, by its first argument where there is no name."""

    def call(*arguments: Any, **named: Any) -> Any:
        began = time.thread_time()
        result = function(*arguments, **named)
        times[name or arguments[0]].append(time.thread_time() - began)
        return result

    return call


def quartile(seconds: list[float]) -> float:
    """In milliseconds."""
    return sorted(seconds)[len(seconds) // 4] * 1e3


def measure(family: str, size: str, steps: int, dropout: float) -> None:
    """Print the rows of a family."""
    config = model_settings(family, size, VOCABULARY, {"dropout": dropout})
    recipe = {**preset(family, size).training, "threads": 1, "shards": 1}
    tokens = np.random.default_rng(1).integers(0, VOCABULARY, 1 << 20).astype(np.uint16)
    learner = Learner(config, TrainingSettings(**recipe), tokens, [(0, 10_000)])
    chosen, own = os.environ.get(VARIABLE, "auto"), kernels().name
    ways = {"torch": "off", own: chosen}
    found: dict[str, Times] = {way: defaultdict(list) for way in ways}
    call, clip, backward = fused._call, nn.utils.clip_grad_norm_, learner._backward
    parts = {type(one).__name__: (one, one.tasks) for one in learner.optimizers.all}
    for step in range(steps + 3):
        for way, setting in ways.items():
            os.environ[VARIABLE] = setting
            times: Times = found[way] if step >= 3 else defaultdict(list)
            learner._backward = timed(backward, times, "forwards and backwards")  # type: ignore[method-assign]
            nn.utils.clip_grad_norm_ = timed(clip, times, "clipping")
            fused._call = timed(call, times)
            for name, (one, tasks) in parts.items():
                one.tasks = whole(tasks, times, name)  # type: ignore[method-assign]
            timed(learner.step, times, "a step")(step)
    fused._call, nn.utils.clip_grad_norm_ = call, clip
    os.environ[VARIABLE] = chosen
    for way, times in found.items():
        print(f"{family} {size}, {learner.precision}, {way}:")
        for name, seconds in times.items():
            often = len(seconds) // steps
            many = f" ({often} calls)" if often > 1 else ""
            print(f"    {name:28} {often * quartile(seconds):7.2f}{many}")


def whole(tasks: Callable[[float], list[Any]], times: Times, name: str) -> Callable[..., list[Any]]:
    """All tasks of an optimiser as one, timed."""

    def one(rate: float) -> list[Any]:
        return [timed(lambda: [task() for task in tasks(rate)], times, name)]

    return one


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    families = ["gpt", "transformer", "lstm"]
    parser.add_argument("--families", nargs="+", choices=families, default=families)
    parser.add_argument("--size", default="nano")
    parser.add_argument("--steps", type=int, default=25)
    parser.add_argument("--dropout", type=float, default=0.0)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    for family in chosen.families:
        measure(family, chosen.size, chosen.steps, chosen.dropout)


if __name__ == "__main__":
    main()
