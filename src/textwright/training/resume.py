"""Going on with a run: which one is meant, whether it may, and where it stood."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from textwright import runs
from textwright.configs import ModelConfig, Settings, one_line
from textwright.data.provenance import absolute_source, open_training_corpus
from textwright.errors import RequestError, RunError
from textwright.models.device import choose_device, precision_to_resume, use_threads
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.training.loop.callbacks import Result
from textwright.training.loop.plan import Plan
from textwright.training.planning.parent import same_parent
from textwright.training.planning.prepare import Prepared, tokenized
from textwright.training.planning.request import SETTING_OF_PARENT


@dataclass(frozen=True)
class Interrupted:
    """All that a run needs to go on."""

    config: ModelConfig
    settings: Settings
    plan: Plan
    prepared: Prepared


def run_to_resume(name: str | None, folder: Path, sources: Sequence[str]) -> Run | None:
    """The run that `--resume` means; None where it is to be begun.

    That is run `name`; without one the latest run on `sources`, or without those the latest.

    Raises:
        RunError: there is none, and no text to begin with.
    """
    if name is not None:
        runs.check_name(name)
    begun = [run for run in runs.listed(folder) if run.settings_file.is_file()]
    if name is not None:
        meant = runs.matching(name, begun)
        begun = [] if meant is None else [meant]
    elif sources:
        wanted = [absolute_source(source) for source in sources]
        begun = [run for run in begun if _sources(run) == wanted]
    if begun:
        return max(begun, key=lambda run: run.settings_file.stat().st_mtime)
    if sources:
        return None
    which = f"no run {name!r}" if name is not None else "no run"
    raise RunError(f"{which} in {folder} to go on with; name the text, and it will be begun")


def _sources(run: Run) -> Any:
    try:
        return run.settings().get("corpus", {}).get("sources")
    except RunError:
        return None  # a damaged run is not the one meant


def check_unchanged(run: Run, given: Mapping[str, Any], folder: Path) -> None:
    """Raise `RequestError` where something asked for differs from what the run began with.

    Args:
        given: what the user set, by dotted name.
        folder: where runs live.
    """
    before = {
        f"{section}.{name}": value
        for section, content in run.settings().items()
        if isinstance(content, dict)
        for name, value in content.items()
    }
    for name, value in given.items():
        if name == "corpus.validation" and value is not None:
            value = absolute_source(value)  # noqa: PLW2901
        old = before.get(name)
        if name == SETTING_OF_PARENT and old is not None and same_parent(value, old, folder):
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
        raise RunError(f"run {run.name!r}: run.toml is damaged: {one_line(error)}") from error


def reload(run: Run, sources: Sequence[str]) -> Interrupted:
    """What the run began with; its thread count is in force then.

    Raises:
        RunError: the run is damaged, or its text has changed.
    """
    recorded = run.settings()
    try:
        settings = Settings.model_validate({name: recorded[name] for name in Settings.model_fields})
        plan = Plan.from_record(recorded["plan"])
    except (KeyError, TypeError, ValidationError) as error:
        raise RunError(f"run {run.name!r}: run.toml is damaged: {one_line(error)}") from error
    use_threads(settings.training.threads)
    config = run.config()
    device = choose_device(settings.training.device, config.family)
    settings.training.precision = precision_to_resume(settings.training.precision, device)
    prepared = tokenized(
        open_training_corpus(run, sources), Tokenizer.load(run), settings.training.loss_on
    )
    return Interrupted(config, settings, plan, prepared)
