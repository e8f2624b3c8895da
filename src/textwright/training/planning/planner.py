"""From a request and a dataset to a plan: how large, how many steps, how often to evaluate.

With `--steps` or `--epochs` the plan is arithmetic. With `--minutes` it is measured on this
machine: a few steps of the smallest size decide the size, a few steps of that size and an
evaluation the number of steps. So the learning rate has decayed when the time is up, and the same
plan, resumed or repeated, gives the same model.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace

import torch

from textwright import machine
from textwright.configs import ModelConfig, TrainingSettings
from textwright.data.corpus import recorded_source
from textwright.data.tokens import Tokens
from textwright.errors import RequestError, counted
from textwright.models.device import choose_device, resolve_auto, use_threads
from textwright.training.loop import distributed
from textwright.training.loop.dataset import Dataset
from textwright.training.loop.evaluation import protocol
from textwright.training.loop.recipe import Plan, Recipe
from textwright.training.loop.shards import resolve_shards
from textwright.training.planning.base_model import NO_HELP, base_bits, unlikeness
from textwright.training.planning.benchmark import Timing, measure
from textwright.training.planning.presets import SIZES, SizeOption, model_settings
from textwright.training.planning.request import Request

log = logging.getLogger("textwright")

_EVALUATION_SHARE = 0.04
"""Share of the time that evaluations, samples and checkpoints may take, at most."""
_MOST_EVALUATIONS, _FEWEST_EVALUATIONS = 20, 4
_MEASURED_SHARE, _MEASURED_AT_MOST = 0.02, 10.0
"""Share of the time, and seconds, that a measurement takes."""
_FEWEST_TOKENS = 4096
"""Tokens an evaluation reads at least, however short the time: with fewer the loss is noise."""
AIM = 0.96
"""Share of the time to fill: machines get slower under a long load, seldom faster."""
_TOKENS_A_PARAMETER = 2.0
"""A size is chosen only where the time suffices to read this many tokens a parameter. By the times
of `nano` and `micro` in `docs/results.md`; a guess for the sizes above."""
_PARAMETERS_A_TOKEN = 12.0
"""A size is chosen only up to this many parameters a training token: larger ones memorise the
text."""
_SHORT = 4096
"""Training tokens below which a text is memorised rather than learned from."""
_MEASURING_SECONDS = 2.0
"""Spent on estimating the time of counted steps, for `--plan`."""
_LEARNED_BY_READ = 3.0
"""Time of a training step over that of a forward pass: a backward pass takes two of those."""
_STEPS_WORTH_MEASURING = 200
"""From so many counted steps on, timing half a dozen to choose the threads costs little."""


def check_machine(request: Request) -> None:
    """Set torch's threads, and check the device before a text is prepared.

    Raises:
        RequestError: there is no such device.
    """
    training = request.settings().training
    choose_device(training.device)
    use_threads(training.threads)


def plan_recipe(
    request: Request, dataset: Dataset, begin: float, *, measured: bool = False
) -> Recipe:
    """The complete recipe of a training: chooses what the request leaves open.

    Args:
        begin: when the time of `--minutes` began, by `time.monotonic`.
        measured: also estimate the time of counted steps.

    Raises:
        RequestError: no size fits the settings, or the memory of this machine.
    """
    unlike = unlikeness(request.parent.run, dataset) if request.parent is not None else 0.0
    if request.parent is not None and unlike >= 1:
        advice = (
            "and is no help: leave --from out, and the size will be one for the text"
            if unlike >= NO_HELP
            else "but knows most of its characters: it learns at the rates of a new model"
        )
        log.warning("%s has read nothing like this text %s", request.parent.name, advice)
        request = replace(request, continued_rate=1.0)
    train, validation = dataset.train.array(), dataset.validation.array()
    options = size_options(request, dataset.tokenizer.vocab_size, len(train))
    training = options[0].training
    timed = training.steps is None and training.epochs is None
    bits = base_bits(dataset) if request.parent is None and (timed or measured) else None
    if timed:
        assert training.minutes is not None
        option, plan = timed_plan(options, train, validation, begin + 60 * training.minutes)
    else:  # without a time limit: the size that is soon done
        seconds = _MEASURING_SECONDS if measured else 0.0
        option, plan = counted_plan(options[0], train, validation, measured_for=seconds)
    plan = replace(plan, base_bits=bits)
    if len(train) < _SHORT:
        log.warning(
            "the training text is short (%s, read as %s of %d a step): the model "
            "will know it by heart before it knows its language; more text helps most, or --from "
            "a model that can spell already",
            counted(len(train), "token"),
            counted(option.training.batch_size, "sample"),
            option.model.block_size,
        )
    settings = option.settings
    settings.training = settings.training.model_copy(
        update={
            "steps": plan.steps,
            "eval_every": plan.eval_every,
            "checkpoint_every": plan.checkpoint_every,
            "eval_tokens": plan.eval_tokens,
        }
    )
    sources = request.sources or [dataset.corpus.name]
    settings.corpus.sources = [recorded_source(source) for source in sources]
    if settings.corpus.validation is not None:
        settings.corpus.validation = recorded_source(settings.corpus.validation)
    return Recipe(option.model, settings, plan)


def size_options(request: Request, vocab_size: int, tokens: int) -> list[SizeOption]:
    """The sizes to choose from, the smallest first, for a training text of so many tokens.

    Raises:
        RequestError: the settings fit none of them, or this machine has too little memory.
    """
    options = []
    fault: RequestError | None = None
    for size in [request.size] if request.size else [*SIZES.get(request.family, [None])]:
        try:
            model = model_settings(request.family, size, vocab_size, request.section("model"))
        except RequestError as error:  # e.g. widths for two layers, and this size has three
            fault = fault or error
            continue
        settings = request.settings(size)
        training = resolve_auto(settings.training, model.family)
        model = _fit_to_text(request, model, training, tokens)
        device = choose_device(training.device, model.family)
        settings.training = resolve_shards(training, model, device)
        needed, available = memory(model, settings.training), machine.memory()
        if device.type == "cpu" and available and needed > available:
            fault = fault or RequestError(
                f"training needs about {needed / 1e9:.0f} GB of memory and this machine has "
                f"{available / 1e9:.0f}; take a smaller --size, or "
                "--set training.micro_batch_size=1"
            )
            continue
        free = "model.dropout" not in request.values
        options.append(SizeOption(size, model, settings, chooses_dropout=free))
    if not options and fault is not None:
        raise fault
    return options


_SMALLEST_BLOCK = 2
"""What a model's `block_size` is at least (`configs.families`)."""


def _fit_to_text(
    request: Request, model: ModelConfig, training: TrainingSettings, tokens: int
) -> ModelConfig:
    """The model with blocks, and `training` with a batch, that a short text can fill, where the
    user set neither; as they were for any other."""
    streams = model.order == "streams"
    fits = training.batch_size * model.block_size if streams else 2 * model.block_size
    if tokens >= fits:
        return model
    if "model.block_size" not in request.values:
        block_size = min(model.block_size, max(_SMALLEST_BLOCK, tokens // 4))
        model = model.model_copy(update={"block_size": block_size})
    if streams and "training.batch_size" not in request.values:
        training.batch_size = min(training.batch_size, max(1, tokens // model.block_size))
    return model


def counted_plan(
    option: SizeOption, train: Tokens, validation: Tokens, *, measured_for: float = 0.0
) -> tuple[SizeOption, Plan]:
    """The plan for `training.steps`, or else `training.epochs`; exact.

    With `measured_for` seconds to measure in, it also tells the time that training will take.
    """
    training, per_step = option.training, option.tokens_per_step
    if training.steps is not None:
        steps = training.steps
    else:
        assert training.epochs is not None, "a plan needs steps, epochs or minutes"
        steps = max(1, math.ceil(training.epochs * len(train) / per_step))
    evaluations = _MOST_EVALUATIONS // 2
    if training.epochs is not None and _FEWEST_EVALUATIONS < training.epochs <= _MOST_EVALUATIONS:
        evaluations = math.ceil(training.epochs)  # one an epoch, as people expect
    every = max(1, math.ceil(steps / evaluations))
    option = option.with_dropout_for(len(train), steps * per_step / len(train))
    evaluations = 1 + math.ceil(steps / (training.eval_every or every))
    eval_tokens = _affordable_tokens(steps * per_step, evaluations, len(validation))
    plan = _complete(option, train, validation, steps, every, eval_tokens)
    option = option.with_threads(_counted_threads(option, train, validation, steps))
    if not measured_for:
        return option, plan
    timing = measure(option, train, validation, measured_for)
    evaluations = 1 + math.ceil(plan.steps / plan.eval_every)
    seconds = plan.steps * timing.step_seconds
    seconds += evaluations * timing.seconds_for(plan.eval_tokens, len(validation))
    seconds += timing.evaluation_seconds if plan.eval_tokens else 0.0
    rate = per_step / timing.step_seconds
    return option, replace(plan, expected_seconds=seconds, tokens_per_second=rate)


def _affordable_tokens(learned: int, evaluations: int, validation: int) -> int:
    """How many validation tokens each evaluation may read, 0 for all, for their share of the time
    that learning takes; of counts, so that the same ones give the same plan anywhere."""
    most = max(_FEWEST_TOKENS, int(_EVALUATION_SHARE * _LEARNED_BY_READ * learned / evaluations))
    return most if most < validation else 0


def _counted_threads(option: SizeOption, train: Tokens, validation: Tokens, steps: int) -> int:
    """The threads for so many steps; never such that the bytes of the model depend on the number,
    for counted steps promise the same bytes."""
    counts = _thread_counts(option)
    if not counts:
        return option.training.threads or torch.get_num_threads()
    if option.training.shards == 1 and option.model.order == "streams":
        return 1
    if steps < _STEPS_WORTH_MEASURING:
        return counts[0] if option.training.shards > 1 else 1
    return measure(option, train, validation, 0.0, threads=counts, with_evaluation=False).threads


def _thread_counts(option: SizeOption) -> tuple[int, ...]:
    """The numbers of threads to time: all, and one; empty where there is no choice."""
    training = option.training
    shards = len(distributed.worker_shards(training.batch_size, training.shards))
    threads = torch.get_num_threads()
    if shards > 1:
        threads = min(threads, shards)
    on_cpu = choose_device(training.device, option.model.family).type == "cpu"
    return (threads, 1) if on_cpu and threads > 1 and not training.threads else ()


def timed_plan(
    options: list[SizeOption], train: Tokens, validation: Tokens, deadline: float
) -> tuple[SizeOption, Plan]:
    """The plan for `training.minutes`, measured on this machine.

    Steps of the smallest size decide the size, and by its epochs the dropout; steps of that size,
    with that dropout, decide how many there will be.

    Args:
        options: sizes to choose from, the smallest first; one where the user chose.
        deadline: when training is to end, by `time.monotonic`.
    """
    budget = max(1.0, deadline - time.monotonic())
    measuring = measuring_seconds(budget)
    first = measure(
        options[0], train, validation, min(2.0, measuring),
        threads=_thread_counts(options[0]), with_evaluation=False,
    )  # fmt: skip
    chosen, step_seconds = _choose_size(options, first.step_seconds, len(train), budget)
    epochs = budget / step_seconds * chosen.tokens_per_step / len(train)
    chosen = chosen.with_dropout_for(len(train), epochs)
    counts = _thread_counts(chosen) if chosen.size != options[0].size else (first.threads,)
    timing = measure(chosen, train, validation, measuring, threads=counts)
    chosen = chosen.with_threads(timing.threads)
    left = max(1.0, deadline - time.monotonic()) * AIM
    evaluations, eval_tokens = _choose_evaluations(chosen, validation, timing, left)
    evaluation_seconds = timing.seconds_for(eval_tokens, len(validation))
    if eval_tokens:  # the last one reads all of the text, even where that goes beyond the time
        left = max(left / 2, left - timing.evaluation_seconds)
    # One more evaluation comes before the first step.
    if chosen.training.eval_every is None:
        steps = (left - (evaluations + 1) * evaluation_seconds) / timing.step_seconds
    else:  # how many evaluations there are depends on the steps
        a_step = timing.step_seconds + evaluation_seconds / chosen.training.eval_every
        steps = (left - evaluation_seconds) / a_step
    steps = max(1, int(steps))
    every = max(1, math.ceil(steps / evaluations))
    plan = _complete(chosen, train, validation, steps, every, eval_tokens)
    evaluations = 1 + math.ceil(steps / plan.eval_every)
    return chosen, replace(
        plan,
        minutes=chosen.training.minutes,
        expected_seconds=steps * timing.step_seconds
        + evaluations * evaluation_seconds
        + (timing.evaluation_seconds if plan.eval_tokens else 0.0),
        tokens_per_second=chosen.tokens_per_step / timing.step_seconds,
    )


def measuring_seconds(budget: float) -> float:
    """The seconds to measure for, of a training of so many."""
    return min(_MEASURED_AT_MOST, _MEASURED_SHARE * budget)


def _choose_size(
    options: list[SizeOption], step_seconds: float, tokens: int, budget: float
) -> tuple[SizeOption, float]:
    """The largest size for which time and text suffice, and the estimated seconds of its step.

    Args:
        step_seconds: of the smallest size.
        tokens: of the training text.
        budget: seconds.
    """
    smallest = options[0]
    operations = smallest.model.parameter_count() * smallest.tokens_per_step / step_seconds
    chosen = smallest
    for option in options[1:]:
        parameters = option.model.parameter_count()
        enough_time = budget * operations / parameters >= _TOKENS_A_PARAMETER * parameters
        enough_text = parameters <= _PARAMETERS_A_TOKEN * tokens
        fits = tokens >= 4 * option.tokens_per_step
        if enough_time and enough_text and fits:
            chosen = option
    return chosen, chosen.model.parameter_count() * chosen.tokens_per_step / operations


def _choose_evaluations(
    option: SizeOption, validation: Tokens, timing: Timing, seconds: float
) -> tuple[int, int]:
    """The number of evaluations, but for that before the first step, and the tokens each reads (0:
    all).

    Of a validation text too large even for the fewest evaluations, they read a part.
    """
    given = option.training.eval_tokens
    each = timing.seconds_for(given or 0, len(validation))
    evaluations = int(_EVALUATION_SHARE * seconds / each) - 1
    evaluations = min(_MOST_EVALUATIONS, max(_FEWEST_EVALUATIONS, evaluations))
    if given is not None:
        return evaluations, given
    most = _EVALUATION_SHARE * seconds / (evaluations + 1)
    if timing.evaluation_seconds <= most or len(validation) <= _FEWEST_TOKENS:
        return evaluations, 0
    reading = max(timing.evaluation_seconds - timing.fixed_seconds, 1e-9)
    share = max(0.0, most - timing.fixed_seconds) / reading
    return evaluations, max(_FEWEST_TOKENS, int(share * len(validation)))


def _complete(
    option: SizeOption,
    train: Tokens,
    validation: Tokens,
    steps: int,
    eval_every: int,
    eval_tokens: int,
) -> Plan:
    settings, config = option.training, option.model
    per_step = option.tokens_per_step
    eval_every = settings.eval_every or eval_every
    if settings.eval_tokens is not None:
        eval_tokens = settings.eval_tokens
    return Plan(
        size=option.size,
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
