"""A training from request to report: text, tokenizer, plan, run folder, loop, report.

`train` reads top to bottom as what happens. Nothing is left in the runs folder before a plan
stands; from then on the folder holds all that resuming needs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from textwright import runs
from textwright.configs import ModelConfig, Settings, model_config
from textwright.data.provenance import STANDARD_INPUT, absolute_source, open_training_corpus
from textwright.errors import DivergedError, RequestError
from textwright.models.loading import load_model
from textwright.models.resizing import grow
from textwright.runs import Run, locked
from textwright.tokenizers import read_before
from textwright.training.artifacts import write_result, write_start
from textwright.training.follower import follow
from textwright.training.loop import distributed
from textwright.training.loop.callbacks import Observer
from textwright.training.loop.loggers import log_observers
from textwright.training.loop.plan import Plan
from textwright.training.loop.trainer import Trainer, write_weights
from textwright.training.planning.parent import Parent, with_parent
from textwright.training.planning.planner import check_machine, plan_for
from textwright.training.planning.prepare import Prepared, prepare
from textwright.training.planning.request import Request, request_from
from textwright.training.resume import (
    Interrupted,
    check_unchanged,
    reload,
    result_if_done,
    run_to_resume,
)

log = logging.getLogger("textwright")


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
    with distributed.joined(asked.settings(None).training.device), _threads_restored():
        if not distributed.is_first():
            return Run(Path(follow(sources)))
        if resume and (found := run_to_resume(name, folder, sources)) is not None:
            check_unchanged(found, asked.given, folder)
            run = _resume(found, sources, observers, logs)
        else:
            run = _begin(asked, name, folder, sources, begin, observers, logs, command)
        distributed.tell_over(str(run.path))
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
    check_machine(asked)
    asked, origin = with_parent(asked, folder)
    learned = load_model(origin.run, "cpu") if origin is not None else None
    prepared = _prepare(asked, sources, origin)
    candidate, plan, settings = plan_for(asked, prepared, begin)
    settings.corpus.sources = _absolute_sources(sources, prepared)
    run = runs.create(name, prepared.corpus.name, folder)
    with locked(run), _removed_on_failure(run):
        if origin is not None and learned is not None:
            alike = read_before(origin.tokenizer, prepared.tokenizer)
            write_weights(run.start_file, grow(learned, alike, settings.training.seed))
        write_start(run, candidate.config, settings, plan, prepared, origin, command)
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
    with distributed.joined(asked.settings(None).training.device), _threads_restored():
        if not distributed.is_first():
            planned = follow(sources)
            settings = Settings.model_validate(planned["settings"])
            return model_config(planned["model"]), settings, Plan.from_record(planned["plan"])
        check_machine(asked)
        asked, origin = with_parent(asked, runs.runs_folder(options.get("runs_folder")))
        prepared = _prepare(asked, sources, origin)
        candidate, plan, settings = plan_for(asked, prepared, begin, measured=True)
        config = candidate.config
        distributed.tell_over(
            {"model": config.to_json(), "settings": settings.model_dump(), "plan": plan.record()}
        )
    return config, settings, plan


def _prepare(asked: Request, sources: Sequence[str], origin: Parent | None) -> Prepared:
    """The text as tokens, at every worker."""
    settings = asked.settings(None)
    if distributed.count() > 1 and STANDARD_INPUT in (*sources, settings.corpus.validation):
        raise RequestError("several workers can't share standard input; name a file")
    prepared = prepare(sources, settings, origin)
    _tell_text(prepared, settings, _absolute_sources(sources, prepared))
    return prepared


def _tell_text(prepared: Prepared, settings: Settings, sources: list[str]) -> None:
    corpus = settings.corpus.model_copy(update={"sources": sources})
    sha256, loss_on = prepared.corpus.sha256, settings.training.loss_on
    distributed.tell_text(corpus, sha256, prepared.tokenizer, loss_on)


def _absolute_sources(sources: Sequence[str], prepared: Prepared) -> list[str]:
    """The sources as they can be opened from any folder; where none were named, what was taken."""
    return [absolute_source(source) for source in sources or [prepared.corpus.name]]


def _sources(corpus: Sequence[str | Path], asked: Request) -> list[str]:
    """The text that was named, or that a `--config` names; empty for the default."""
    if not corpus and "corpus.sources" in asked.values:
        return asked.settings(None).corpus.sources
    return [str(source) for source in corpus]


def _carry_out(
    run: Run, begun: Interrupted, observers: Sequence[Observer], logs: Sequence[str]
) -> Run:
    """Train to the end, and say how it ended."""
    everyone = [*observers, *log_observers(logs, run)]
    prepared = begun.prepared
    distributed.tell_training(run, begun.config, begun.settings.training, begun.plan.record())
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
            write_result(run, trainer.result("diverged"))
            raise
        write_result(run, result)
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
    with locked(run):
        if (done := result_if_done(run)) is not None:
            if sources:
                open_training_corpus(run, sources)  # another text is not this run's
            log.warning("run %s has been trained to its end already", run.name)
            for observer in observers:
                observer.finished(run, done)
            return run
        begun = reload(run, sources)
        _tell_text(begun.prepared, begun.settings, list(sources) or begun.settings.corpus.sources)
        return _carry_out(run, begun, observers, logs)


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
