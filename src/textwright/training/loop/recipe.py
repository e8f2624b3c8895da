"""The recipe of a training: model, settings and plan, complete before the first step.

A run folder holds it (`config.json`, `run.toml`), so that going on needs nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from textwright.configs import ModelConfig, Settings, TrainingSettings, model_config


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

    def record(self) -> dict[str, Any]:
        """As `run.toml` holds it."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Plan:
        """What `record` gave, with the Nones that TOML can't hold."""
        return cls(**{"size": None, **record})


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
