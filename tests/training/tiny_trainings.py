"""Trainings of a fraction of a second, and an observer that keeps what it is told."""

from __future__ import annotations

import signal
from typing import Any

import textwright
from textwright.runs import Run
from textwright.training import Evaluation, Observer, Plan, Progress, Result, Sample

TINY: dict[str, list[str]] = {
    "lstm": ["model.hidden_size=24", "model.embedding_size=16", "model.block_size=16"],
    "gpt": ["model.hidden_size=32", "model.num_heads=1", "model.num_layers=2"],
    "transformer": ["model.hidden_size=32", "model.num_heads=1", "model.num_layers=1"],
}
for changes in TINY.values():
    changes += ["training.batch_size=4", "model.block_size=16", "training.sample_tokens=40"]
    changes += ["training.companion=off"]


def train(*corpus: Any, family: str = "lstm", more: list[str] | None = None, **options: Any) -> Run:
    """`textwright.train` of so small a model, 40 steps with an evaluation every 10."""
    changes = [*TINY[family], *(more or [])]
    options = {"steps": 40, "eval_every": 10, "model": family, "changes": changes, **options}
    return textwright.train(*corpus, **options)


class Recorder(Observer):
    """Keeps what it is told; at `stop_at` it asks the process to stop, as Ctrl-C would."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.evaluations: list[Evaluation] = []
        self.result: Result | None = None
        self.began_at: int | None = None
        self.stop_at = stop_at

    def started(self, run: Run, plan: Plan, step: int) -> None:
        self.began_at = step

    def progressed(self, progress: Progress) -> None:
        assert 0 < progress.step <= progress.steps and progress.seconds_left >= 0

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        self.evaluations.append(evaluation)
        if evaluation.step == self.stop_at:
            signal.raise_signal(signal.SIGINT)

    def finished(self, run: Run, result: Result) -> None:
        self.result = result
