"""From a request and a text to a plan: how large, how many steps, how often to evaluate.

With `--steps` or `--epochs` the plan is arithmetic. With `--minutes` it measures this machine:
a few steps of the smallest size tell which size can read enough text in the time, a few steps of
that size and an evaluation tell how many steps fit. So the schedule is complete when
the time is up, and the same plan, resumed or repeated, gives the same model.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import torch

from textwright import machine
from textwright.configs import ModelConfig, Settings, TrainingSettings
from textwright.data import Tokens
from textwright.data.provenance import absolute_source
from textwright.errors import RequestError
from textwright.models.device import choose_device, resolve_auto, use_threads
from textwright.training.loop.loss import protocol
from textwright.training.loop.plan import Plan
from textwright.training.planning.benchmark import Candidate, Speed, choose_threads, measure
from textwright.training.planning.prepare import Prepared
from textwright.training.planning.presets import SIZES, model_settings
from textwright.training.planning.request import Request

_LOOKING_SHARE = 0.04
"""Share of the time that evaluations, samples and checkpoints may take, at most."""
_MOST_EVALUATIONS, _FEWEST_EVALUATIONS = 20, 4
_MEASURED_SHARE, _MEASURED_AT_MOST = 0.02, 10.0
"""Share of the time, and seconds, that a measurement takes."""
_FEWEST_TOKENS = 4096
"""Tokens an evaluation reads at least, however short the time: fewer tell nothing."""
_AIM = 0.96
"""Share of the time to fill: machines get slower under a long load, seldom faster."""
_TOKENS_A_PARAMETER = 2.0
"""A size is chosen only where the time suffices to read this many tokens a parameter. By the times
of `nano` and `micro` in `docs/results.md`; a guess for the sizes above."""
_PARAMETERS_A_TOKEN = 12.0
"""A size is chosen only up to this many parameters a distinct training token: beyond, it learns
the text by heart sooner than its language."""
_MEASURING_SECONDS = 2.0
"""Spent on telling how long counted steps will take, where that is asked."""


def check_machine(asked: Request) -> None:
    """Name a device that isn't there before a large text is prepared; take the threads asked."""
    training = asked.settings(None).training
    choose_device(training.device)
    use_threads(training.threads)


def plan_for(
    asked: Request, prepared: Prepared, begin: float, *, measured: bool = False
) -> tuple[Candidate, Plan, Settings]:
    """Choose what isn't chosen; the settings are complete then."""
    train, validation = prepared.train.array(), prepared.validation.array()
    training = asked.settings(asked.size).training
    timed = training.steps is None and training.epochs is None
    candidates = _candidates(asked, prepared.tokenizer.vocab_size)
    if not timed:
        candidates = candidates[:1]  # nothing says how long it may take: the one soon done
    if timed:
        assert training.minutes is not None
        chosen, plan = timed_plan(candidates, train, validation, begin + 60 * training.minutes)
    else:
        seconds = _MEASURING_SECONDS if measured else 0.0
        chosen, plan = counted_plan(candidates[0], train, validation, measured_for=seconds)
    settings = asked.settings(chosen.size)
    settings.training = chosen.settings.model_copy(
        update={
            "steps": plan.steps,
            "eval_every": plan.eval_every,
            "checkpoint_every": plan.checkpoint_every,
            "eval_tokens": plan.eval_tokens,
            "threads": torch.get_num_threads(),
        }
    )
    if settings.corpus.validation is not None:
        settings.corpus.validation = absolute_source(settings.corpus.validation)
    return replace(chosen, settings=settings.training), plan, settings


def _candidates(asked: Request, vocab_size: int) -> list[Candidate]:
    """The sizes to choose from, the smallest first.

    Raises:
        RequestError: the model settings fit none of them.
    """
    candidates = []
    fault: RequestError | None = None
    for size in [asked.size] if asked.size else [*SIZES.get(asked.family, [None])]:
        try:
            config = model_settings(asked.family, size, vocab_size, asked.section("model"))
        except RequestError as error:  # e.g. widths for two layers, and this size has three
            fault = fault or error
            continue
        recipe = resolve_auto(asked.settings(size).training, config.family)
        needed, there = memory(config, recipe), machine.memory()
        if choose_device(recipe.device, config.family).type == "cpu" and there and needed > there:
            fault = fault or RequestError(
                f"training needs about {needed / 1e9:.0f} GB of memory and this machine has "
                f"{there / 1e9:.0f}; take a smaller --size, or --set training.micro_batch_size=1"
            )
            continue
        free = "model.dropout" not in asked.values
        candidates.append(Candidate(size, config, recipe, chooses_dropout=free))
    if not candidates and fault is not None:
        raise fault
    return candidates


def counted_plan(
    candidate: Candidate, train: Tokens, validation: Tokens, *, measured_for: float = 0.0
) -> tuple[Candidate, Plan]:
    """The plan for `settings.steps`, or else `settings.epochs`; exact.

    With `measured_for` seconds to measure in, it also tells the time that training will take.
    """
    settings = candidate.settings
    per_step = candidate.tokens_per_step
    if settings.steps is not None:
        steps = settings.steps
    else:
        assert settings.epochs is not None, "a plan needs steps, epochs or minutes"
        steps = max(1, math.ceil(settings.epochs * len(train) / per_step))
    evaluations = _MOST_EVALUATIONS // 2
    if settings.epochs is not None and _FEWEST_EVALUATIONS < settings.epochs <= _MOST_EVALUATIONS:
        evaluations = math.ceil(settings.epochs)  # one an epoch, as people expect
    every = max(1, math.ceil(steps / evaluations))
    candidate = candidate.with_dropout_for(len(train), steps * per_step / len(train))
    plan = _complete(candidate, train, validation, steps, every, 0)
    if not measured_for:
        return candidate, plan
    speed = measure(candidate, train, validation, measured_for)
    looks = 1 + math.ceil(plan.steps / plan.eval_every)
    seconds = plan.steps * speed.step_seconds
    seconds += looks * speed.look_seconds(plan.eval_tokens, len(validation))
    rate = per_step / speed.step_seconds
    return candidate, replace(plan, expected_seconds=seconds, tokens_per_second=rate)


def timed_plan(
    candidates: list[Candidate], train: Tokens, validation: Tokens, deadline: float
) -> tuple[Candidate, Plan]:
    """The plan for `settings.minutes`, measured on this machine.

    Args:
        candidates: sizes to choose from, the smallest first; one where the user chose.
        deadline: when training is to be over, on the clock of `time.monotonic`.
    """
    budget = max(1.0, deadline - time.monotonic())
    measuring = min(_MEASURED_AT_MOST, _MEASURED_SHARE * budget)
    chosen = candidates[0]
    if len(candidates) > 1:
        chosen = _choose_size(candidates, train, validation, budget)
    choose_threads(chosen, train, validation, budget)
    speed = measure(chosen, train, validation, measuring)
    epochs = budget / speed.step_seconds * chosen.tokens_per_step / len(train)
    chosen = chosen.with_dropout_for(len(train), epochs)
    if chosen.config.dropout and chosen.chooses_dropout:  # drawing the masks takes time too
        speed = measure(chosen, train, validation, measuring)
    left = max(1.0, deadline - time.monotonic()) * _AIM
    looks, eval_tokens = _choose_looks(chosen, validation, speed, left)
    look_seconds = speed.look_seconds(eval_tokens, len(validation))
    # One more look comes before the first step.
    if chosen.settings.eval_every is None:
        steps = (left - (looks + 1) * look_seconds) / speed.step_seconds
    else:  # how many looks there are depends on the steps
        a_step = speed.step_seconds + look_seconds / chosen.settings.eval_every
        steps = (left - look_seconds) / a_step
    steps = max(1, int(steps))
    every = max(1, math.ceil(steps / looks))
    plan = _complete(chosen, train, validation, steps, every, eval_tokens)
    looks = 1 + math.ceil(steps / plan.eval_every)
    return chosen, replace(
        plan,
        minutes=chosen.settings.minutes,
        expected_seconds=steps * speed.step_seconds + looks * look_seconds,
        tokens_per_second=chosen.tokens_per_step / speed.step_seconds,
    )


def _choose_looks(
    candidate: Candidate, validation: Tokens, speed: Speed, seconds: float
) -> tuple[int, int]:
    """How many evaluations fit into their share of the time, and the tokens each reads (0: all).

    Beside them there is the one before the first step. A validation text too large even for the
    fewest is read in part.
    """
    looks = int(_LOOKING_SHARE * seconds / speed.evaluation_seconds) - 1
    looks = min(_MOST_EVALUATIONS, max(_FEWEST_EVALUATIONS, looks))
    if candidate.settings.eval_tokens is not None:
        return looks, candidate.settings.eval_tokens
    most = _LOOKING_SHARE * seconds / (looks + 1)
    if speed.evaluation_seconds <= most or len(validation) <= _FEWEST_TOKENS:
        return looks, 0
    reading = max(speed.evaluation_seconds - speed.fixed_seconds, 1e-9)
    share = max(0.0, most - speed.fixed_seconds) / reading
    return looks, max(_FEWEST_TOKENS, int(share * len(validation)))


def _complete(
    candidate: Candidate,
    train: Tokens,
    validation: Tokens,
    steps: int,
    eval_every: int,
    eval_tokens: int,
) -> Plan:
    settings, config = candidate.settings, candidate.config
    per_step = candidate.tokens_per_step
    eval_every = settings.eval_every or eval_every
    if settings.eval_tokens is not None:
        eval_tokens = settings.eval_tokens
    return Plan(
        size=candidate.size,
        parameters=config.parameter_count(),
        steps=steps,
        tokens_per_step=per_step,
        epochs=steps * per_step / len(train),
        eval_every=eval_every,
        checkpoint_every=settings.checkpoint_every or eval_every,
        eval_tokens=eval_tokens,
        protocol=protocol(config, len(validation), limit=eval_tokens),
        memory_bytes=memory(config, settings),
    )


def memory(config: ModelConfig, settings: TrainingSettings) -> int:
    """A rough estimate of the bytes that training takes, beside the text and the libraries."""
    copies = 4 + (1 if settings.ema_decay else 0)  # weights, gradients, two of the optimiser
    tokens = (settings.micro_batch_size or settings.batch_size) * config.block_size
    # Activations kept for the backward pass: a few vectors a parameter matrix and token, which
    # is about the root of the parameters a layer; and the logits with their gradient.
    a_layer = math.sqrt(config.parameter_count() / config.num_layers)
    activations = tokens * (12 * config.num_layers * a_layer + 3 * config.vocab_size)
    return int(4 * (copies * config.parameter_count() + activations))


def _choose_size(
    candidates: list[Candidate], train: Tokens, validation: Tokens, budget: float
) -> Candidate:
    """The largest size that the time and the text suffice for, by the speed of the smallest."""
    smallest = candidates[0]
    speed = measure(smallest, train, validation, min(2.0, _MEASURED_SHARE * budget), looks=False)
    parameters = smallest.config.parameter_count()
    operations = parameters * smallest.tokens_per_step / speed.step_seconds
    chosen = smallest
    for candidate in candidates[1:]:
        parameters = candidate.config.parameter_count()
        tokens = budget * operations / parameters
        enough_time = tokens >= _TOKENS_A_PARAMETER * parameters
        enough_text = parameters <= _PARAMETERS_A_TOKEN * len(train)
        fits = len(train) >= 4 * candidate.tokens_per_step
        if enough_time and enough_text and fits:
            chosen = candidate
    return chosen
