"""A job's log as it comes by: its lines, and the evaluations in them."""

from __future__ import annotations

import re
from typing import Protocol

METRICS = {
    "train_loss": r"train_loss ([0-9.]+)",
    "val_loss": r"val_loss ([0-9.]+)",
    "bits_per_char": r"bits_per_char ([0-9.]+)",
    "tokens_per_second": r"tokens_per_second ([0-9.]+)",
}
"""The patterns of the numbers in the line of an evaluation, by name; CloudWatch takes them too."""


class JobObserver(Protocol):
    """Called while a job is followed."""

    def state(self, name: str, message: str) -> None:
        """The job has entered a state, e.g. `Downloading`."""

    def log_line(self, text: str) -> None:
        """A line of its log."""

    def metrics(self, step: int, steps: int, values: dict[str, float]) -> None:
        """An evaluation at `step` of `steps`: its metrics by name."""


def parse_evaluation(line: str) -> tuple[int, int, dict[str, float]] | None:
    """Step, steps and metrics of a log line that reports an evaluation; None of others."""
    progress = re.search(r"\bstep (\d+)/(\d+)", line)
    if progress is None:
        return None
    matches = {name: re.search(rf"\b{regex}", line) for name, regex in METRICS.items()}
    values = {name: float(match[1]) for name, match in matches.items() if match is not None}
    return int(progress[1]), int(progress[2]), values
