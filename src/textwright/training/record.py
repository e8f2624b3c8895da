"""A training as its run folder records it: finding the run to resume and opening its recipe and
dataset; and what is written before the first step, for a leg beyond the plan, and at the end."""

from __future__ import annotations

import math
import platform
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from textwright import atomic, runs
from textwright.configs import Settings, one_line
from textwright.data.corpus import Corpus, recorded_source
from textwright.data.prepared_conversations import ConversationPart
from textwright.data.sources.addresses import without_secrets
from textwright.data.training_corpus import open_training_corpus
from textwright.errors import RequestError, RunError
from textwright.generation.options import write_generation_config
from textwright.models.device import choose_device, precision_to_resume, use_threads
from textwright.reporting import write_card_and_report
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.training.companion import Gain
from textwright.training.loop.callbacks import Result
from textwright.training.loop.checkpoints import remove_old
from textwright.training.loop.dataset import Dataset, tokenize_corpus
from textwright.training.loop.recipe import Plan, Recipe
from textwright.training.planning.parent import Parent, same_parent
from textwright.training.planning.request import BUDGETS, SETTING_OF_PARENT, Request
from textwright.version import VERSION

_OLDER_RUNS = {"shards": 1}
"""Settings that older runs don't record, with the values that resume them exactly."""


def run_to_resume(request: Request) -> Run | None:
    """The run that `--resume` means; None where there is none yet and a text was named.

    That is the run that is named; without a name the latest run on the sources, or without those
    the latest.

    Raises:
        RunError: there is no such run, and no text to begin one with.
    """
    name, folder = request.name, request.folder
    if name is not None:
        runs.check_name(name)
    known = [run for run in runs.list_runs(folder) if run.settings_file.is_file()]
    if name is not None:
        named = runs.match_run(name, known)
        known = [] if named is None else [named]
    elif request.sources:
        sources = [recorded_source(source) for source in request.sources]
        known = [run for run in known if _sources(run) == sources]
    if known:
        return max(known, key=lambda run: run.settings_file.stat().st_mtime)
    if request.sources:
        return None
    which = f"no run {name!r}" if name is not None else "no run"
    raise RunError(f"{which} in {folder} to go on with; name the text, and it will be begun")


def _sources(run: Run) -> Any:
    try:
        return run.settings().get("corpus", {}).get("sources")
    except RunError:
        return None  # a damaged run is not the one meant


def check_unchanged(run: Run, request: Request) -> None:
    """Raise `RequestError` where something asked for differs from what the run began with, but for
    how long: see `Request.beyond`."""
    before = {
        f"{section}.{name}": value
        for section, content in run.settings().items()
        if isinstance(content, dict)
        for name, value in content.items()
    }
    for name, value in request.given.items():
        if name in BUDGETS:
            continue
        if name == "corpus.validation" and value is not None:
            value = recorded_source(value)  # noqa: PLW2901
        if name == "corpus.sources" and isinstance(value, list):
            value = [recorded_source(source) for source in value]  # noqa: PLW2901
        old = before.get(name)
        if (
            name == SETTING_OF_PARENT
            and old is not None
            and same_parent(value, old, request.folder)
        ):
            continue
        same = value in (old, "auto") or (
            isinstance(value, float | int)
            and isinstance(old, float | int)
            and math.isclose(old, value)
        )
        if not same and not (old is None and value in (None, [])):
            raise RequestError(
                f"{name} is {old!r} in run {run.name!r}, not {value!r}; --resume goes on exactly "
                "as planned: leave it out, or begin another run"
            )


def result_if_done(run: Run) -> Result | None:
    """How the run ended, where it has been trained to its end."""
    result = run.settings().get("result", {})
    if result.get("status") not in ("finished", "stopped early") or not run.has_model():
        return None
    try:
        return Result(**{"val_loss": None, "val_bits_per_char": None, **result})
    except TypeError as error:
        raise RunError(
            f"run {run.name!r}: run.toml is damaged: {one_line(error)}; "
            "mend it, or begin another run"
        ) from error


def load_recipe(run: Run) -> Recipe:
    """The recipe that a run began with; sets torch's number of threads to the recipe's.

    Raises:
        RunError: the run is damaged.
    """
    recorded = run.settings()
    try:
        sections = {name: recorded[name] for name in Settings.model_fields}
        sections["training"] = {**_OLDER_RUNS, **sections["training"]}
        settings = Settings.model_validate(sections)
        plan = Plan.from_record(recorded["plan"])
    except (KeyError, TypeError, ValidationError) as error:
        raise RunError(
            f"run {run.name!r}: run.toml is damaged: {one_line(error)}; "
            "mend it, or begin another run"
        ) from error
    model = run.config()
    if "dropout" in recorded.get("model", {}):  # a leg may have another than config.json yet
        model = model.model_copy(update={"dropout": recorded["model"]["dropout"]})
    training = settings.training
    use_threads(training.threads)
    device = choose_device(training.device, model.family)
    training.precision = precision_to_resume(training.precision, device)
    return Recipe(model, settings, plan)


def open_dataset(run: Run, recipe: Recipe, sources: Sequence[str]) -> Dataset:
    """The tokens of the text that a run was trained on; from `sources`, or the recorded ones.

    Raises:
        RunError: the text has changed, or it was standard input.
    """
    corpus = open_training_corpus(run, sources)
    return tokenize_corpus(corpus, Tokenizer.load(run), recipe.training.loss_on)


def write_start(
    run: Run, recipe: Recipe, dataset: Dataset, parent: Parent | None, command: str | None
) -> None:
    """Write all that resuming needs, before the first step."""
    corpus = dataset.corpus
    config, settings = recipe.model, recipe.settings
    device = choose_device(settings.training.device, config.family)
    dataset.tokenizer.save(run)
    write_generation_config(run, settings.sampling, dataset.tokenizer)
    run.write_json(run.config_file, config.to_json())
    run.write_settings(  # last: with this file the run can be resumed
        {
            **settings.model_dump(),
            "model": config.model_dump(),
            "run": {
                "name": run.name,
                "command": without_secrets(command or shlex.join(sys.argv)),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "textwright": VERSION,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
                "platform": platform.platform(),
                "threads": torch.get_num_threads(),
                "device": device.type,
                "precision": settings.training.precision,
            },
            "data": {
                "name": corpus.name,
                "sha256": corpus.sha256,
                "licence": corpus.licence,
                "train_tokens": dataset.train.tokens,
                "validation_tokens": dataset.validation.tokens,
                "train_characters": corpus.train.characters,
                "validation_characters": corpus.validation.characters,
                "validation_unknown": dataset.validation.unknown_share,
                **_conversations(corpus),
                "vocab_size": dataset.tokenizer.vocab_size,
                "sources": [asdict(source) for source in corpus.sources],
                "warnings": list(corpus.warnings),
            },
            "parent": None if parent is None else parent.record(),
            "plan": recipe.plan.record(),
            "result": {"status": "running"},
        }
    )


def _conversations(corpus: Corpus) -> dict[str, int]:
    """How many conversations a corpus of them has."""
    parts = {"train": corpus.train, "validation": corpus.validation}
    return {
        f"{name}_conversations": part.count
        for name, part in parts.items()
        if isinstance(part, ConversationPart)
    }


def write_leg(run: Run, recipe: Recipe) -> None:
    """Write the recipe of a new leg, which replaces the one before."""
    run.write_settings(
        {
            **run.settings(),
            **recipe.settings.model_dump(),
            "model": recipe.model.model_dump(),
            "plan": recipe.plan.record(),
            "result": {"status": "running"},
        }
    )
    run.write_json(run.config_file, recipe.model.to_json())


def write_result(run: Run, result: Result, gain: Gain | None = None) -> None:
    """Write the result, the companion's gain, the card and the report."""
    settings = {**run.settings(), "result": asdict(result)}
    settings["companion"] = None if gain is None else gain.record()
    run.write_settings(settings)
    write_card_and_report(run)


def complete(run: Run, result: Result) -> None:
    """Finish what a process killed after its last step left undone: files to write, to remove."""
    atomic.remove_partials(run.path)
    atomic.remove_partials(run.checkpoints_folder)
    keep = run.settings().get("training", {}).get("keep_checkpoints", 1)
    remove_old(run, keep, result.best_step)
    ended = run.settings_file.stat().st_mtime
    for file in (run.card_file, run.report_file):
        if not file.is_file() or file.stat().st_mtime < ended:
            write_card_and_report(run)
            return
