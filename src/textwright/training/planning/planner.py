"""From what was asked and the text to a plan: which sizes come into question, and what one it is.

`plan` has the arithmetic; here is what a request leaves open and what this machine can take.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from textwright import machine
from textwright.configs import Settings
from textwright.errors import RequestError
from textwright.training.learner import choose_device, use_threads
from textwright.training.plan import Plan, counted_plan, memory, timed_plan
from textwright.training.preparation import Prepared
from textwright.training.presets import SIZES, model_settings
from textwright.training.reopening import from_anywhere
from textwright.training.request import Request
from textwright.training.speed import Candidate

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
        settings.corpus.validation = from_anywhere(settings.corpus.validation)
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
        recipe = asked.settings(size).training
        needed, there = memory(config, recipe), machine.memory()
        if choose_device(recipe.device).type == "cpu" and there and needed > there:
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
