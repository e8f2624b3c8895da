"""The recipe of a training: model, settings and plan, complete before the first step.

A run folder holds it (`config.json`, `run.toml`), so that going on needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from textwright.configs import ModelConfig, Settings, TrainingSettings, model_config
from textwright.training.optim.optimizer import Course


@dataclass(frozen=True)
class Leg:
    """A part of a training that was planned by itself: all of it, but where it was gone on with."""

    begin: int
    """The step that it goes on from; 0 of the first."""
    steps: int
    """The step that it was planned to end at."""
    dropout: float
    asked: str
    """The budget, in words: `epochs 6`, `minutes +2`."""
    command: str
    created: str
    textwright: str


@dataclass(frozen=True)
class Plan:
    """What a training will do, step for step."""

    size: str | None
    parameters: int
    steps: int
    tokens_per_step: int
    epochs: float
    eval_every: int
    checkpoint_every: int
    eval_tokens: int
    """Validation tokens an evaluation reads; 0 reads all."""
    protocol: str
    """How an evaluation reads it, in words."""
    memory_bytes: int
    """Rough need while training: weights, gradients, optimiser, activations."""
    minutes: float | None = None
    expected_seconds: float | None = None
    tokens_per_second: float | None = None
    base_bits: float | None = None
    """Bits a character at which `--from english` would have begun, where that was looked at."""
    legs: tuple[Leg, ...] = ()
    """Of a training that was gone on with beyond its plan, the first one included; `steps` is where
    the last one ends."""

    @property
    def course(self) -> Course:
        """Of the learning rate, and of what else depends on where a leg begins."""
        return [(leg.begin, leg.steps) for leg in self.legs] or [(0, self.steps)]

    @property
    def leg_begin(self) -> int:
        """The step that the last leg goes on from."""
        return self.course[-1][0]

    def record(self) -> dict[str, Any]:
        """As `run.toml` holds it."""
        record = asdict(self)
        if not self.legs:
            del record["legs"]
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Plan:
        """What `record` gave, with the Nones that TOML can't hold."""
        legs = tuple(Leg(**leg) for leg in record.get("legs", ()))
        return cls(**{"size": None, **record, "legs": legs})


@dataclass(frozen=True)
class Recipe:
    """All that decides what a training does to a text."""

    model: ModelConfig
    settings: Settings
    plan: Plan

    @property
    def training(self) -> TrainingSettings:
        return self.settings.training

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "model": self.model.to_json(),
            "settings": self.settings.model_dump(),
            "plan": self.plan.record(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Recipe:
        """What `record` gave."""
        return cls(
            model_config(record["model"]),
            Settings.model_validate(record["settings"]),
            Plan.from_record(record["plan"]),
        )
