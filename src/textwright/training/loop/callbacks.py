"""What a training tells while it runs: a few records, and the protocol of those who listen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from textwright.runs import Run
from textwright.training.loop.recipe import Plan


@dataclass(frozen=True)
class Progress:
    """Where a training stands between evaluations."""

    step: int
    steps: int
    train_loss: float
    """Mean since the last evaluation, nats a token."""
    tokens_per_second: float
    seconds: float
    seconds_left: float


@dataclass(frozen=True)
class Evaluation:
    """One line of `metrics.jsonl`."""

    step: int
    epoch: float
    tokens: int
    seconds: float
    train_loss: float | None
    """Mean since the evaluation before, nats a token; None where no step came between."""
    val_loss: float
    val_bits_per_char: float
    lr: float
    """AdamW's learning rate at this step."""
    tokens_per_second: float
    best: bool

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Sample:
    """One line of `samples.jsonl`: what the model wrote at an evaluation."""

    step: int
    prompt: str
    text: str

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Result:
    """How a training ended."""

    status: str
    """`finished`, `stopped early`, `interrupted` or `diverged`."""
    steps: int
    seconds: float
    best_step: int
    val_loss: float | None
    val_bits_per_char: float | None
    verdict: str


class Observer:
    """Told of everything; overrides what it cares about."""

    def started(self, run: Run, plan: Plan, step: int) -> None:
        """Training begins, or goes on, at `step`."""

    def progressed(self, progress: Progress) -> None:
        """A step is done; called at most a few times a second."""

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        """An evaluation is done and written."""

    def finished(self, run: Run, result: Result) -> None:
        """Training ended in order, or was interrupted and saved."""

    def closed(self) -> None:
        """Training is over, in whatever way; called last, always."""
