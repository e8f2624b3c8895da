"""A training that goes on beyond its plan: `--resume` with other steps, epochs or minutes.

Weights, optimiser and averages stay as they are; the plan gets another leg, from the latest
checkpoint to the end of the new budget. A number is the budget of the whole training, `+` and a
number comes on top of what is done.
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


_RECORDED = ("command", "created", "textwright")
"""What `run.toml` records of a leg beside its steps."""


def reached(run: Run) -> TrainerState:
    """The trainer state of the latest whole checkpoint.

    Raises:
        RunError: there is none; the weights can still be a parent's.
    """
    checkpoint = checkpoints.load_latest(run)
    if checkpoint is None:
        raise RunError(
            f"the checkpoints of run {run.name!r} are gone, so it can't go on; begin another with "
            f"its weights: --from {run.name}"
        )
    return checkpoint.trainer_state


def reaches(run: Run, recipe: Recipe, budget: Budget, state: TrainerState) -> str | None:
    """How far a run is, in words, where that is as far as the budget; else None."""
    plan, tokens = recipe.plan, int(run.settings()["data"]["train_tokens"])
    if budget.more:
        return None
    if budget.name == "minutes":
        enough = 60 * budget.amount <= state.seconds
    else:
        enough = _counted_steps(budget, plan, state, tokens) <= state.step
    if not enough:
        return None
    epochs = state.step * plan.tokens_per_step / tokens
    return f"{counted(state.step, 'step')}, {epochs:.3g} epochs, {state.seconds / 60:.2g} minutes"


def go_on(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    budget: Budget,
    state: TrainerState,
    begin: float,
    command: str,
) -> Recipe:
    """The recipe with one leg more.

    Evaluations keep their interval and the part of the text they read, so that the curve is one.
    A dropout that the plan chose is chosen again, for the new number of epochs.

    Args:
        budget: more than the run has.
        state: of the run's latest checkpoint.
        begin: when the minutes of the budget began, by `time.monotonic`.
        command: that goes on with the run, as a person would type it.
    """
    train = dataset.train.array()
    plan, training = recipe.plan, recipe.training
    chooses = recipe.model.dropout == dropout_for(recipe.model, len(train), plan.epochs)
    option = SizeOption(plan.size, recipe.model, recipe.settings, chooses_dropout=chooses)
    expected = plan.expected_seconds and plan.expected_seconds / plan.steps
    rate = plan.tokens_per_second
    if budget.name == "minutes":
        seconds = 60 * budget.amount - (0 if budget.more else state.seconds)
        steps, expected, rate = _timed_steps(option, dataset, plan, begin + seconds)
        steps += state.step
    else:
        steps = _counted_steps(budget, plan, state, len(train))
    epochs = steps * plan.tokens_per_step / len(train)
    option = option.with_dropout_for(len(train), epochs)
    if option.model.dropout != recipe.model.dropout:
        log.info("dropout is %g from here on, for a text read %.3g times",
                 option.model.dropout, epochs)  # fmt: skip
    total: dict[str, float | None] = {"epochs": None, "minutes": None, budget.name: budget.amount}
    if budget.more:
        done = {"steps": state.step, "minutes": round(state.seconds / 60, 2)}
        done["epochs"] = state.step * plan.tokens_per_step / len(train)
        total[budget.name] = done[budget.name] + budget.amount
    recorded = run.settings().get("run", {})
    dropout = recipe.model.dropout
    first = Leg(
        0, plan.steps, dropout, _words(recipe), *(str(recorded.get(name, "")) for name in _RECORDED)
    )
    now = datetime.now(UTC).isoformat(timespec="seconds")
    leg = Leg(state.step, steps, option.model.dropout, str(budget), command, now, VERSION)
    earlier = [one for one in plan.legs or (first,) if one.begin < state.step or not one.begin]
    settings = recipe.settings.model_copy(
        update={"training": training.model_copy(update={**total, "steps": steps})}
    )
    plan = replace(
        plan,
        steps=steps,
        epochs=epochs,
        minutes=total["minutes"],
        expected_seconds=expected and expected * (steps - state.step),
        tokens_per_second=rate,
        legs=(*earlier, leg),
    )
    return Recipe(option.model, settings, plan)


def _words(recipe: Recipe) -> str:
    """The budget of a run's first leg, in words."""
    training = recipe.training
    for name in ("epochs", "minutes"):
        if (amount := getattr(training, name)) is not None:
            return f"{name} {amount:g}"
    return f"steps {recipe.plan.steps}"


def _counted_steps(budget: Budget, plan: Plan, state: TrainerState, tokens: int) -> int:
    """The step at which a leg of so many steps or epochs ends."""
    done = state.step if budget.more else 0
    if budget.name == "steps":
        return done + int(budget.amount)
    return done + max(1, math.ceil(budget.amount * tokens / plan.tokens_per_step))


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
