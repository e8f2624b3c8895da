"""`textwright train`: options, progress, and what comes after."""

from __future__ import annotations

import json
import logging
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textwright.cli.generate import Companion
from textwright.cli.jobs import (
    DryRun,
    Flavor,
    JobOptions,
    On,
    Repository,
    Timeout,
    Wheel,
    Where,
    train_elsewhere,
)
from textwright.errors import RequestError

if TYPE_CHECKING:
    from textwright.configs import ModelConfig, Settings
    from textwright.runs import Run
    from textwright.training.loop.recipe import Plan

_BUDGET = "How long"
AMOUNT = "N or +N"
_RHYTHM = "Rhythm and logs"
_MODEL = "Model and text"


class Then(StrEnum):
    """Values of `--then`."""

    generate = "generate"
    chat = "chat"


class LossOn(StrEnum):
    """Values of `--loss-on`."""

    both = "both"
    assistant = "assistant"


def train(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(
            help="Files, folders, globs, URLs, `-`, hf:owner/dataset, or the name of a built-in; "
            "none takes `shakespeare`.",
            show_default=False,
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the run; else it is called after the corpus.")
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of runs.", envvar="TEXTWRIGHT_RUNS")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="lstm, gru, rnn, gpt or transformer.", rich_help_panel=_MODEL),
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="nano, micro, small, medium or large; else time and text decide. "
            "`textwright doctor` tells their parameters. pico, of lstm and gpt, is a browser's.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="char, word or bpe.", rich_help_panel=_MODEL)
    ] = None,
    vocab_size: Annotated[
        int | None,
        typer.Option(
            help="Types of word or bpe; with --from, what a vocabulary of words grows to.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    lowercase: Annotated[
        bool, typer.Option("--lowercase", help="Fold capitals away.", rich_help_panel=_MODEL)
    ] = False,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Begin with this run's weights, in place of fresh ones: a run, a path, or "
            "hf:owner/name.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    loss_on: Annotated[
        LossOn | None,
        typer.Option(
            help="Of conversations, whose words to learn: both, or assistant; else both.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    companion: Annotated[
        Companion | None,
        typer.Option(
            help="Count the text too, and mix that in where it predicts better (auto), or leave "
            "the network alone (off); else auto.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    val: Annotated[
        str | None, typer.Option(help="Text to validate on.", rich_help_panel=_MODEL)
    ] = None,
    val_fraction: Annotated[
        float | None,
        typer.Option(
            help="Share at the end of the text to validate on; else 0.1.", rich_help_panel=_MODEL
        ),
    ] = None,
    encoding: Annotated[
        str | None,
        typer.Option(
            help="Encoding of the files, e.g. cp1252; else it is found.", rich_help_panel=_MODEL
        ),
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(
            help="Field of records, or column of tables, that holds the text; else it is found.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    assistant: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whom the model speaks as, of those in an exported chat (WhatsApp, Telegram, "
            "Discord); else the one you wrote with.",
            rich_help_panel=_MODEL,
        ),
    ] = None,
    minutes: Annotated[
        str | None,
        typer.Option(
            help="Measure this machine and plan to end within this time; 5 where nothing is said.",
            metavar=AMOUNT,
            rich_help_panel=_BUDGET,
        ),
    ] = None,
    steps: Annotated[
        str | None,
        typer.Option(help="Exactly so many steps.", metavar=AMOUNT, rich_help_panel=_BUDGET),
    ] = None,
    epochs: Annotated[
        str | None,
        typer.Option(
            help="So many times through the text.", metavar=AMOUNT, rich_help_panel=_BUDGET
        ),
    ] = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Say what would be done; train nothing.", rich_help_panel=_BUDGET
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run --name, or the last one: exactly as it was planned, or to "
            "other --epochs, --steps or --minutes; +2 is two more.",
            rich_help_panel=_BUDGET,
        ),
    ] = False,
    eval_every: Annotated[
        int | None, typer.Option(help="Steps between evaluations.", rich_help_panel=_RHYTHM)
    ] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(help="Steps between checkpoints.", rich_help_panel=_RHYTHM)
    ] = None,
    sample_prompt: Annotated[
        str | None,
        typer.Option(
            help="What the sample at each evaluation continues; else it begins a line.",
            rich_help_panel=_RHYTHM,
        ),
    ] = None,
    log: Annotated[
        list[str] | None,
        typer.Option(help="tensorboard, csv or live; may be repeated.", rich_help_panel=_RHYTHM),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights and batches; else 1.")] = None,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps; else auto.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="TOML file of settings, e.g. another run's run.toml."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any setting by its dotted name, e.g. model.num_layers=3; may be repeated.",
        ),
    ] = None,
    on: Where = On.here,
    flavor: Flavor = "t4-small",
    timeout: Timeout = None,
    repo: Repository = None,
    wheel: Wheel = None,
    dry_run: DryRun = False,
    then: Annotated[Then | None, typer.Option(help="What to do when it is trained.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on standard output.")
    ] = False,
) -> None:
    """Train a model on your own text, and watch it learn.

    textwright train my_novel.txt --minutes 5
    """
    options: dict[str, Any] = {
        "model": model,
        "size": size,
        "tokenizer": tokenizer,
        "vocab_size": vocab_size,
        "lowercase": lowercase or None,
        "parent": from_,
        "minutes": minutes,
        "steps": steps,
        "epochs": epochs,
        "validation": val,
        "validation_fraction": val_fraction,
        "encoding": encoding,
        "field": field,
        "assistant": assistant,
        "eval_every": eval_every,
        "checkpoint_every": checkpoint_every,
        "sample_prompt": sample_prompt,
        "seed": seed,
        "device": device,
        "loss_on": None if loss_on is None else loss_on.value,
        "companion": None if companion is None else companion.value,
        "config": config,
        "changes": set_ or [],
        "runs_folder": runs,
    }
    from textwright import torchrun

    corpus = corpus or []
    if as_json and then is not None:
        raise RequestError("--json and --then: take one of them; text would follow the JSON lines")
    job = JobOptions(flavor, timeout, repo, wheel, dry_run)
    if on is On.hf:
        if plan or log or as_json:
            raise RequestError("--plan, --log and --json are for a training here; leave out --on")
        _check(corpus, options, name, resume=resume)
        back = train_elsewhere(corpus, options, job, name=name, resume=resume)
        if back is not None:
            run_then(back, then)
        return
    job.check_unused()
    first = torchrun.is_first()
    if first:
        _check(corpus, options, name, resume=resume)
    else:  # the first one says it all, and the rest is said once
        logging.getLogger("textwright").setLevel(logging.ERROR)
    check_torch()
    from textwright import training

    if plan:
        planned = training.plan_training(*corpus, name=name, resume=resume, **options)
        if first:
            _print_plan(*planned, as_json=as_json)
        return
    from textwright.cli.progress import Began, JSONLines, progress

    began = Began()
    observers = [] if not first else [JSONLines() if as_json else progress(), began]
    run = training.train(
        *corpus,
        name=name,
        resume=resume,
        logs=log or [],
        observers=observers,
        **options,
    )
    if not first:
        return
    # One that was interrupted before, and has as much as was asked for, is what it is
    if began.began and run.settings()["result"]["status"] == "interrupted":
        raise typer.Exit(130)
    run_then(run, then)


def check_torch() -> None:
    """Raise the error that says how to install torch where it is missing."""
    try:
        import torch  # noqa: F401
    except ModuleNotFoundError as error:
        from textwright.errors import MissingPackageError

        raise MissingPackageError(
            f"training needs {error.name}; pip install 'textwright[train]'"
        ) from error


def _check(corpus: list[str], options: dict[str, Any], name: str | None, *, resume: bool) -> None:
    """Raise for wrong options and texts that aren't there before torch is imported, which takes
    seconds."""
    from textwright.data.sources.resolve import check_exists
    from textwright.runs import check_name
    from textwright.training.planning.request import apply_parent, make_request

    if name is not None:
        check_name(name)
    request = make_request(*corpus, resume=resume, **options)
    validation = request.values.get("corpus.validation")
    for source in (*request.sources, *([validation] if validation else [])):
        check_exists(str(source))
    if not resume:  # the parent of a run that is resumed may be gone
        apply_parent(request)


def _print_plan(config: ModelConfig, settings: Settings, plan: Plan, *, as_json: bool) -> None:
    if as_json:
        record = {
            "family": config.family,
            **plan.record(),
            "model": config.model_dump(),
            "settings": settings.model_dump(),
        }
        typer.echo(json.dumps(record))
        return
    from textwright.cli.tables import show_rows
    from textwright.reporting import numbers

    rows = {
        "model": f"{config.family}" + (f", {plan.size}" if plan.size else ""),
        "parameters": numbers.whole(plan.parameters),
        "memory": f"about {numbers.size(plan.memory_bytes)}",
        "steps": f"{plan.steps:,} of {plan.tokens_per_step:,} tokens",
        "epochs": f"{plan.epochs:.2f}",
        "evaluations": f"every {plan.eval_every:,} steps"
        + (
            f", on {plan.eval_tokens:,} tokens of the validation text; at the end on all of it"
            if plan.eval_tokens
            else ""
        ),
        "speed": f"{plan.tokens_per_second or 0:,.0f} tokens a second",
        "expected time": numbers.duration(plan.expected_seconds),
    }
    if plan.base_bits is not None:
        rows["begins"] = (
            f"knowing nothing; --from english would begin at {plan.base_bits:.2f} bits a character"
        )
    show_rows(rows)


def run_then(run: Run, then: Then | None) -> None:
    """Run the command of `--then`."""
    if then is None:
        return
    sys.stdout.flush()
    if then is Then.generate:
        from textwright.cli.generate import generate

        generate(str(run.path))
    else:
        from textwright.cli.chat import chat

        chat(str(run.path))
