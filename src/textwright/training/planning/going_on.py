"""A training that goes on beyond its plan: `--resume` with other steps, epochs or minutes.

What is there stays as it is, weights, optimiser and averages; the plan gets another leg, which
begins at the latest checkpoint and ends where it was asked to. A number is of the whole training,
`+` and a number what comes on top of what is done.
"""

from __future__ import annotations

import logging
import math
import time
from dataclasses import replace
from datetime import UTC, datetime

import torch

from textwright.errors import RunError, counted
from textwright.runs import Run
from textwright.training.loop import checkpoints
from textwright.training.loop.checkpoints import TrainerState
from textwright.training.loop.dataset import Dataset
from textwright.training.loop.recipe import Leg, Plan, Recipe
from textwright.training.planning.benchmark import measure
from textwright.training.planning.planner import AIM, measuring_seconds
from textwright.training.planning.presets import SizeOption, dropout_for
from textwright.training.planning.request import Budget
from textwright.version import VERSION

log = logging.getLogger("textwright")


_TOLD = ("command", "created", "textwright")
"""What `run.toml` says of a leg beside its steps."""


def reached(run: Run) -> TrainerState:
    """Where the latest whole checkpoint stands.

    Raises:
        RunError: there is none; what was learned can be begun with all the same.
    """
    checkpoint = checkpoints.load_latest(run)
    if checkpoint is None:
        raise RunError(
            f"the checkpoints of run {run.name!r} are gone, so it can't go on; begin another with "
            f"its weights: --from {run.name}"
        )
    return checkpoint.trainer_state


def reaches(run: Run, recipe: Recipe, asked: Budget, state: TrainerState) -> str | None:
    """How much a run has, in words, where that is as much as is asked for; else None."""
    plan, tokens = recipe.plan, int(run.settings()["data"]["train_tokens"])
    if asked.more:
        return None
    if asked.name == "minutes":
        enough = 60 * asked.amount <= state.seconds
    else:
        enough = _counted_steps(asked, plan, state, tokens) <= state.step
    if not enough:
        return None
    epochs = state.step * plan.tokens_per_step / tokens
    return f"{counted(state.step, 'step')}, {epochs:.3g} epochs, {state.seconds / 60:.2g} minutes"


def go_on(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    asked: Budget,
    state: TrainerState,
    begin: float,
    command: str,
) -> Recipe:
    """The recipe with one leg more.

    Evaluations keep their distance and what they read, so that the curve is one. The dropout, where
    the plan chose it, is that for a text read so often.

    Args:
        asked: more than there is.
        state: where the run stands.
        begin: when the time of minutes began, on the clock of `time.monotonic`.
        command: what went on with the run, as a person would type it.
    """
    train = dataset.train.array()
    plan, training = recipe.plan, recipe.training
    chooses = recipe.model.dropout == dropout_for(recipe.model, len(train), plan.epochs)
    option = SizeOption(plan.size, recipe.model, recipe.settings, chooses_dropout=chooses)
    expected = plan.expected_seconds and plan.expected_seconds / plan.steps
    rate = plan.tokens_per_second
    if asked.name == "minutes":
        seconds = 60 * asked.amount - (0 if asked.more else state.seconds)
        steps, expected, rate = _timed_steps(option, dataset, plan, begin + seconds)
        steps += state.step
    else:
        steps = _counted_steps(asked, plan, state, len(train))
    epochs = steps * plan.tokens_per_step / len(train)
    option = option.with_dropout_for(len(train), epochs)
    if option.model.dropout != recipe.model.dropout:
        log.info("dropout is %g from here on, for a text read %.3g times",
                 option.model.dropout, epochs)  # fmt: skip
    budget: dict[str, float | None] = {"epochs": None, "minutes": None, asked.name: asked.amount}
    if asked.more:
        done = {"steps": state.step, "minutes": round(state.seconds / 60, 2)}
        done["epochs"] = state.step * plan.tokens_per_step / len(train)
        budget[asked.name] = done[asked.name] + asked.amount
    begun = run.settings().get("run", {})
    dropout = recipe.model.dropout
    first = Leg(
        0, plan.steps, dropout, _words(recipe), *(str(begun.get(name, "")) for name in _TOLD)
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    leg = Leg(state.step, steps, option.model.dropout, str(asked), command, now, VERSION)
    earlier = [one for one in plan.legs or (first,) if one.begin < state.step or not one.begin]
    settings = recipe.settings.model_copy(
        update={"training": training.model_copy(update={**budget, "steps": steps})}
    )
    plan = replace(
        plan,
        steps=steps,
        epochs=epochs,
        minutes=budget["minutes"],
        expected_seconds=expected and expected * (steps - state.step),
        tokens_per_second=rate,
        legs=(*earlier, leg),
    )
    return Recipe(option.model, settings, plan)


def _words(recipe: Recipe) -> str:
    """The budget that a run began with, in words."""
    training = recipe.training
    for name in ("epochs", "minutes"):
        if (amount := getattr(training, name)) is not None:
            return f"{name} {amount:g}"
    return f"steps {recipe.plan.steps}"


def _counted_steps(asked: Budget, plan: Plan, state: TrainerState, tokens: int) -> int:
    """The step at which a leg of so many steps or epochs ends."""
    done = state.step if asked.more else 0
    if asked.name == "steps":
        return done + int(asked.amount)
    return done + max(1, math.ceil(asked.amount * tokens / plan.tokens_per_step))


def _timed_steps(
    option: SizeOption, dataset: Dataset, plan: Plan, deadline: float
) -> tuple[int, float, float]:
    """The steps that fit until `deadline`, the seconds each takes, evaluations included, and the
    tokens a second."""
    validation = dataset.validation.array()
    threads = option.training.threads or torch.get_num_threads()
    measuring = measuring_seconds(max(1.0, deadline - time.monotonic()))
    timing = measure(option, dataset.train.array(), validation, measuring, threads=(threads,))
    left = max(1.0, deadline - time.monotonic()) * AIM
    if plan.eval_tokens:  # the last one reads all of the text, even where that goes beyond the time
        left = max(left / 2, left - timing.evaluation_seconds)
    evaluation = timing.seconds_for(plan.eval_tokens, len(validation))
    a_step = timing.step_seconds + evaluation / plan.eval_every
    steps = max(1, int((left - evaluation) / a_step))
    return steps, a_step, plan.tokens_per_step / timing.step_seconds
