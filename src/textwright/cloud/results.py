"""What a job left, checked and made a run of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from textwright import atomic, runs
from textwright.errors import RunError
from textwright.generation import load
from textwright.runs import Run

SAMPLES = 3
"""Texts that `verify` generates."""


def verify(folder: Path) -> list[str]:
    """Load the model in `folder` and generate; returns a text for each of the seeds 1, 2, 3.

    Raises:
        RunError: it can't be loaded.
    """
    model = load(Run(folder))
    return [str(model.generate("", max_tokens=200, seed=seed)) for seed in range(1, SAMPLES + 1)]


def keep_run(folder: Path, name: str, runs_folder: str | Path | None = None) -> Run:
    """Make a run of a folder that was downloaded, once its model is loaded and has generated.

    Args:
        folder: with the run's files.
        name: of the run; `-2`, `-3` … is added where that is taken.
        runs_folder: the folder of runs.

    Raises:
        RunError: there is no model in it, or it can't be loaded.
    """
    if not Run(folder).has_model():
        raise RunError("what the job left is no model of textwright: it lacks files")
    verify(folder)
    run = runs.create(None, name, runs.runs_folder(runs_folder))
    with atomic.replacing(run.path) as partial:
        shutil.copytree(folder, partial)
    return run
