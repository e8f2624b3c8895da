"""A training from request to report: text, tokenizer, plan, run folder, loop, report.

`train` reads top to bottom as what happens. Nothing is left in the runs folder before a plan
stands; from then on the folder holds all that resuming needs.
"""

from __future__ import annotations

import logging
import math
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch
from pydantic import ValidationError

from textwright import runs
from textwright.configs import ModelConfig, Settings, one_line
from textwright.corpora import Corpus, TokenFile, open_corpus, prepare_tokens
from textwright.errors import DivergedError, MissingPackageError, RequestError, RunError
from textwright.generation import write_generation_config
from textwright.reporting import write_card, write_report
from textwright.runs import Run
from textwright.tokenizers import Tokenizer, train_tokenizer
from textwright.training.events import Observer, Result
from textwright.training.learner import choose_device, choose_precision, use_threads
from textwright.training.logs import log_observers
from textwright.training.plan import Candidate, Plan, counted_plan, timed_plan
from textwright.training.presets import SIZES, model_settings
from textwright.training.request import Request, request_from
from textwright.training.trainer import Data, Trainer
from textwright.version import VERSION

log = logging.getLogger("textwright")

_MEASURING_SECONDS = 2.0
"""Spent on telling how long counted steps will take, where that is asked."""


@dataclass(frozen=True)
class Prepared:
    """The text as tokens, with where it came from."""

    asked: list[str]
    """The sources as they were named; empty for the default."""
    corpus: Corpus
    tokenizer: Tokenizer
    train: TokenFile
    validation: TokenFile

    @property
    def data(self) -> Data:
        return Data(self.train.array(), self.validation.array(), self.validation.read_characters)


def train(
    *corpus: str | Path,
    name: str | None = None,
    runs_folder: str | Path | None = None,
    model: str | None = None,
    size: str | None = None,
    tokenizer: str | None = None,
    vocab_size: int | None = None,
    lowercase: bool | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    validation: str | Path | None = None,
    validation_fraction: float | None = None,
    eval_every: int | None = None,
    checkpoint_every: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    config: str | Path | None = None,
    changes: Sequence[str] = (),
    resume: bool = False,
    logs: Sequence[str] = (),
    observers: Sequence[Observer] = (),
    command: str | None = None,
) -> Run:
    """Train a model on `corpus` and give its run.

    Args:
        corpus: files, folders, globs, URLs, names of built-ins; none takes `shakespeare`.
        name: of the run; None derives it from the corpus.
        runs_folder: where runs live; None takes `$TEXTWRIGHT_RUNS`, else `runs`.
        model: `lstm`, `gru`, `rnn`, `gpt` or `transformer`.
        size: `nano` to `large`; None lets the time and the text decide.
        tokenizer: `char`, `word` or `bpe`.
        vocab_size: of `word` and `bpe`.
        lowercase: fold capitals away.
        minutes, steps, epochs: how long; one of them.
        validation: a text to validate on, in place of `validation_fraction` of the corpus.
        eval_every, checkpoint_every: steps between two; None lets the plan choose.
        seed: of weights, batches and dropout.
        device: `auto`, `cpu`, `cuda` or `mps`.
        config: a TOML file of settings, such as another run's `run.toml`.
        changes: `name=value` for any setting by its dotted name.
        resume: go on with run `name`, or the last one, exactly as it was planned.
        logs: `tensorboard`, `csv`.
        observers: told of progress, evaluations and the end.
        command: what reproduces this run, as a person would type it.

    Raises:
        RequestError: something asked for makes no sense; nothing was written.
        TrainingError: training could not go on; what it saved before is whole.
    """
    begin = time.monotonic()
    asked = request_from(locals())
    folder = runs.runs_folder(runs_folder)
    log_observers(logs, None)  # names an unknown one, or a missing package, before the work
    sources = [str(source) for source in corpus]
    if resume and (run := _run_to_resume(name, folder, sources)) is not None:
        return _resume(run, sources, asked, [*observers, *log_observers(logs, run)])
    if name is not None and (folder / runs.check_name(name)).exists():
        runs.create(name, "", folder)  # says that it exists
    prepared = prepare(sources, asked)
    candidate, plan, settings = _plan(asked, prepared, begin)
    run = runs.create(name, prepared.corpus.name, folder)
    with _locked(run), _removed_on_failure(run):
        _write_start(run, candidate.config, settings, plan, prepared, command)
        return _train(run, candidate.config, settings, plan, prepared,
                      [*observers, *log_observers(logs, run)])  # fmt: skip


def plan_training(*corpus: str | Path, **options: Any) -> tuple[ModelConfig, Settings, Plan]:
    """What `train` would do with the same arguments, with the time it would take; trains nothing.

    Raises:
        RequestError: as `train`.
    """
    begin = time.monotonic()
    asked = request_from(options)
    prepared = prepare([str(source) for source in corpus], asked)
    candidate, plan, settings = _plan(asked, prepared, begin, measured=True)
    return candidate.config, settings, plan


def prepare(sources: Sequence[str], asked: Request) -> Prepared:
    """Open the corpus, train the tokenizer, and make tokens of the text."""
    corpus_settings = asked.settings(None).corpus
    if not sources and "corpus.sources" in asked.values:
        sources = corpus_settings.sources
    corpus = open_corpus(
        list(sources) or None,
        validation=corpus_settings.validation,
        validation_fraction=corpus_settings.validation_fraction,
    )
    wanted = asked.settings(None).tokenizer
    tokenizer = train_tokenizer(
        wanted.kind,
        corpus.train.chunks,
        vocab_size=wanted.vocab_size,
        lowercase=wanted.lowercase,
        word_form=corpus.word_form,
    )
    return _tokens(list(sources), corpus, tokenizer)


def _tokens(asked: list[str], corpus: Corpus, tokenizer: Tokenizer) -> Prepared:
    validation = prepare_tokens(corpus.validation, tokenizer)
    if validation.unknown:
        count = sum(validation.unknown.values())
        shown = " ".join(list(validation.unknown)[:10])
        log.warning(
            "%d characters of the validation text (%d distinct, e.g. %s) never occur in the "
            "training text and are left out of the loss", count, len(validation.unknown), shown,
        )  # fmt: skip
    train = prepare_tokens(corpus.train, tokenizer)
    return Prepared(asked, corpus, tokenizer, train, validation)


def _plan(
    asked: Request, prepared: Prepared, begin: float, *, measured: bool = False
) -> tuple[Candidate, Plan, Settings]:
    """Choose what isn't chosen; the settings are complete then."""
    train, validation = prepared.train.array(), prepared.validation.array()
    training = asked.settings(asked.size).training
    choose_device(training.device)  # names a missing one
    use_threads(training.threads)
    vocab_size = prepared.tokenizer.vocab_size
    timed = training.steps is None and training.epochs is None
    sizes = [asked.size] if asked.size else [*SIZES.get(asked.family, [None])]
    if not timed:
        sizes = sizes[:1]  # nothing says how long it may take: the one that is soon done
    candidates = [
        Candidate(
            size,
            model_settings(asked.family, size, vocab_size, asked.section("model")),
            asked.settings(size).training,
            chooses_dropout="model.dropout" not in asked.values,
        )
        for size in sizes
    ]
    if timed:
        assert training.minutes is not None
        chosen, plan = timed_plan(candidates, train, validation, begin + 60 * training.minutes)
    else:
        seconds = _MEASURING_SECONDS if measured else 0.0
        chosen, plan = counted_plan(candidates[0], train, validation, measured_for=seconds)
    settings = asked.settings(chosen.size)
    settings.training = chosen.settings.model_copy(
        update={
            "steps": plan.steps,
            "eval_every": plan.eval_every,
            "checkpoint_every": plan.checkpoint_every,
            "eval_tokens": plan.eval_tokens,
            "threads": torch.get_num_threads(),
        }
    )
    settings.corpus.sources = [
        _absolute(source) for source in prepared.asked or [prepared.corpus.name]
    ]
    return replace(chosen, settings=settings.training), plan, settings


def _absolute(source: str) -> str:
    """A source that can be opened from any folder: files by their whole path."""
    path = Path(source)
    return str(path.resolve()) if path.exists() else source


def _train(
    run: Run,
    config: ModelConfig,
    settings: Settings,
    plan: Plan,
    prepared: Prepared,
    observers: Sequence[Observer],
) -> Run:
    trainer = Trainer(
        run, config, settings.training, plan, prepared.data, prepared.tokenizer, observers
    )
    try:
        result = trainer.train()
    except DivergedError:
        _write_result(run, trainer.result("diverged"))
        raise
    _write_result(run, result)
    for observer in observers:
        observer.finished(run, result)
    return run


def _write_start(
    run: Run,
    config: ModelConfig,
    settings: Settings,
    plan: Plan,
    prepared: Prepared,
    command: str | None,
) -> None:
    """All that resuming needs, before the first step."""
    corpus = prepared.corpus
    device = choose_device(settings.training.device)
    prepared.tokenizer.save(run)
    write_generation_config(run, settings.sampling, prepared.tokenizer)
    run.write_settings(
        {
            **settings.model_dump(),
            "model": config.model_dump(),
            "run": {
                "name": run.name,
                "command": command or shlex.join(sys.argv),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "textwright": VERSION,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
                "platform": platform.platform(),
                "threads": torch.get_num_threads(),
                "device": device.type,
                "precision": str(choose_precision(settings.training.precision, device)),
            },
            "data": {
                "name": corpus.name,
                "sha256": corpus.sha256,
                "licence": corpus.licence,
                "train_tokens": prepared.train.tokens,
                "validation_tokens": prepared.validation.tokens,
                "train_characters": corpus.train.characters,
                "validation_characters": corpus.validation.characters,
                "vocab_size": prepared.tokenizer.vocab_size,
                "sources": [asdict(source) for source in corpus.sources],
                "warnings": list(corpus.warnings),
            },
            "plan": plan.record(),
            "result": {"status": "running"},
        }
    )
    run.write_json(run.config_file, config.to_json())


def _write_result(run: Run, result: Result) -> None:
    run.write_settings({**run.settings(), "result": asdict(result)})
    write_card(run)
    try:
        write_report(run)
    except MissingPackageError as error:  # the model is there; how it came to be can wait
        log.warning("%s", error)


# --- going on -----------------------------------------------------------------------------------


def _run_to_resume(name: str | None, folder: Path, sources: Sequence[str]) -> Run | None:
    """The run that `--resume` means; None where it is to be begun."""
    if name is not None:
        run = Run(folder / runs.check_name(name))
        if run.settings_file.is_file():
            return run
        if run.path.exists():
            raise RunError(f"run {name!r} has no run.toml, so there is nothing to go on from")
        if not sources:
            raise RunError(f"no run {name!r} in {folder}; name the text, and it will be begun")
        return None
    found = [run for run in runs.listed(folder) if run.settings_file.is_file()]
    if not found:
        raise RunError(f"no run in {folder} to go on with; begin one: textwright train FILE")
    return max(found, key=lambda run: run.settings_file.stat().st_mtime)


def _resume(run: Run, sources: Sequence[str], asked: Request, observers: Sequence[Observer]) -> Run:
    recorded = run.settings()
    _check_unchanged(run, asked, recorded)
    with _locked(run):
        result = recorded.get("result", {})
        if result.get("status") in ("finished", "stopped early") and run.has_model():
            done = Result(
                status=result["status"],
                steps=result["steps"],
                seconds=result["seconds"],
                best_step=result["best_step"],
                val_loss=result.get("val_loss"),
                val_bits_per_char=result.get("val_bits_per_char"),
                verdict=result.get("verdict", ""),
            )
            log.warning("run %s has been trained to its end already", run.name)
            for observer in observers:
                observer.finished(run, done)
            return run
        try:
            settings = Settings.model_validate(
                {name: recorded[name] for name in Settings.model_fields}
            )
            plan = Plan.from_record(recorded["plan"])
            sha256 = recorded["data"]["sha256"]
        except (KeyError, TypeError, ValidationError) as error:
            raise RunError(f"run {run.name!r}: run.toml is damaged: {one_line(error)}") from error
        if not sources and "-" in settings.corpus.sources:
            raise RunError(
                f"run {run.name!r} read its text from standard input; give it the same text again: "
                f"textwright train - --name {run.name} --resume < FILE"
            )
        corpus = open_corpus(
            list(sources) or settings.corpus.sources,
            validation=settings.corpus.validation,
            validation_fraction=settings.corpus.validation_fraction,
        )
        if corpus.sha256 != sha256:
            raise RunError(
                f"the text of run {run.name!r} has changed since it began (or its source has), so "
                "it can't go on exactly; begin a new run on the new text"
            )
        use_threads(settings.training.threads)
        prepared = _tokens(settings.corpus.sources, corpus, Tokenizer.load(run))
        return _train(run, run.config(), settings, plan, prepared, observers)


def _check_unchanged(run: Run, asked: Request, recorded: Mapping[str, Any]) -> None:
    """Raise `RequestError` where something asked for differs from what the run began with."""
    before = {
        f"{section}.{name}": value
        for section, content in recorded.items()
        if isinstance(content, dict)
        for name, value in content.items()
    }
    for name, value in asked.asked.items():
        old = before.get(name)
        same = old == value or (
            isinstance(value, float | int)
            and isinstance(old, float | int)
            and math.isclose(old, value)
        )
        if not same and not (old is None and value in (None, [])):
            raise RequestError(
                f"{name} is {old!r} in run {run.name!r}, not {value!r}; --resume goes on exactly "
                "as planned: leave it out, or begin another run"
            )


@contextmanager
def _locked(run: Run) -> Iterator[None]:
    """Only one process trains a run at a time."""
    lock = filelock.FileLock(run.lock_file, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RunError(f"run {run.name!r} is being trained by another process") from None
    try:
        yield
    finally:
        lock.release()
        run.lock_file.unlink(missing_ok=True)


@contextmanager
def _removed_on_failure(run: Run) -> Iterator[None]:
    """A run that fails before its first checkpoint leaves nothing behind."""
    try:
        yield
    except BaseException:
        if not run.checkpoints():
            run.remove()
        raise
