"""What could be trained, and how fast this machine trains it.

The plan asks here before it decides; nothing that is measured teaches a model that is kept.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import torch

from textwright.configs import ModelConfig, TrainingSettings
from textwright.data import Tokens
from textwright.models.device import choose_device
from textwright.training.loop import distributed
from textwright.training.loop.learner import Learner
from textwright.training.loop.loss import evaluate
from textwright.training.planning.presets import dropout_for

_MEASURED_TOKENS = 8192
"""Tokens read to time an evaluation."""
_WORTH_MORE_THREADS = 1.15
"""How many times faster all threads must be than one."""
_CHECKPOINT_SECONDS = 3e-8
"""A parameter: 16 bytes to write and flush."""


@dataclass(frozen=True)
class Candidate:
    """A size that could be trained: its config and its recipe."""

    size: str | None
    config: ModelConfig
    settings: TrainingSettings
    chooses_dropout: bool = False
    """Whether the plan sets the dropout, by how often it reads the text."""

    @property
    def tokens_per_step(self) -> int:
        return self.settings.batch_size * self.config.block_size

    def with_dropout_for(self, tokens: int, epochs: float) -> Candidate:
        """Itself with the dropout for a text read so often, where that is its to choose."""
        if not self.chooses_dropout:
            return self
        dropout = dropout_for(self.config, tokens, epochs)
        return replace(self, config=self.config.model_copy(update={"dropout": dropout}))


@dataclass(frozen=True)
class Speed:
    """What was measured on this machine."""

    step_seconds: float
    evaluation_seconds: float
    """Of one evaluation of the whole validation text, with its sample and checkpoint."""
    fixed_seconds: float
    """The part of it that doesn't shrink with the validation text."""

    def look_seconds(self, eval_tokens: int, tokens: int) -> float:
        """Of an evaluation that reads `eval_tokens` (0: all) of a text of `tokens`."""
        share = min(1.0, eval_tokens / tokens) if eval_tokens else 1.0
        return self.fixed_seconds + share * (self.evaluation_seconds - self.fixed_seconds)


def measure(
    candidate: Candidate, train: Tokens, validation: Tokens, seconds: float, *, looks: bool = True
) -> Speed:
    """Time some steps for about `seconds`, and with `looks` an evaluation; learns nothing.

    Several workers take the steps together; the first one's clock counts.
    """
    distributed.tell_measuring(candidate.config, candidate.settings)
    learner = Learner(candidate.config, candidate.settings, train, steps=10_000)
    synchronise = torch.cuda.synchronize if learner.device.type == "cuda" else _nothing

    def one_step(number: int) -> float:
        begin = time.perf_counter()
        distributed.told(number)
        learner.step(number).item()
        synchronise()
        return time.perf_counter() - begin

    one_step(0)  # the first allocates, chooses kernels, compiles
    one_step(1)
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or (time.perf_counter() < end and len(times) < 1000):
        times.append(one_step(2 + len(times)))
    distributed.told(None)  # it was the last
    # The mean without the slowest few: a stall elsewhere says nothing about the steps to come.
    kept = sorted(times)[: math.ceil(0.9 * len(times))]
    step_seconds = sum(kept) / len(kept)
    if not looks:
        return Speed(step_seconds, 0.0, 0.0)
    part = validation[: max(_MEASURED_TOKENS, candidate.config.block_size) + 1]
    begin = time.perf_counter()
    evaluate(learner.model, part)
    each = (time.perf_counter() - begin) / max(1, len(part) - 1)
    fixed = _sample_seconds(candidate) + _CHECKPOINT_SECONDS * candidate.config.parameter_count()
    return Speed(step_seconds, fixed + each * len(validation), fixed)


def _sample_seconds(candidate: Candidate) -> float:
    """Of writing one sample, by the speed of the runtime on one thread of a server of 2024."""
    a_token = 5e-5 + 2.5e-10 * candidate.config.parameter_count()
    return 0.05 + candidate.settings.sample_tokens * a_token


def _nothing() -> None:
    """The CPU has nothing to wait for."""


def choose_threads(candidate: Candidate, train: Tokens, validation: Tokens, budget: float) -> None:
    """Take one processor thread where all of them are hardly faster.

    Small products gain little from a second thread, and on a machine that does other work too,
    threads that wait for each other can be many times slower than one.
    """
    threads = torch.get_num_threads()
    on_cpu = choose_device(candidate.settings.device, candidate.config.family).type == "cpu"
    if threads == 1 or candidate.settings.threads or not on_cpu:
        return
    seconds = {}
    for count in (threads, 1):
        torch.set_num_threads(count)
        seconds_each = min(3.0, 0.005 * budget)
        speed = measure(candidate, train, validation, seconds_each, looks=False)
        seconds[count] = speed.step_seconds
    if seconds[threads] * _WORTH_MORE_THREADS < seconds[1]:
        torch.set_num_threads(threads)
