"""The recipe of a training: model, settings and plan, complete before the first step.

A run folder holds it (`config.json`, `run.toml`), so that resuming needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from textwright.configs import ModelConfig, Settings, TrainingSettings, model_config
from textwright.training.optim.optimizer import Course


@dataclass(frozen=True)
class Leg:
    """A planned part of a training: the whole of it, unless `--resume` went beyond the plan."""

    begin: int
    """Its first step; 0 for the first leg."""
    steps: int
    """The step that it is planned to end at."""
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
    """Bits a character of `--from english` before any step, where that was measured."""
    legs: tuple[Leg, ...] = ()
    """All legs of a training that was resumed beyond its plan, else empty; the last ends at
    `steps`."""

    @property
    def course(self) -> Course:
        """The legs, for what depends on where one begins, such as the learning rate."""
        return [(leg.begin, leg.steps) for leg in self.legs] or [(0, self.steps)]

    @property
    def leg_begin(self) -> int:
        """The first step of the last leg."""
        return self.course[-1][0]

    def record(self) -> dict[str, Any]:
        """For `run.toml`."""
        record = asdict(self)
        if not self.legs:
            del record["legs"]
        return record

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Plan:
        """The inverse of `record`, also from TOML, which has no None."""
        legs = tuple(Leg(**leg) for leg in record.get("legs", ()))
        return cls(**{"size": None, **record, "legs": legs})


@dataclass(frozen=True)
class Recipe:
    """Everything that determines a training, but for the text."""

    model: ModelConfig
    settings: Settings
    plan: Plan

    @property
    def training(self) -> TrainingSettings:
        return self.settings.training

    def record(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model.to_json(),
            "settings": self.settings.model_dump(),
            "plan": self.plan.record(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Recipe:
        """The inverse of `record`."""
        return cls(
            model_config(record["model"]),
            Settings.model_validate(record["settings"]),
            Plan.from_record(record["plan"]),
        )
