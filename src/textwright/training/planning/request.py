"""What a user asked for, made into settings: presets, a TOML file, options, `--set`; later wins.

Every setting has one dotted name, the same in `run.toml`, `--config` and `--set`. Unknown names
are errors that offer the nearest one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

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
from textwright.training.planning.presets import CONTINUED_RATE, SIZES, preset

RECORDED = ("run", "data", "parent", "plan", "result")
"""Sections of a run.toml that tell what happened; as `--config` they are read over."""

SETTING_OF_PARENT = "training.parent"

DEFAULT_MINUTES = 5.0


@dataclass(frozen=True)
class Request:
    """A training as it was asked for.

    `values` holds what the user set, by dotted name; what is not there is left to presets and
    plan. `size` None lets the plan choose.
    """

    family: str
    size: str | None
    values: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    """`values` without defaults, with `model.family` and `plan.size` where they were given."""

    def section(self, name: str) -> dict[str, Any]:
        """The values of a section, by their names inside it."""
        prefix = f"{name}."
        return {
            key.removeprefix(prefix): value
            for key, value in self.values.items()
            if key.startswith(prefix)
        }

    def settings(self, size: str | None) -> Settings:
        """All settings but the model's, with the recipe of `size`, gentler with a parent.

        Raises:
            RequestError: a value is out of range; every fault is named.
        """
        recipe = dict(preset(self.family, size).training) if size else {}
        if self.values.get(SETTING_OF_PARENT) is not None:
            for name in _RATES:
                usual = TrainingSettings.model_fields[name].default
                recipe[name] = CONTINUED_RATE * recipe.get(name, usual)
        sections: dict[str, dict[str, Any]] = {
            name: self.section(name) for name in Settings.model_fields
        }
        sections["training"] = {**recipe, **sections["training"]}
        try:
            return Settings.model_validate(sections)
        except ValidationError as error:
            raise RequestError(one_line(error)) from error


def request(
    *,
    family: str | None = None,
    size: str | None = None,
    config: Path | None = None,
    options: Mapping[str, Any] | None = None,
    changes: Sequence[str] = (),
) -> Request:
    """Put together what was asked for.

    Args:
        family: `--model`; None takes what `config` says, else `lstm`.
        size: `--size`.
        config: a TOML file with sections as in `run.toml`.
        options: other options by dotted name; None values were not given.
        changes: `name=value`, as after `--set`.

    Raises:
        RequestError: a name is unknown, a value makes no sense, or two budgets are asked for.

    With a parent, family and size are not known yet: `training.parent.with_parent` goes on.
    """
    values = _flat(_read(config)) if config else {}
    given = {name: value for name, value in (options or {}).items() if value is not None}
    set_by_hand = dict(_change(change) for change in changes)
    flags = {name: "--" + name.removeprefix("training.") for name in _BUDGETS if name in given}
    by_hand = {name: f"--set {name}" for name in _BUDGETS if name in set_by_hand}
    budgets = {**by_hand, **flags}
    if len(budgets) > 1:
        raise RequestError(f"{' and '.join(budgets.values())}: take one of them")
    for layer in (given, set_by_hand):
        if any(name in layer for name in _BUDGETS):  # a new budget replaces the file's
            values = {name: value for name, value in values.items() if name not in _BUDGETS}
        values.update(layer)
    values.pop("model.vocab_size", None)  # the tokenizer decides
    explicit = dict(values)
    if family is not None:
        explicit["model.family"] = family
    if size is not None:
        explicit["plan.size"] = size
    family = str(explicit.get("model.family", DEFAULT_FAMILY))
    values.pop("model.family", None)
    config_class(family)  # names an unknown family
    if values.get(SETTING_OF_PARENT) is not None:
        if size is not None:
            raise RequestError("--from and --size: take one of them; a run that exists has a size")
        # Whose settings those of the model are is the parent's to say
        check_names(family, {n: v for n, v in values.items() if not n.startswith("model.")})
    else:
        check_names(family, values)
    if size is not None:
        preset(family, size)
    elif family in SIZES and _describes_model(family, values):
        size = next(iter(SIZES[family]))  # the recipe; every width is set already
    if not any(name in values for name in _BUDGETS):
        values["training.minutes"] = DEFAULT_MINUTES
    made = Request(family, size, values, explicit)
    made.settings(size)  # names what is out of range before anything is read
    return made


def request_from(arguments: Mapping[str, Any]) -> Request:
    """The request in the arguments of `textwright.train`; other arguments are read over."""
    config, validation = arguments.get("config"), arguments.get("validation")
    parent = arguments.get("parent")
    options = {long: arguments.get(short) for short, long in _ARGUMENTS.items()}
    options["corpus.validation"] = None if validation is None else str(validation)
    options[SETTING_OF_PARENT] = None if parent is None else _reference(parent)
    return request(
        family=arguments.get("model"),
        size=arguments.get("size"),
        config=None if config is None else Path(config),
        options=options,
        changes=arguments.get("changes") or (),
    )


def _reference(parent: Any) -> str:
    """A run, or what `runs.find` takes, as a setting holds it."""
    return str(parent.path if isinstance(parent, Run) else parent)


_ARGUMENTS = {
    "tokenizer": "tokenizer.kind",
    "vocab_size": "tokenizer.vocab_size",
    "lowercase": "tokenizer.lowercase",
    "minutes": "training.minutes",
    "steps": "training.steps",
    "epochs": "training.epochs",
    "validation_fraction": "corpus.validation_fraction",
    "eval_every": "training.eval_every",
    "checkpoint_every": "training.checkpoint_every",
    "seed": "training.seed",
    "device": "training.device",
    "loss_on": "training.loss_on",
}

DEFAULT_FAMILY = "lstm"
_BUDGETS = ("training.steps", "training.epochs", "training.minutes")
_RATES = ("learning_rate", "matrix_learning_rate")


def _describes_model(family: str, values: Mapping[str, Any]) -> bool:
    """Whether the values give a model whole, as those of a run.toml do."""
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
