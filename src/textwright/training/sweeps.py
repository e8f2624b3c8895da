"""A sweep as its folder holds it: its trials, `sweep.json`, and its report."""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textwright import atomic, runs
from textwright.data.corpus import recorded_source
from textwright.errors import MissingPackageError, RunError
from textwright.reporting import RunSummary
from textwright.reporting.sweep import Row, write_sweep
from textwright.runs import Run
from textwright.training.trials import (
    DEFAULTS,
    Rung,
    Values,
    arguments,
    plan_rungs,
    seconds_each,
)

log = logging.getLogger("textwright")

FOLDER = "-sweep"
"""What the folder of a sweep has after the name of its winner."""


@dataclass
class Trial:
    """One combination of values, and how far it is."""

    run: Run
    values: Values
    state: str = "waiting"
    """`waiting`, `training`, `paused`, `stopped` (at a rung), `finished` or `failed`."""
    reason: str | None = None
    """Why it failed."""

    @property
    def summary(self) -> RunSummary:
        return RunSummary.read(self.run)


@dataclass
class Sweep:
    """A sweep as it was asked for, its trials, and once it is over its winner."""

    folder: Path
    name: str
    """Of the run that the winner becomes."""
    sources: list[str]
    fixed: Values
    minutes: float | None
    steps: int | None
    jobs: int
    """Trials side by side, of all workers together."""
    threads: int
    trials: list[Trial]
    winner: Run | None = None
    interrupted: bool = False
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    @property
    def rungs(self) -> list[Rung]:
        return plan_rungs(len(self.trials), self.jobs)

    @property
    def seconds_each(self) -> float | None:
        """Of one trial's full length; None with counted steps."""
        if self.minutes is None:
            return None
        return seconds_each(self.minutes, self.rungs, self.jobs)

    @property
    def file(self) -> Path:
        return self.folder / "sweep.json"

    @property
    def report_file(self) -> Path:
        return self.folder / "sweep.html"

    def words(self, trial: Trial) -> list[str]:
        """What follows `textwright train` for a trial."""
        each = self.seconds_each
        budget = f"--steps={self.steps}" if each is None else f"--minutes={each / 60:.4g}"
        return [*self.sources, budget, *arguments(DEFAULTS | self.fixed | trial.values)]

    def record(self) -> dict[str, Any]:
        """What `sweep.json` holds."""
        return {
            "name": self.name, "fixed": self.fixed,
            "sources": [recorded_source(source) for source in self.sources],
            "minutes": self.minutes, "steps": self.steps, "jobs": self.jobs,
            "threads": self.threads, "winner": None if self.winner is None else self.winner.name,
            "trials": [{"name": one.run.name, "values": one.values, "reason": one.reason}
                       for one in self.trials],
        }  # fmt: skip

    def rows(self) -> list[Row]:
        """The table, the best trial first: those that came further before those that didn't."""
        rows = [Row(one.values, one.state, one.reason, one.summary) for one in self.trials]
        return sorted(rows, key=lambda row: row.order)

    def save(self) -> None:
        """Write `sweep.json` and `sweep.html`."""
        with self.lock:
            atomic.write_text(self.file, json.dumps(self.record(), indent=2) + "\n")
            try:
                winner = None if self.winner is None else self.winner.name
                write_sweep(self.report_file, self.name, self.rows(), winner)
            except MissingPackageError as error:
                log.warning("%s", error)


def load_sweep(name: str | None, runs_folder: str | Path | None) -> Sweep:
    """The sweep of this name, or the last one, as its folder has it.

    Raises:
        RunError: there is none, or it is damaged.
    """
    root = runs.runs_folder(runs_folder)
    files = [root / f"{name}{FOLDER}" / "sweep.json"] if name else _files(root)
    if not files or not files[-1].is_file():
        which = f"sweep {name!r}" if name else "sweep"
        raise RunError(f"there is no {which} in {root}; begin one: textwright sweep FILE --try …")
    file = files[-1]
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        winner = data.pop("winner")
        trials = [Trial(Run(file.parent / runs.check_name(one["name"])), one["values"],
                        "failed" if one["reason"] else "waiting", one["reason"])
                  for one in data.pop("trials")]  # fmt: skip
        found = Sweep(file.parent, **data, trials=trials)
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise RunError(f"{file} is damaged ({error}); begin another sweep") from error
    found.winner = None if winner is None else Run(root / winner)
    return found


def _files(root: Path) -> list[Path]:
    """The files of all sweeps, the last one to be written last."""
    return sorted(root.glob(f"*{FOLDER}/sweep.json"), key=lambda file: file.stat().st_mtime)


def free_name(stem: str, root: Path) -> str:
    """`stem`, or with the first number for which there is neither a sweep nor a run."""
    number = 1
    while True:
        name = stem if number == 1 else f"{stem}-{number}"
        if not (root / f"{name}{FOLDER}").exists() and not (root / name).exists():
            return name
        number += 1
