"""What a sweep tries, and its plan: every combination of values, and how far each is trained.

Successive halving (Jamieson and Talwalkar, 2016; Li et al., "Hyperband", 2018, with a factor of 2):
all trials are trained to a share of their plan, the better half goes on to twice that share, and so
on. Trials are planned for their full length, so that a learning rate's course is the one it would
have had alone; what is compared at a rung are bits a character at the same share of it.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright.errors import RequestError
from textwright.runs import name_from
from textwright.training.planning.presets import SIZES, model_settings
from textwright.training.planning.request import apply_parent, make_request

Values = dict[str, str]
"""A trial's own values by name, as they are typed."""

OPTIONS = {
    "model": "model", "size": "size", "tokenizer": "tokenizer", "vocab_size": "vocab_size",
    "seed": "seed", "from": "parent", "loss_on": "loss_on", "companion": "companion",
    "device": "device", "val": "validation", "eval_every": "eval_every",
}  # fmt: skip
"""Options of `textwright train` that a sweep can try, and arguments of `textwright.train`; any
other name is a setting's dotted one."""
DEFAULTS: Values = {"training.eval_tokens": "16384"}
"""Of all trials, where nothing else is said. Each would plan by its own speed how much of
the validation text it reads, and bits a character of different parts don't compare."""
MEASURES = {
    "val", "loss_on", "training.loss_on", "training.eval_tokens", "corpus.validation",
    "corpus.validation_fraction",
}  # fmt: skip
"""What decides which text a trial is measured on: one for all."""
_NUMBERS = {"vocab_size", "seed", "eval_every"}
_MOST_HALVINGS = 3
"""The first rung is at an eighth: before that, a course planned for the whole tells little."""
_MOST_TRIALS = 256
_START_SECONDS = 6.0
"""Of a trial's process, before it trains or goes on: torch is imported, the text is read."""
_LEAST_SECONDS = 10.0
"""Of one trial's full length: below, measuring the machine is most of it."""


@dataclass(frozen=True)
class Rung:
    """So many trials are trained to `share` of their plan; `keep` of them go on."""

    share: float
    trials: int
    keep: int


def parse_tries(words: Sequence[str], option: str = "--try") -> dict[str, list[str]]:
    """The values to try of `NAME=VALUE,VALUE` words; commas inside brackets belong to a value.

    Raises:
        RequestError: a word has no `=` or no value, or a name comes twice.
    """
    tries: dict[str, list[str]] = {}
    for word in words:
        name, equals, text = word.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        values = [value.strip() for value in re.split(r",(?![^\[]*\])", text)]
        if not name or not equals or not all(values):
            raise RequestError(f"{option} {word}: write NAME=VALUE,VALUE, e.g. size=nano,micro")
        if name in tries:
            raise RequestError(f"{option} {name} comes twice; give all of its values at once")
        if len(set(values)) < len(values):
            raise RequestError(f"{option} {word}: a value comes twice; give each once")
        tries[name] = values
    return tries


def as_typed(value: Any) -> str:
    """A value of Python as it is typed after `--try`."""
    return str(value) if isinstance(value, str | Path) else json.dumps(value)


def combinations(tries: Mapping[str, Sequence[str]]) -> list[Values]:
    """Every combination of one value of each name.

    Raises:
        RequestError: there are no two, or too many.
    """
    found = [dict(zip(tries, values, strict=True)) for values in itertools.product(*tries.values())]
    if len(found) < 2:
        raise RequestError("a sweep needs two trials or more, e.g. --try size=nano,micro")
    if len(found) > _MOST_TRIALS:
        raise RequestError(
            f"that makes {len(found):,} trials, and a sweep takes {_MOST_TRIALS}; try fewer values"
        )
    return found


def trial_names(trials: Sequence[Values]) -> list[str]:
    """A run's name for each trial, of what tells it apart: `nano-dropout-0.1`."""
    varied = [name for name in trials[0] if len({trial[name] for trial in trials}) > 1]
    names: list[str] = []
    for number, trial in enumerate(trials, 1):
        words = [
            trial[name] if name in ("model", "size") else f"{name.rpartition('.')[2]}-{trial[name]}"
            for name in varied
        ]
        name = name_from("-".join(words))
        names.append(name if name not in names else f"{name}-{number}")
    return names


def arguments(values: Values) -> list[str]:
    """A trial's values as options of `textwright train`."""
    words: list[str] = []
    for name, value in values.items():
        if name in OPTIONS:
            words.append(f"--{name.replace('_', '-')}={value}")
        else:
            words.append(f"--set={name}={value}")
    return words


def check_trial(sources: Sequence[str], values: Values, fixed: Values, folder: Path) -> None:
    """Raise now what the trial's own process would raise, with the trial's values named.

    Raises:
        RequestError: a name or a value is none of a training's.
    """
    options: dict[str, Any] = {}
    changes = []
    named = ", ".join(f"{name}={value}" for name, value in values.items())
    try:
        for name, value in (fixed | values).items():
            if name.split(".")[-1] in ("minutes", "steps", "epochs"):
                raise RequestError("how long is one for all trials: --minutes or --steps")
            if name in _NUMBERS and not re.fullmatch(r"\d+", value):
                raise RequestError(f"{name} is a whole number, not {value!r}")
            if name in OPTIONS:
                options[OPTIONS[name]] = int(value) if name in _NUMBERS else value
            else:
                changes.append(f"{name}={value}")
        request = apply_parent(
            make_request(*sources, runs_folder=folder, changes=changes, steps=1, **options)
        )
        sizes = [request.size] if request.size else list(SIZES.get(request.family, [None]))
        faults = []
        for size in sizes:
            try:
                model_settings(request.family, size, 100, request.section("model"))
            except RequestError as error:
                faults.append(error)
        if len(faults) == len(sizes):
            raise faults[0]
    except RequestError as error:
        raise RequestError(f"trial {named}: {str(error).replace('--set ', '--try ')}") from error


def plan_rungs(trials: int, jobs: int) -> list[Rung]:
    """How far how many trials are trained; as many as run side by side are always kept, since a
    core without a trial gains nothing."""
    rungs = []
    halvings = min(_MOST_HALVINGS, math.ceil(math.log2(trials)))
    alive = trials
    for number in range(halvings, 0, -1):
        keep = max(math.ceil(alive / 2), min(jobs, alive))
        if keep < alive:
            rungs.append(Rung(0.5**number, alive, keep))
            alive = keep
    return [*rungs, Rung(1.0, alive, 1)]


def seconds_each(minutes: float, rungs: Sequence[Rung], jobs: int) -> float:
    """How long one trial's full training may take, for the whole sweep to end within `minutes`.

    Raises:
        RequestError: nothing would be learned in that.
    """
    starts, lengths, before = 0, 0.0, 0.0
    for rung in rungs:
        turns = math.ceil(rung.trials / jobs)
        starts += turns
        lengths += turns * (rung.share - before)
        before = rung.share
    seconds = (60 * minutes - starts * _START_SECONDS) / lengths
    if seconds < _LEAST_SECONDS:
        least = math.ceil((starts * _START_SECONDS + lengths * _LEAST_SECONDS) / 6) / 10
        raise RequestError(
            f"{minutes:g} minutes are too few for {rungs[0].trials} trials, {jobs} at a time; "
            f"give --minutes {least:g} or more, or try fewer values"
        )
    return seconds


def bits_at(metrics: Sequence[Mapping[str, Any]], step: float) -> float | None:
    """Bits a character at a step, between the two evaluations around it; where the best came
    before, that one, since its weights are kept. None without an evaluation after the first step.
    """
    best: float | None = None
    last: tuple[float, float] | None = None
    for row in metrics:
        here = (float(row["step"]), float(row["val_bits_per_char"]))
        if here[0] > step and last is not None:
            if here[0] > last[0]:
                share = (step - last[0]) / (here[0] - last[0])
                between = last[1] + share * (here[1] - last[1])
                return between if best is None else min(best, between)
            break
        if here[0] > 0:
            best = here[1] if best is None else min(best, here[1])
        last = here
    return best
