"""A training from request to report: text, tokenizer, plan, run folder, loop, report.

`train` reads top to bottom as what happens. Nothing is left in the runs folder before a plan
stands; from then on the folder holds all that resuming needs.
"""

from __future__ import annotations

import logging
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import torch

from textwright import atomic, runs
from textwright.configs import ModelConfig, Settings, model_config
from textwright.corpora import ConversationPart, Corpus
from textwright.errors import DivergedError, MissingPackageError, RequestError, RunError
from textwright.generation import write_generation_config
from textwright.models.growing import grow
from textwright.reporting import write_card, write_report
from textwright.runs import Run
from textwright.tokenizers import read_before
from textwright.training import orders, workers
from textwright.training.events import Observer, Result
from textwright.training.following import follow
from textwright.training.learner import choose_device, choose_precision, use_threads
from textwright.training.logs import log_observers
from textwright.training.parent import Parent, with_parent
from textwright.training.plan import Plan, counted_plan, memory, timed_plan
from textwright.training.preparation import (
    STANDARD_INPUT,
    Prepared,
    from_anywhere,
    prepare,
    reopened,
)
from textwright.training.presets import SIZES, model_settings
from textwright.training.request import Request, request_from
from textwright.training.resuming import (
    Interrupted,
    check_unchanged,
    reload,
    result_if_done,
    run_to_resume,
)
from textwright.training.scoring import load_model
from textwright.training.speed import Candidate
from textwright.training.trainer import Trainer, write_weights
from textwright.version import VERSION

log = logging.getLogger("textwright")

_MEASURING_SECONDS = 2.0
"""Spent on telling how long counted steps will take, where that is asked."""


def train(
    *corpus: str | Path,
    name: str | None = None,
    runs_folder: str | Path | None = None,
    model: str | None = None,
    size: str | None = None,
    tokenizer: str | None = None,
    vocab_size: int | None = None,
    lowercase: bool | None = None,
    parent: str | Path | Run | None = None,
    minutes: float | None = None,
    steps: int | None = None,
    epochs: float | None = None,
    validation: str | Path | None = None,
    validation_fraction: float | None = None,
    eval_every: int | None = None,
    checkpoint_every: int | None = None,
    seed: int | None = None,
    device: str | None = None,
    loss_on: str | None = None,
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
        parent: a run to begin with, in place of fresh weights: what `textwright.load` takes. It
            decides model and tokenizer, whose vocabulary grows by what the text needs.
        minutes, steps, epochs: how long; one of them.
        validation: a text to validate on, in place of `validation_fraction` of the corpus.
        eval_every, checkpoint_every: steps between two; None lets the plan choose.
        seed: of weights, batches and dropout.
        device: `auto`, `cpu`, `cuda` or `mps`.
        loss_on: of conversations, `both` sides or the `assistant` alone.
        config: a TOML file of settings, such as another run's `run.toml`.
        changes: `name=value` for any setting by its dotted name.
        resume: go on with run `name`, or the last one, exactly as it was planned.
        logs: `tensorboard`, `csv`.
        observers: told of progress, evaluations and the end.
        command: what reproduces this run, as a person would type it.

    Raises:
        RequestError: something asked for makes no sense; nothing was written.
        TrainingError: training could not go on; what it saved before is whole.

    Where `torchrun` started several processes, all of them call this; the first one's arguments
    and observers count, and the folder of the run lies on its machine.
    """
    begin = time.monotonic()
    asked = request_from(locals())
    folder = runs.runs_folder(runs_folder)
    sources = _sources(corpus, asked)
    log_observers(logs, None)  # names an unknown one, or a missing package, before the work
    with workers.joined(asked.settings(None).training.device), _threads_restored():
        if not workers.is_first():
            return Run(Path(follow(sources)))
        if resume and (found := run_to_resume(name, folder, sources)) is not None:
            check_unchanged(found, asked.given, folder)
            run = _resume(found, sources, observers, logs)
        else:
            run = _begin(asked, name, folder, sources, begin, observers, logs, command)
        orders.tell_over(str(run.path))
        return run


def _begin(
    asked: Request,
    name: str | None,
    folder: Path,
    sources: Sequence[str],
    begin: float,
    observers: Sequence[Observer],
    logs: Sequence[str],
    command: str | None,
) -> Run:
    """Train a new run, from text and plan to the end."""
    if name is not None:
        runs.check_free(name, folder)
    _check_machine(asked)
    asked, origin = with_parent(asked, folder)
    learned = load_model(origin.run, "cpu") if origin is not None else None
    prepared = _prepare(asked, sources, origin)
    candidate, plan, settings = _plan(asked, prepared, begin)
    settings.corpus.sources = _lasting(sources, prepared)
    run = runs.create(name, prepared.corpus.name, folder)
    with _locked(run), _removed_on_failure(run):
        if origin is not None and learned is not None:
            alike = read_before(origin.tokenizer, prepared.tokenizer)
            write_weights(run.start_file, grow(learned, alike, settings.training.seed))
        _write_start(run, candidate.config, settings, plan, prepared, origin, command)
        begun = Interrupted(candidate.config, settings, plan, prepared)
        return _carry_out(run, begun, observers, logs)


def plan_training(*corpus: str | Path, **options: Any) -> tuple[ModelConfig, Settings, Plan]:
    """What `train` would do with the same arguments, with the time it would take; trains nothing.

    Raises:
        RequestError: as `train`.
    """
    begin = time.monotonic()
    asked = request_from(options)
    sources = _sources(corpus, asked)
    with workers.joined(asked.settings(None).training.device), _threads_restored():
        if not workers.is_first():
            planned = follow(sources)
            settings = Settings.model_validate(planned["settings"])
            return model_config(planned["model"]), settings, Plan.from_record(planned["plan"])
        _check_machine(asked)
        asked, origin = with_parent(asked, runs.runs_folder(options.get("runs_folder")))
        prepared = _prepare(asked, sources, origin)
        candidate, plan, settings = _plan(asked, prepared, begin, measured=True)
        config = candidate.config
        orders.tell_over(
            {"model": config.to_json(), "settings": settings.model_dump(), "plan": plan.record()}
        )
    return config, settings, plan


def _prepare(asked: Request, sources: Sequence[str], origin: Parent | None) -> Prepared:
    """The text as tokens, at every worker."""
    settings = asked.settings(None)
    if workers.count() > 1 and STANDARD_INPUT in (*sources, settings.corpus.validation):
        raise RequestError("several workers can't share standard input; name a file")
    prepared = prepare(sources, settings, origin)
    _tell_text(prepared, settings, _lasting(sources, prepared))
    return prepared


def _tell_text(prepared: Prepared, settings: Settings, sources: list[str]) -> None:
    corpus = settings.corpus.model_copy(update={"sources": sources})
    sha256, loss_on = prepared.corpus.sha256, settings.training.loss_on
    orders.tell_text(corpus, sha256, prepared.tokenizer, loss_on)


def _lasting(sources: Sequence[str], prepared: Prepared) -> list[str]:
    """The sources as they can be opened from any folder; where none were named, what was taken."""
    return [from_anywhere(source) for source in sources or [prepared.corpus.name]]


def _sources(corpus: Sequence[str | Path], asked: Request) -> list[str]:
    """The text that was named, or that a `--config` names; empty for the default."""
    if not corpus and "corpus.sources" in asked.values:
        return asked.settings(None).corpus.sources
    return [str(source) for source in corpus]


def _check_machine(asked: Request) -> None:
    """Name a device that isn't there before a large text is prepared; take the threads asked."""
    training = asked.settings(None).training
    choose_device(training.device)
    use_threads(training.threads)


def _plan(
    asked: Request, prepared: Prepared, begin: float, *, measured: bool = False
) -> tuple[Candidate, Plan, Settings]:
    """Choose what isn't chosen; the settings are complete then."""
    train, validation = prepared.train.array(), prepared.validation.array()
    training = asked.settings(asked.size).training
    timed = training.steps is None and training.epochs is None
    candidates = _candidates(asked, prepared.tokenizer.vocab_size)
    if not timed:
        candidates = candidates[:1]  # nothing says how long it may take: the one soon done
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
    if settings.corpus.validation is not None:
        settings.corpus.validation = from_anywhere(settings.corpus.validation)
    return replace(chosen, settings=settings.training), plan, settings


def _candidates(asked: Request, vocab_size: int) -> list[Candidate]:
    """The sizes to choose from, the smallest first.

    Raises:
        RequestError: the model settings fit none of them.
    """
    candidates = []
    fault: RequestError | None = None
    for size in [asked.size] if asked.size else [*SIZES.get(asked.family, [None])]:
        try:
            config = model_settings(asked.family, size, vocab_size, asked.section("model"))
        except RequestError as error:  # e.g. widths for two layers, and this size has three
            fault = fault or error
            continue
        recipe = asked.settings(size).training
        needed, there = memory(config, recipe), _machine_memory()
        if choose_device(recipe.device).type == "cpu" and there and needed > there:
            fault = fault or RequestError(
                f"training needs about {needed / 1e9:.0f} GB of memory and this machine has "
                f"{there / 1e9:.0f}; take a smaller --size, or --set training.micro_batch_size=1"
            )
            continue
        free = "model.dropout" not in asked.values
        candidates.append(Candidate(size, config, recipe, chooses_dropout=free))
    if not candidates and fault is not None:
        raise fault
    return candidates


def _machine_memory() -> int:
    """Bytes of memory, or 0 where the system doesn't say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return 0


def _carry_out(
    run: Run, begun: Interrupted, observers: Sequence[Observer], logs: Sequence[str]
) -> Run:
    """Train to the end, and say how it ended."""
    everyone = [*observers, *log_observers(logs, run)]
    prepared = begun.prepared
    orders.tell_training(run, begun.config, begun.settings.training, begun.plan.record())
    trainer = Trainer(
        run, begun.config, begun.settings.training, begun.plan, prepared.data,
        prepared.tokenizer, everyone,
    )  # fmt: skip
    if begun.settings.training.parent is not None:
        # What it began with lies in the run itself; a checkpoint has all that is trained since
        if run.start_file.is_file():
            run.start_file.replace(run.weights_file)
        trainer.learner.take_over(load_model(run, "cpu").weights())
    try:
        try:
            result = trainer.result(trainer.train())
        except DivergedError:
            _write_result(run, trainer.result("diverged"))
            raise
        _write_result(run, result)
        for observer in everyone:
            observer.finished(run, result)
    finally:
        for observer in everyone:
            observer.closed()
    return run


def _resume(
    run: Run,
    sources: Sequence[str],
    observers: Sequence[Observer],
    logs: Sequence[str],
) -> Run:
    with _locked(run):
        if (done := result_if_done(run)) is not None:
            if sources:
                reopened(run, sources)  # another text is not this run's
            log.warning("run %s has been trained to its end already", run.name)
            for observer in observers:
                observer.finished(run, done)
            return run
        begun = reload(run, sources)
        _tell_text(begun.prepared, begun.settings, list(sources) or begun.settings.corpus.sources)
        return _carry_out(run, begun, observers, logs)


def _write_start(
    run: Run,
    config: ModelConfig,
    settings: Settings,
    plan: Plan,
    prepared: Prepared,
    origin: Parent | None,
    command: str | None,
) -> None:
    """All that resuming needs, before the first step."""
    corpus = prepared.corpus
    device = choose_device(settings.training.device)
    prepared.tokenizer.save(run)
    write_generation_config(run, settings.sampling, prepared.tokenizer)
    run.write_json(run.config_file, config.to_json())
    run.write_settings(  # last: where it stands, the run can go on
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
                "precision": choose_precision(settings.training.precision, device),
            },
            "data": {
                "name": corpus.name,
                "sha256": corpus.sha256,
                "licence": corpus.licence,
                "train_tokens": prepared.train.tokens,
                "validation_tokens": prepared.validation.tokens,
                "train_characters": corpus.train.characters,
                "validation_characters": corpus.validation.characters,
                **_conversations(corpus),
                "vocab_size": prepared.tokenizer.vocab_size,
                "sources": [asdict(source) for source in corpus.sources],
                "warnings": list(corpus.warnings),
            },
            "parent": None if origin is None else origin.record(),
            "plan": plan.record(),
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


def _write_result(run: Run, result: Result) -> None:
    run.write_settings({**run.settings(), "result": asdict(result)})
    write_card(run)
    try:
        write_report(run)
    except MissingPackageError as error:  # the model is there; how it came to be can wait
        log.warning("%s", error)


@contextmanager
def _locked(run: Run) -> Iterator[None]:
    """Only one process trains a run at a time."""
    lock = filelock.FileLock(run.lock_file, timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise RunError(f"run {run.name!r} is being trained by another process") from None
    except OSError as error:
        raise atomic.disk_error(error, run.path) from error
    try:
        yield
    finally:
        run.lock_file.unlink(missing_ok=True)  # first: released, it may be another's already
        lock.release()


@contextmanager
def _threads_restored() -> Iterator[None]:
    """How many threads torch takes is the process's own affair once a training is over."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _removed_on_failure(run: Run) -> Iterator[None]:
    """A run that fails before its first checkpoint leaves nothing behind."""
    try:
        yield
    except BaseException:
        if not run.checkpoints():
            run.remove()
        raise
