"""What a job left, checked and made a run of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

from textwright import atomic, runs
from textwright.errors import RunError
from textwright.generation import Generator, load
from textwright.generation.chat import converse
from textwright.generation.chat_template import SpeakerNames
from textwright.reporting import name_run
from textwright.runs import Run

SAMPLES = 3
"""Texts that `verify` generates."""
_OPENING, _TURNS = "Hello! How are you?", 4


def verify(folder: Path) -> list[str]:
    """Load the model in `folder` and generate; returns a text for each of the seeds 1, 2, 3, of a
    model of conversations a conversation with itself.

    Raises:
        RunError: it can't be loaded.
    """
    model = load(Run(folder))
    if model.tokenizer.chat is not None:
        return [_conversation(model, seed) for seed in range(1, SAMPLES + 1)]
    return [str(model.generate("", max_tokens=200, seed=seed)) for seed in range(1, SAMPLES + 1)]


def _conversation(model: Generator, seed: int) -> str:
    names = {"user": SpeakerNames().user, "assistant": SpeakerNames().model}
    said = converse(model, _OPENING, _TURNS, seed=seed, max_tokens=60)
    return "\n".join(f"{names[one.role]}: {one.content}" for one in said)


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
        raise RunError("what the job left is no whole model: it lacks files; its log says why")
    verify(folder)
    run = runs.create(None, name, runs.runs_folder(runs_folder))
    with atomic.replacing(run.path) as partial:
        shutil.copytree(folder, partial)
    name_run(run)
    return run
