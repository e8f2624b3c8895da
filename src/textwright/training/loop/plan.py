"""What a training will do, step for step; frozen before it begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Plan:
    """What a training will do."""

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

    def record(self) -> dict[str, Any]:
        """As `run.toml` holds it."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Plan:
        """What `record` gave, with the Nones that TOML can't hold."""
        return cls(**{"size": None, **record})
