"""A user's request, merged from a TOML file, options and `--set`; the later layer wins.

Every setting has one dotted name, the same in `run.toml`, `--config` and `--set`. Unknown names
are errors that offer the nearest one. Presets fill what is left open once a size is chosen.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from textwright import runs
from textwright.configs import (
    CONFIG_CLASSES,
    Settings,
    TrainingSettings,
    config_class,
    nearest,
    one_line,
)
from textwright.errors import RequestError
from textwright.runs import Run
from textwright.training.planning.parent import Parent, find_parent, recipe_size
from textwright.training.planning.presets import CONTINUED_RATE, SIZES, preset

RECORDED = ("run", "data", "parent", "plan", "result", "companion")
"""Sections of a run.toml that record its training; ignored in a file given as `--config`."""

SETTING_OF_PARENT = "training.parent"
DEFAULT_MINUTES = 5.0
DEFAULT_FAMILY = "lstm"
BUDGETS = ("training.steps", "training.epochs", "training.minutes")
_RATES = ("learning_rate", "matrix_learning_rate")
_MAY_DIFFER = "model.dropout"
"""The one setting of the model that may differ from the parent's."""
_NUMBERS = re.compile(r"\([\d.,\s]+\)|[\d.,\s]+")
_MAY_GROW = "tokenizer.vocab_size"
"""The setting of a word tokenizer that may be larger than the parent's."""


@dataclass(frozen=True)
class Budget:
    """How long to train."""

    name: str
    """`steps`, `epochs` or `minutes`."""
    amount: float
    more: bool
    """Whether it is on top of what a run has done, as `+2` is."""

    def __str__(self) -> str:
        return f"{self.name} {'+' if self.more else ''}{self.amount:g}"


@dataclass(frozen=True)
class Request:
    """The training that was requested, all layers merged."""

    sources: tuple[str, ...]
    """As the user named them; empty for the default."""
    name: str | None
    """Of the run; None derives it from the text."""
    folder: Path
    """Where runs live."""
    family: str
    size: str | None
    """None lets the plan choose."""
    values: Mapping[str, Any]
    """Settings by dotted name; what is not there is left to presets and plan."""
    given: Mapping[str, Any]
    """`values` without defaults, with `model.family` and `plan.size` where they were given."""
    budget: Budget | None = None
    """None for the default."""
    parent: Parent | None = None
    """The model to begin with, once `apply_parent` has found it."""
    continued_rate: float = CONTINUED_RATE
    """With a parent, what the learning rates of the recipe are multiplied by."""

    def section(self, name: str) -> dict[str, Any]:
        """The values of a section, by their names inside it."""
        prefix = f"{name}."
        return {
            key.removeprefix(prefix): value
            for key, value in self.values.items()
            if key.startswith(prefix)
        }

    def beyond(self, recorded: Mapping[str, Any], *, done: bool) -> Budget | None:
        """The requested budget, where it isn't the one that a run was planned for; else None.

        Repeating the `+2` of an interrupted leg resumes that leg.

        Args:
            recorded: the run's settings.
            done: whether it has been trained to its end.
        """
        budget = self.budget
        if budget is None:
            return None
        if budget.more:
            legs = recorded.get("plan", {}).get("legs") or [{}]
            return None if not done and legs[-1].get("asked") == str(budget) else budget
        planned = recorded.get("training", {}).get(budget.name)
        return None if planned is not None and math.isclose(planned, budget.amount) else budget

    def settings(self, size: str | None = None) -> Settings:
        """All settings but the model's, over the recipe of a size (None: that of the request).

        With a parent the learning rates are lower. Corpus, tokenizer and device don't depend on
        the size.

        Raises:
            RequestError: a value is out of range; every fault is named.
        """
        size = size or self.size
        recipe = dict(preset(self.family, size).training) if size else {}
        if self.values.get(SETTING_OF_PARENT) is not None:
            for name in _RATES:
                usual = TrainingSettings.model_fields[name].default
                recipe[name] = self.continued_rate * recipe.get(name, usual)
        sections = {name: self.section(name) for name in Settings.model_fields}
        sections["training"] = {**recipe, **sections["training"]}
        try:
            return Settings.model_validate(sections)
        except ValidationError as error:
            raise RequestError(one_line(error)) from error


def make_request(
    *corpus: str | Path,
    name: str | None = None,
    runs_folder: str | Path | None = None,
    model: str | None = None,
    size: str | None = None,
    tokenizer: str | None = None,
    vocab_size: int | None = None,
    lowercase: bool | None = None,
    parent: str | Path | Run | None = None,
    minutes: float | str | None = None,
    steps: int | str | None = None,
    epochs: float | str | None = None,
    validation: str | Path | None = None,
    validation_fraction: float | None = None,
    encoding: str | None = None,
    field: str | None = None,
    assistant: str | None = None,
    eval_every: int | None = None,
    checkpoint_every: int | None = None,
    sample_prompt: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    loss_on: str | None = None,
    companion: str | None = None,
    config: str | Path | None = None,
    changes: Sequence[str] = (),
    resume: bool = False,
) -> Request:
    """Merge the layers into a request; the arguments are those of `textwright.train`.

    With a parent, family and size are not known yet: `apply_parent` sets them.

    Raises:
        RequestError: a name is unknown, a value makes no sense, or two budgets are given.
    """
    if isinstance(parent, Run):
        parent = parent.path
    amounts = {"minutes": minutes, "steps": steps, "epochs": epochs}
    counted = {name: _amount(name, value) for name, value in amounts.items() if value is not None}
    more = [name for name, (_, is_more) in counted.items() if is_more]
    if more and not resume:
        raise RequestError(
            f"--{more[0]} {amounts[more[0]]} is on top of what a run has done: it goes with "
            "--resume"
        )
    options = {
        "tokenizer.kind": tokenizer,
        "tokenizer.vocab_size": vocab_size,
        "tokenizer.lowercase": lowercase,
        SETTING_OF_PARENT: None if parent is None else str(parent),
        **{f"training.{name}": amount for name, (amount, _) in counted.items()},
        "corpus.validation": None if validation is None else str(validation),
        "corpus.validation_fraction": validation_fraction,
        "corpus.encoding": encoding,
        "corpus.field": field,
        "corpus.assistant": assistant,
        "training.eval_every": eval_every,
        "training.checkpoint_every": checkpoint_every,
        "training.sample_prompt": sample_prompt,
        "training.seed": seed,
        "training.device": device,
        "training.loss_on": loss_on,
        "training.companion": companion,
    }
    values = _merge(Path(config) if config else None, options, changes)
    given = dict(values)
    if model is not None:
        given["model.family"] = model
    if size is not None:
        given["plan.size"] = size
    family = str(given.get("model.family", DEFAULT_FAMILY))
    values.pop("model.family", None)
    size = _check(family, size, values)
    if not any(budget in values for budget in BUDGETS):
        values["training.minutes"] = DEFAULT_MINUTES
    sources = tuple(str(source) for source in corpus) or tuple(values.get("corpus.sources", ()))
    request = Request(
        sources, name, runs.runs_folder(runs_folder), family, size, values, given,
        _budget(given, more),
    )  # fmt: skip
    request.settings()  # raises where a value is out of range, before anything is read
    return request


def _amount(name: str, value: float | str) -> tuple[float, bool]:
    """A budget as a number, and whether it is on top of what is done.

    Raises:
        RequestError: it is no number.
    """
    if not isinstance(value, str):
        return value, False
    try:
        number = int(value) if name == "steps" else float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        kind = "a whole number" if name == "steps" else "a number"
        raise RequestError(f"--{name} {value}: write {kind}, or with --resume + and one, e.g. +2")
    return number, value.lstrip().startswith("+")


def _budget(given: Mapping[str, Any], more: Sequence[str]) -> Budget | None:
    """The given budget; None where there is none."""
    for setting in BUDGETS:
        if isinstance(amount := given.get(setting), int | float):
            name = setting.removeprefix("training.")
            return Budget(name, amount, name in more)
    return None


def apply_parent(request: Request) -> Request:
    """The request with its parent and the settings that the parent decides; without one, as is.

    Raises:
        RequestError: a setting was requested that the parent decides otherwise.
        RunError: there is no such run, or it is damaged.
        DownloadError: it is on the Hub, which can't be reached.
    """
    reference = request.values.get(SETTING_OF_PARENT)
    if reference is None:
        return request
    parent = find_parent(str(reference), request.folder)
    decided = parent.settings()
    check_names(parent.config.family, request.values)
    vocab_size = _vocab_size(request, parent)
    for name, value in request.given.items():
        if name in decided and name not in (_MAY_DIFFER, _MAY_GROW) and value != decided[name]:
            raise RequestError(
                f"{name} is {decided[name]!r} in {parent.name!r}, not {value!r}; --from keeps "
                "model and tokenizer as they are: leave it out, or train without --from"
            )
    for name in ("model.family", "model.vocab_size", _MAY_DIFFER):
        del decided[name]
    decided[_MAY_GROW] = vocab_size
    applied = replace(
        request,
        family=parent.config.family,
        size=recipe_size(parent),
        values={**request.values, **decided, SETTING_OF_PARENT: parent.reference},
        parent=parent,
    )
    applied.settings()  # raises where a value is out of range, before anything is read
    return applied


def _vocab_size(request: Request, parent: Parent) -> int | None:
    """The size that the parent's vocabulary, of words, is to grow to; None where it stays."""
    wanted, old = request.settings().tokenizer.vocab_size, parent.tokenizer
    if wanted is None or wanted == old.vocab_size:
        return None
    if old.kind != "word" or wanted < old.vocab_size:
        remedy = (
            f"--from keeps its words, so ask for more than {old.vocab_size}"
            if old.kind == "word"
            else "--from keeps model and tokenizer as they are: leave it out"
        )
        raise RequestError(
            f"{_MAY_GROW} is {old.vocab_size} in {parent.name!r}, not {wanted}; {remedy}, or train "
            "without --from"
        )
    return wanted


def _merge(
    config: Path | None, options: Mapping[str, Any], changes: Sequence[str]
) -> dict[str, Any]:
    """Settings by dotted name: those of a TOML file, of options that aren't None, of `--set`."""
    values = _flat(_read(config)) if config else {}
    given = {name: value for name, value in options.items() if value is not None}
    changed = dict(_change(change) for change in changes)
    flags = {name: "--" + name.removeprefix("training.") for name in BUDGETS if name in given}
    budgets = {**{name: f"--set {name}" for name in BUDGETS if name in changed}, **flags}
    if len(budgets) > 1:
        raise RequestError(f"{' and '.join(budgets.values())}: take one of them")
    for layer in (given, changed):
        if any(name in layer for name in BUDGETS):  # a new budget replaces the file's
            values = {name: value for name, value in values.items() if name not in BUDGETS}
        values.update(layer)
    values.pop("model.vocab_size", None)  # the tokenizer decides
    return values


def _check(family: str, size: str | None, values: Mapping[str, Any]) -> str | None:
    """The size, also where the values describe one; checks the names of family and settings."""
    config_class(family)  # names an unknown family
    if values.get(SETTING_OF_PARENT) is None:
        check_names(family, values)
    else:
        if size is not None:
            raise RequestError("--from and --size: take one of them; a run that exists has a size")
        # The parent decides the family; `apply_parent` checks the settings of the model
        check_names(family, {n: v for n, v in values.items() if not n.startswith("model.")})
    if size is not None:
        preset(family, size)
    elif family in SIZES and _describes_model(family, values):
        size = next(iter(SIZES[family]))  # the recipe; every width is set already
    return size


def _describes_model(family: str, values: Mapping[str, Any]) -> bool:
    """Whether the values describe the whole model, as those of a run.toml do."""
    smallest = next(iter(SIZES[family].values()))
    return all(f"model.{name}" in values for name in smallest.model)


def _read(file: Path) -> dict[str, Any]:
    try:
        data = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise RequestError(f"--config {file}: there is no such file") from None
    except (OSError, ValueError) as error:
        raise RequestError(f"--config {file}: {one_line(error)}") from error
    return {name: value for name, value in data.items() if name not in RECORDED}


def _flat(sections: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for section, content in sections.items():
        if not isinstance(content, dict):
            raise RequestError(f"--config: {section} stands outside a section such as [training]")
        values.update({f"{section}.{name}": value for name, value in content.items()})
    return values


def _change(change: str) -> tuple[str, Any]:
    name, equals, text = change.partition("=")
    name, text = name.strip(), text.strip()
    if not equals or not name:
        raise RequestError(f"--set {change}: write name=value, e.g. training.learning_rate=0.003")
    if "," in text and _NUMBERS.fullmatch(
        text
    ):  # a list without brackets, or a tuple as Python writes it
        text = f"[{text.strip('()')}]"
    try:  # TOML knows numbers, lists and true/false; what it can't read is a plain string
        return name, tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if text in ("True", "False"):
            return name, text == "True"
        return name, text


def check_names(family: str, values: Mapping[str, Any]) -> None:
    """Raise `RequestError` for a dotted name that is no setting, or none of this family."""
    known = [
        f"{section}.{name}"
        for section, field_ in Settings.model_fields.items()
        for name in field_.annotation.model_fields  # type: ignore[union-attr]
    ]
    known += [f"model.{name}" for name in config_class(family).model_fields]
    elsewhere = {
        f"model.{name}": candidate.families[0]
        for candidate in reversed(CONFIG_CLASSES)
        for name in candidate.model_fields
    }
    for name in values:
        if name in known:
            continue
        if name in elsewhere:
            raise RequestError(
                f"{name} is a setting of {elsewhere[name]}, not of {family}"
                f"{nearest(name, [other for other in known if other.startswith('model.')])}"
            )
        raise RequestError(f"unknown setting {name}{nearest(name, known)}")
