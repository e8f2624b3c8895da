"""How fast this machine trains what could be trained.

The planner asks here before it decides; nothing that is measured teaches a model that is kept.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from textwright.data.tokens import Tokens
from textwright.training.loop import distributed
from textwright.training.loop.evaluation import evaluate
from textwright.training.loop.learner import Learner
from textwright.training.planning.presets import SizeOption

_MEASURED_TOKENS = 8192
"""Tokens read to time an evaluation."""
_WORTH_MORE_THREADS = 1.15
"""Least speed-up at which torch's own threads are taken, where the batch is one shard: they gain
small products little, and on a busy machine threads that wait for each other can be many times
slower than one."""
_ROUNDS = 2
"""In which thread counts are timed in turn, so that other load slows down all of them."""
_CHECKPOINT_SECONDS = 3e-8
"""A parameter: 16 bytes to write and flush."""


@dataclass(frozen=True)
class Timing:
    """Seconds measured on this machine."""

    step_seconds: float
    evaluation_seconds: float
    """Of one evaluation of the whole validation text, with its sample and checkpoint."""
    fixed_seconds: float
    """The part of it that doesn't depend on the length of the text: sample and checkpoint."""
    threads: int = 1
    """The chosen number."""

    def seconds_for(self, eval_tokens: int, tokens: int) -> float:
        """Seconds of an evaluation that reads `eval_tokens` (0: all) of a text of `tokens`."""
        share = min(1.0, eval_tokens / tokens) if eval_tokens else 1.0
        return self.fixed_seconds + share * (self.evaluation_seconds - self.fixed_seconds)


def measure(
    option: SizeOption,
    train: Tokens,
    validation: Tokens,
    seconds: float,
    *,
    threads: Sequence[int] = (),
    with_evaluation: bool = True,
) -> Timing:
    """Time some steps for about `seconds`, and an evaluation; the weights are discarded.

    Several workers take the steps together; the clock of rank 0 counts.

    Args:
        threads: numbers to choose from, the largest first.
    """
    before = torch.get_num_threads()
    distributed.broadcast_benchmark(option.model, option.training)
    learner = Learner(option.model, option.training, train, [(0, 10_000)])
    counts = tuple(threads) or (option.training.threads or before,)
    times: dict[int, list[float]] = {count: [] for count in counts}
    step = 0
    for part in range(_ROUNDS):
        for count in counts:
            learner.use_threads(count)
            if part == 0:  # the first allocates, chooses kernels, compiles
                _time_step(learner, step)
                step += 1
            end = time.perf_counter() + seconds / _ROUNDS / len(counts)
            while not times[count] or time.perf_counter() < end:
                times[count].append(_time_step(learner, step))
                step += 1
    distributed.broadcast(None)  # it was the last
    means = {count: _trimmed_mean(taken) for count, taken in times.items()}
    most, least = counts[0], counts[-1]
    worth = _WORTH_MORE_THREADS if option.training.shards == 1 else 1.0
    chosen = most if means[most] * worth < means[least] else least
    learner.use_threads(chosen)
    each = _evaluation_seconds(learner, validation) if with_evaluation else 0.0
    torch.set_num_threads(before)
    if not with_evaluation:
        return Timing(means[chosen], 0.0, 0.0, chosen)
    fixed = _sample_seconds(option) + _CHECKPOINT_SECONDS * option.model.parameter_count()
    return Timing(means[chosen], fixed + each * len(validation), fixed, chosen)


def _evaluation_seconds(learner: Learner, validation: Tokens) -> float:
    """Seconds a token of `validation`."""
    part_read = validation[: max(_MEASURED_TOKENS, learner.model.config.block_size) + 1]
    begin = time.perf_counter()
    evaluate(learner.model, part_read)
    return (time.perf_counter() - begin) / max(1, len(part_read) - 1)


def _time_step(learner: Learner, number: int) -> float:
    """Seconds of one optimiser step, together with all workers."""
    begin = time.perf_counter()
    distributed.broadcast(number)
    learner.step(number).item()
    if learner.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - begin


def _trimmed_mean(times: Sequence[float]) -> float:
    """The mean without the slowest tenth, which are stalls by other load."""
    counted = sorted(times)[: math.ceil(0.9 * len(times))]
    return sum(counted) / len(counted)


def _sample_seconds(option: SizeOption) -> float:
    """Of writing one sample, by the speed of the runtime on one thread of a server of 2024."""
    a_token = 5e-5 + 2.5e-10 * option.model.parameter_count()
    return 0.05 + option.training.sample_tokens * a_token
