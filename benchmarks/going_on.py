"""A training gone on with beyond its plan, beside one that was planned so long from the start.

    TEXTWRIGHT_CORPORA=DIR python benchmarks/going_on.py [--corpus NAME] [--families lstm gpt]
        [--epochs 2 6] [--seeds 1 2 3] [--ways rejoin 1 0.5 …]

`nano` of each family, on one thread. The first leg ends at the first number of epochs with its
rates at zero, and each way goes on from there to the second, from weights, optimiser and carried
state: `rejoin` by the rates that the longer training would have at that step, after a short rise
(`lr_multiplier`); a number by a rise to so much of the full height and a linear fall to zero over
the whole leg. `planned` is the longer training. Validation losses are nats a token of the whole
text; the table goes to standard output.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from textwright.training.loop import learner as learner_module
from textwright.training.loop.dataset import prepare
from textwright.training.loop.evaluation import evaluate
from textwright.training.loop.learner import Learner
from textwright.training.optim.optimizer import Course, lr_multiplier
from textwright.training.planning.planner import counted_plan, size_options
from textwright.training.planning.request import make_request


def fall(height: float, begin: int, steps: int, step: int) -> float:
    """A short rise to `height`, and a linear fall to zero at `steps`."""
    rise = max(1, math.ceil(0.02 * (steps - begin)))
    return min(height * (step - begin + 1) / rise, height * (steps - step) / (steps - begin - rise))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--corpus", default="frankenstein")
    parser.add_argument("--families", nargs="+", default=["lstm", "gpt"])
    parser.add_argument("--epochs", nargs=2, type=float, default=[2, 6])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--ways", nargs="+", default=["rejoin"])
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for family in asked.families:
        for seed in asked.seeds:
            one(family, seed, asked)


def one(family: str, seed: int, asked: argparse.Namespace) -> None:
    """All ways of one family and seed."""
    request = make_request(
        asked.corpus, model=family, size="nano", epochs=asked.epochs[1],
        changes=[f"training.seed={seed}", "training.threads=1"],
    )  # fmt: skip
    dataset = prepare(request.sources, request.settings())
    train, validation = dataset.train.array(), dataset.validation.array()
    (option,) = size_options(request, dataset.tokenizer.vocab_size, len(train))
    option, plan = counted_plan(option, train, validation)
    end = plan.steps
    begin = math.ceil(asked.epochs[0] * len(train) / plan.tokens_per_step)
    settings = option.training

    def leg(
        first: int, last: int, rate: Callable[[int], float], tensors: dict[str, Tensor] | None
    ) -> tuple[float, dict[str, Tensor]]:
        learner_module.lr_multiplier = lambda step, *_: rate(step)
        learner = Learner(option.model, settings, train, [(0, last)])
        if tensors is not None:
            learner.load(tensors)
        for step in range(first, last):
            learner.step(step)
        return evaluate(learner.evaluated_model, validation).loss, learner.tensors()

    def rates(course: Course) -> Callable[[int], float]:
        return lambda step: lr_multiplier(step, settings, course)

    planned, _ = leg(0, end, rates([(0, end)]), None)
    before, tensors = leg(0, begin, rates([(0, begin)]), None)
    print(f"{family} {seed} planned for {end} steps: {planned:.4f}, for {begin}: {before:.4f}")
    for way in asked.ways:
        rate = rates([(0, begin), (begin, end)])
        if way != "rejoin":
            rate = partial(fall, float(way), begin, end)
        loss, _ = leg(begin, end, rate, tensors)
        print(f"{family} {seed} {way:8} {loss:.4f}  {loss - planned:+.4f}", flush=True)


if __name__ == "__main__":
    main()
