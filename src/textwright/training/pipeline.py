"""A training from request to report: text, tokenizer, plan, run folder, loop, report.

`train` reads top to bottom as what happens. The run folder is made once the plan is complete; from
then on it holds all that resuming needs.
"""

from __future__ import annotations

import logging
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from textwright import runs
from textwright.configs import CorpusSettings, ModelConfig, Settings, hints
from textwright.data.corpus import STANDARD_INPUT, absolute_source
from textwright.data.sources.addresses import without_secrets
from textwright.data.training_corpus import open_training_corpus, sources_of
from textwright.errors import DivergedError, RequestError, TextwrightError
from textwright.models import LanguageModel
from textwright.models.base import load_model
from textwright.models.resizing import resize_vocab
from textwright.runs import Run, training_lock
from textwright.tokenizers import encode_new_tokens
from textwright.training.companion import Gain, add_companion
from textwright.training.follower import run_follower
from textwright.training.loop import distributed
from textwright.training.loop.callbacks import Observer, log_observers
from textwright.training.loop.dataset import Dataset, prepare
from textwright.training.loop.recipe import Plan, Recipe
from textwright.training.loop.stopping import stop_signals
from textwright.training.loop.trainer import Trainer, write_weights
from textwright.training.planning.going_on import go_on, reached, reaches
from textwright.training.planning.parent import Parent
from textwright.training.planning.planner import check_machine, plan_recipe
from textwright.training.planning.request import Request, apply_parent, make_request
from textwright.training.record import (
    check_unchanged,
    complete,
    load_recipe,
    open_dataset,
    result_if_done,
    run_to_resume,
    write_leg,
    write_result,
    write_start,
)

log = logging.getLogger("textwright")


@hints
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
    minutes: float | str | None = None,
    steps: int | str | None = None,
    epochs: float | str | None = None,
    validation: str | Path | None = None,
    validation_fraction: float | None = None,
    encoding: str | None = None,
    field: str | None = None,
    assistant: str | None = None,
    eval_every: int | None = None,
    checkpoint_every: int | None = None,
    sample_prompt: str | None = None,
    seed: int | None = None,
    device: str | None = None,
    loss_on: str | None = None,
    companion: str | None = None,
    config: str | Path | None = None,
    changes: Sequence[str] = (),
    resume: bool = False,
    logs: Sequence[str] = (),
    observers: Sequence[Observer] | None = None,
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
        vocab_size: of `word` and `bpe`; with a parent of words, what its vocabulary grows to.
        lowercase: fold capitals away.
        parent: a run to begin with, in place of fresh weights: what `textwright.load` takes. It
            decides model and tokenizer, whose vocabulary grows by what the text can't be read
            without (characters, the tokens of a conversation) or `vocab_size` asks for.
        minutes, steps, epochs: how long; one of them. With `resume` of the whole training, other
            than it was planned for or not; `"+2"` is on top of what is done.
        validation: a text to validate on, in place of `validation_fraction` of the corpus.
        encoding: of the files, instead of detecting it.
        field: of records and tables, the field or column that holds the text.
        assistant: of chats as messengers export them, whom the model is to speak as.
        eval_every, checkpoint_every: steps between two; None lets the plan choose.
        sample_prompt: what the sample at each evaluation continues; None begins a line.
        seed: of weights, batches and dropout.
        device: `auto`, `cpu`, `cuda` or `mps`.
        loss_on: of conversations, `both` sides or the `assistant` alone.
        companion: `off` leaves the network alone; `auto` counts the text too, in a second or two at
            the end, and keeps that where it helps.
        config: a TOML file of settings, such as another run's `run.toml`.
        changes: `name=value` for any setting by its dotted name.
        resume: go on with run `name`, or the last one: exactly as it was planned, or further.
        logs: `tensorboard`, `csv`.
        observers: told of progress, evaluations and the end; `[]` is nobody, and None who suits the
            place: a notebook's display, at an interactive prompt a line an evaluation.
        command: what reproduces this run, as a person would type it.

    Raises:
        RequestError: something asked for makes no sense; nothing was written.
        TrainingError: training could not go on; what it saved before is whole.

    Where `torchrun` started several processes, all of them call this; the first one's arguments
    and observers count, and the folder of the run lies on its machine.
    """
    begin = time.monotonic()
    request = make_request(
        *corpus,
        name=name,
        runs_folder=runs_folder,
        model=model,
        size=size,
        tokenizer=tokenizer,
        vocab_size=vocab_size,
        lowercase=lowercase,
        parent=parent,
        minutes=minutes,
        steps=steps,
        epochs=epochs,
        validation=validation,
        validation_fraction=validation_fraction,
        encoding=encoding,
        field=field,
        assistant=assistant,
        eval_every=eval_every,
        checkpoint_every=checkpoint_every,
        sample_prompt=sample_prompt,
        seed=seed,
        device=device,
        loss_on=loss_on,
        companion=companion,
        config=config,
        changes=changes,
        resume=resume,
    )
    log_observers(logs, None)  # names an unknown one, or a missing package, before the work
    with distributed.process_group(request.settings().training.device), _threads_restored():
        if not distributed.is_rank_zero():
            return Run(Path(run_follower(request.sources)))
        observers = _default_observers() if observers is None else observers
        if resume and (found := run_to_resume(request)) is not None:
            run = _resume(found, request, begin, observers, logs, command)
        else:
            run = _train_new(request, begin, observers, logs, command)
        distributed.broadcast_result(str(run.path))
        return run


def _default_observers() -> list[Observer]:
    """A notebook's display, lines at an interactive prompt, nobody in a program."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None and not hasattr(sys, "ps1"):
        return []
    from textwright.notebook.training import Display, Lines

    return [Display() if getattr(shell, "kernel", None) is not None else Lines()]


def _train_new(
    request: Request,
    begin: float,
    observers: Sequence[Observer],
    logs: Sequence[str],
    command: str | None,
) -> Run:
    """Train a new run: request, dataset, recipe, run, trainer."""
    request = _checked(request)
    dataset = _prepare(request)
    recipe = plan_recipe(request, dataset, begin)
    run = runs.create(request.name, dataset.corpus.name, request.folder)
    with training_lock(run), _removed_on_failure(run):
        if request.parent is not None:
            write_weights(run.start_file, _continued_model(request.parent, dataset, recipe))
        write_start(run, recipe, dataset, request.parent, command)
        return _train(run, recipe, dataset, observers, logs)


def _resume(
    run: Run,
    request: Request,
    begin: float,
    observers: Sequence[Observer],
    logs: Sequence[str],
    command: str | None,
) -> Run:
    """Go on with a run: as `_train_new`, with recipe and dataset opened in place of made."""
    check_unchanged(run, request)
    with training_lock(run):
        finished = result_if_done(run) is not None
        budget = request.beyond(run.settings(), done=finished)
        if budget is None and finished:
            return _leave_as_it_is(run, request, observers, "has been trained to its end already")
        recipe = load_recipe(run)
        state = None if budget is None else reached(run)
        if budget and state and (done := reaches(run, recipe, budget, state)):
            why = f"has {done} already; {budget} asks for no more, and nothing is trained"
            return _leave_as_it_is(run, request, observers, why)
        dataset = _open_recorded(run, recipe, request)
        if budget and state:
            typed = without_secrets(command or shlex.join(sys.argv))
            recipe = go_on(run, recipe, dataset, budget, state, begin, typed)
            write_leg(run, recipe)
        return _train(run, recipe, dataset, observers, logs)


def _leave_as_it_is(run: Run, request: Request, observers: Sequence[Observer], why: str) -> Run:
    """Train nothing; logs why, and notifies the observers of a run that has a result."""
    if request.sources:
        open_training_corpus(run, request.sources)  # raises where it is another text
    result = result_if_done(run)
    if result is not None:
        complete(run, result)
    log.warning("run %s %s", run.name, why)
    if result is not None:
        for observer in observers:
            observer.finished(run, result)
    return run


def _train(
    run: Run,
    recipe: Recipe,
    dataset: Dataset,
    observers: Sequence[Observer],
    logs: Sequence[str],
) -> Run:
    """Train from the latest checkpoint to the end, and write how it ended."""
    observers = [*observers, *log_observers(logs, run)]
    distributed.broadcast_training(run, recipe)
    trainer = Trainer(run, recipe, dataset, observers)
    if recipe.training.parent is not None:
        # The run has the parent's weights; a checkpoint, if there is one, replaces them
        if run.start_file.is_file():
            run.start_file.replace(run.weights_file)
        trainer.learner.load_weights(load_model(run, "cpu").weights())
    try:
        try:
            with stop_signals() as stop_requested:
                status = trainer.train(stop_requested)
                if status == "interrupted":  # a second Ctrl-C doesn't cut this short
                    _finish(trainer, status)
            if status != "interrupted":
                _finish(trainer, status)
        except DivergedError:
            write_result(run, trainer.result("diverged"))
            raise
    finally:
        for observer in observers:
            observer.closed()
    return run


def _finish(trainer: Trainer, status: str) -> None:
    """Write the result, the card and the report, then notify the observers."""
    result = trainer.result(status)
    write_result(trainer.run, result, _companion(trainer, status))
    if trainer.observer_error is not None:
        raise trainer.observer_error
    for observer in trainer.observers:
        observer.finished(trainer.run, result)


def _companion(trainer: Trainer, status: str) -> Gain | None:
    """The companion of a finished training; None where it has none, or counting failed."""
    if trainer.settings.companion == "off" or status not in ("finished", "stopped early"):
        return None
    try:
        return add_companion(trainer.run, trainer.dataset, trainer.settings.device)
    except (TextwrightError, MemoryError) as error:
        log.warning("the network stays alone: %s", error or "no memory to count the text")
    except KeyboardInterrupt:
        log.warning("the network stays alone: counting the text was interrupted")
    return None


def plan_training(
    *corpus: str | Path, resume: bool = False, **options: Any
) -> tuple[ModelConfig, Settings, Plan]:
    """What `train` would do with the same arguments, with the time it would take; trains nothing.
    With `resume` that is the plan of the run that would go on.

    Raises:
        RequestError: as `train`.
    """
    begin = time.monotonic()
    request = make_request(*corpus, resume=resume, **options)
    with distributed.process_group(request.settings().training.device), _threads_restored():
        if not distributed.is_rank_zero():
            recipe = Recipe.from_record(run_follower(request.sources))
        elif resume and (run := run_to_resume(request)) is not None:
            check_unchanged(run, request)
            if request.sources:
                open_training_corpus(run, request.sources)  # raises where it is another text
            recipe = load_recipe(run)
            budget = request.beyond(run.settings(), done=result_if_done(run) is not None)
            state = None if budget is None else reached(run)
            if budget and state and not reaches(run, recipe, budget, state):
                dataset = _open_recorded(run, recipe, request)
                recipe = go_on(run, recipe, dataset, budget, state, begin, "")
            distributed.broadcast_result(recipe.record())
        else:
            request = _checked(replace(request, name=None))  # no run is made: its name may be taken
            recipe = plan_recipe(request, _prepare(request), begin, measured=True)
            distributed.broadcast_result(recipe.record())
    return recipe.model, recipe.settings, recipe.plan


def _checked(request: Request) -> Request:
    """The request with its parent applied; errors are raised before a large text is read."""
    if request.name is not None:
        runs.check_free(request.name, request.folder)
    check_machine(request)
    return apply_parent(request)


def _prepare(request: Request) -> Dataset:
    """The text as tokens; the other workers get it too."""
    settings = request.settings()
    split = settings.corpus
    if distributed.world_size() > 1 and STANDARD_INPUT in (*request.sources, split.validation):
        raise RequestError("several workers can't share standard input; name a file")
    parent = request.parent
    tokenizer = None if parent is None else parent.tokenizer
    dataset = prepare(request.sources, settings, tokenizer)
    if parent is not None and dataset.validation.unk_tokens:
        log.info(
            "the vocabulary is that of %s; --vocab-size, with more than %d, adds the most "
            "frequent words that it lacks",
            parent.name,
            dataset.tokenizer.vocab_size,
        )
    sources = [absolute_source(source) for source in request.sources or [dataset.corpus.name]]
    _broadcast_dataset(dataset, split, sources, settings.training.loss_on)
    return dataset


def _open_recorded(run: Run, recipe: Recipe, request: Request) -> Dataset:
    """The text of an existing run as tokens; the other workers get it too."""
    dataset = open_dataset(run, recipe, request.sources)
    split = recipe.settings.corpus
    sources = list(request.sources) or sources_of(run, split)
    _broadcast_dataset(dataset, split, sources, recipe.training.loss_on)
    return dataset


def _broadcast_dataset(
    dataset: Dataset, split: CorpusSettings, sources: list[str], loss_on: str
) -> None:
    corpus = split.model_copy(update={"sources": sources})
    distributed.broadcast_corpus(dataset, corpus, loss_on)


def _continued_model(parent: Parent, dataset: Dataset, recipe: Recipe) -> LanguageModel:
    """The parent's model, with embedding rows for the tokens that the text added."""
    similar = encode_new_tokens(parent.tokenizer, dataset.tokenizer)
    counts = dataset.train.counts(dataset.tokenizer.vocab_size) if similar else None
    return resize_vocab(load_model(parent.run, "cpu"), similar, recipe.training.seed, counts)


@contextmanager
def _threads_restored() -> Iterator[None]:
    """Restore torch's number of threads at the end."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _removed_on_failure(run: Run) -> Iterator[None]:
    """Delete the folder of a run that fails before its first checkpoint; on Windows, where its lock
    is still open, an empty folder stays."""
    try:
        yield
    except BaseException:
        if not run.checkpoints():
            shutil.rmtree(run.path, ignore_errors=True)  # the first error is the one to report
        raise
