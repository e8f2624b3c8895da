"""What a second core gives a training step, alone and beside a process that is busy.

    python benchmarks/cores.py [--families lstm gpt transformer] [--sizes nano micro] [--steps 12]

Milliseconds of the clock, medians, on one thread and on as many as there are shards (`auto` shards,
at most two threads), in turn; then the same beside one process that never waits. Tokens are drawn
at random, which takes as long as any. The ratio wants a machine that does nothing else: the load
stands beside it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from statistics import median

import numpy as np
import torch

from textwright.configs import TrainingSettings
from textwright.training.loop.learner import Learner
from textwright.training.planning.presets import model_settings, preset

VOCABULARY = 65
TURNS = 4


def milliseconds(learner: Learner, steps: int) -> dict[int, float]:
    """Of a step by the clock, by the number of threads."""
    times: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(TURNS):
        for threads, taken in times.items():
            learner.use_threads(threads)
            learner.step(0)  # the first on other threads is slower
            for number in range(1, steps // TURNS + 1):
                begin = time.perf_counter()
                learner.step(number)
                taken.append(1000 * (time.perf_counter() - begin))
    return {threads: median(taken) for threads, taken in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--families", nargs="+", default=["lstm", "gpt", "transformer"])
    parser.add_argument("--sizes", nargs="+", default=["nano", "micro"])
    parser.add_argument("--steps", type=int, default=12, help="of each, on each number of threads")
    arguments = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; {torch.__version__}")
    print(f"{'':18}{'precision':>10}{'shards':>8}   one, two threads, ratio; beside a busy process")
    tokens = np.random.default_rng(1).integers(VOCABULARY, size=300_000, dtype=np.uint16)
    for size in arguments.sizes:
        for family in arguments.families:
            config = model_settings(family, size, VOCABULARY, {})
            settings = TrainingSettings(**preset(family, size).training)
            learner = Learner(config, settings, tokens, [(0, 10_000)])
            precision = str(learner.precision).removeprefix("torch.")
            print(f"{family + ' ' + size:18}{precision:>10}{len(learner.shards):8}", end="   ")
            quiet = milliseconds(learner, arguments.steps)
            with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
                beside = milliseconds(learner, arguments.steps)
                other.kill()
            for one, two in ((found[1], found[2]) for found in (quiet, beside)):
                print(f"{one:7.1f} {two:7.1f} {one / two:5.2f}", end="  ")
            print(flush=True)


if __name__ == "__main__":
    main()
