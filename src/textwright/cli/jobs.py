"""`textwright train --on hf` and `sweep --on hf`: as a job of the Hugging Face Hub."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textwright.cli.cloud_options import say, show_calls, show_costs
from textwright.errors import DownloadError, RequestError, TextwrightError

if TYPE_CHECKING:
    from huggingface_hub import JobInfo

    from textwright.jobs.launch import JobPlan
    from textwright.runs import Run

_WHERE = "Where"


class On(StrEnum):
    """Values of `--on`."""

    here = "here"
    hf = "hf"


Where = Annotated[
    On,
    typer.Option(
        "--on",
        help="Train here, or (hf) as a job of the Hugging Face Hub, which costs money.",
        rich_help_panel=_WHERE,
    ),
]
Flavor = Annotated[
    str,
    typer.Option(help="Machine of the job; `hf jobs hardware` lists them.", rich_help_panel=_WHERE),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="End the job after this, e.g. 90m; else 20 minutes after --minutes, or 2h.",
        rich_help_panel=_WHERE,
    ),
]
Repository = Annotated[
    str | None,
    typer.Option(
        metavar="USER/NAME",
        help="Private repository of the Hub for text and run; else after the run.",
        rich_help_panel=_WHERE,
    ),
]
Wheel = Annotated[
    Path | None,
    typer.Option(
        help="Wheel of textwright that the job installs; else the release, or one made here.",
        rich_help_panel=_WHERE,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Print the requests of the job as JSON; send nothing.",
        rich_help_panel=_WHERE,
    ),
]

_FLAGS = {"parent": "from", "validation_fraction": "val-fraction"}
_OWN = {"minutes", "validation", "config", "runs_folder", "changes", "lowercase"}
"""Options that are told to the job in another way than by their name."""


@dataclass(frozen=True)
class JobOptions:
    """The options of a job, as they are typed."""

    flavor: str
    timeout: str | None
    repository: str | None
    wheel: Path | None
    dry_run: bool

    def check_unused(self) -> None:
        """Raise `RequestError` where one is given for a training here."""
        if self.dry_run or self.timeout or self.repository or self.wheel:
            raise RequestError(
                "--dry-run, --timeout, --repo and --wheel are for a job; add --on hf"
            )


def train_elsewhere(
    corpus: Sequence[str],
    options: Mapping[str, Any],
    job: JobOptions,
    *,
    name: str | None,
    resume: bool,
) -> Run | None:
    """Start a training as a job, or go on with one, follow it, and bring its run here.

    Args:
        corpus: the texts.
        options: of `textwright train`, by the names that `training.train` has for them.
        job: where, and how long at most.
        name: of the run.
        resume: go on: with the job that runs; else with a new one, from what is in the repository.

    Returns:
        The run that came back; None of a dry run.
    """
    from textwright.training.planning.request import make_request

    def goes_further(run: Run) -> bool:
        request = make_request(*corpus, name=name, resume=True, **options)
        return request.beyond(run.settings(), done=True) is not None

    run = _elsewhere(
        "train", corpus, _words(options), job, name=name, minutes=options["minutes"],
        validation=options["validation"], config=options["config"], runs=options["runs_folder"],
        goes_further=goes_further, resume=resume,
    )  # fmt: skip
    if run is not None:
        typer.echo(str(run.path))
    return run


def sweep_elsewhere(
    corpus: Sequence[str],
    words: Sequence[str],
    job: JobOptions,
    *,
    name: str | None,
    minutes: float | None,
    runs: Path | None,
    resume: bool,
) -> Run | None:
    """Run a sweep as one job, and bring the winner here, with the trials beside it.

    Args:
        corpus: the texts.
        words: the options of `textwright sweep`, as they are typed, without those named here.
        job: where, and how long at most.
        name: of the run that the winner becomes.
        minutes: of the whole sweep.
        runs: the folder of runs.
        resume: go on with the sweep that is in the repository, or that runs.

    Returns:
        The winner; None of a dry run.
    """
    return _elsewhere(
        "sweep", corpus, words, job, name=name, runs=runs, resume=resume,
        minutes=None if minutes is None else f"{minutes:g}",
    )  # fmt: skip


def _elsewhere(
    verb: str,
    corpus: Sequence[str],
    words: Sequence[str],
    job: JobOptions,
    *,
    name: str | None,
    minutes: str | None,
    runs: Path | None,
    resume: bool,
    validation: str | None = None,
    config: Path | None = None,
    goes_further: Callable[[Run], bool] = lambda run: False,
) -> Run | None:
    from textwright.jobs import launch
    from textwright.jobs.following import brought_back

    user = (job.repository or "").split("/")[0] or ("USER" if job.dry_run else launch.whoami())
    planned = partial(
        launch.plan_job, corpus, words, verb=verb, flavor=job.flavor, user=user, name=name,
        repository=job.repository, timeout=None if job.timeout is None else _seconds(job.timeout),
        minutes=minutes, validation=validation, config=config,
    )  # fmt: skip
    plan = planned(wheel=job.wheel)
    if job.dry_run:
        show_calls(plan.calls)
        if job.wheel is None:
            say("where the package index lacks this version, its wheel is made and sent along")
        return None
    found = launch.job_to_follow(plan.name, user) if resume else None
    if found is not None and str(found.status.stage) == "COMPLETED":
        here = brought_back(plan.repository, runs)
        if here is not None and not goes_further(here):
            say(f"the job has ended, and its run is here: {here.path}")
            return here
        if here is not None:
            found = None
        else:
            say("the job has ended, and its run comes here first; to go on, say the same again")
    if found is None:
        if not resume:
            launch.check_new(plan)
        show_costs([f"a job on {launch.cost(plan)}", f"{plan.repository}: storage, until deleted"])
        found = _start(plan, planned, job.wheel)
        say(f"job {found.id} is started: {found.url}")
    return _follow(found.id, plan, verb, user, runs, corpus)


def _start(plan: JobPlan, planned: Callable[..., JobPlan], wheel: Path | None) -> JobInfo:
    """Start the job with a wheel that is made here, where it needs one."""
    from textwright.jobs import launch
    from textwright.publishing.wheel import wheel_for_hub

    with TemporaryDirectory() as made:
        if wheel is None and (own := wheel_for_hub(Path(made))) is not None:
            say(f"the package index lacks this version: {own.name} goes along")
            plan = planned(wheel=own)
        return launch.start(plan)


def _follow(
    job: str, plan: JobPlan, verb: str, user: str, runs: Path | None, corpus: Sequence[str]
) -> Run:
    from textwright.cli.cloud_progress import job_progress
    from textwright.jobs.following import bring_back, follow

    words = [verb, *corpus, "--on", "hf", "--flavor", plan.flavor, "--name", plan.name, "--resume"]
    try:
        with job_progress() as observer:
            info = follow(job, user, observer)
    except (KeyboardInterrupt, DownloadError) as error:
        say("\nthe job goes on. Follow it, and bring the run here, with the same options and "
            f"--resume: textwright {shlex.join(words)}")  # fmt: skip
        say(f"end it: hf jobs cancel {user}/{job}")
        raise error
    if info.durations is not None and info.durations.running_secs is not None:
        say(f"it ran for {info.durations.running_secs} s")
    try:
        run = bring_back(plan.repository, plan.name, runs)
    except TextwrightError as error:
        raise type(error)(f"{error}; what there is stays in {plan.repository}") from error
    say(f"text, run and checkpoints stay in {plan.repository}: hf repos delete {plan.repository}")
    return run


def _words(options: Mapping[str, Any]) -> list[str]:
    """The options as they are typed, but those that `plan_job` is told of."""
    words = [
        f"--{_FLAGS.get(name, name.replace('_', '-'))}={value}"
        for name, value in options.items()
        if value is not None and name not in _OWN
    ]
    if options["lowercase"]:
        words.append("--lowercase")
    if options["parent"] is not None:
        check_parent(str(options["parent"]), options["runs_folder"])
    return [*words, *(f"--set={change}" for change in options["changes"])]


def check_parent(parent: str, runs: Path | None) -> None:
    """Raise `RequestError` for a run of this machine, which a job can't begin with."""
    from textwright.runs import find

    if not parent.startswith("hf:") and not find(parent, runs).is_shipped:
        raise RequestError(
            f"--from {parent}: the job can't read the runs of this machine; push it, and name "
            "it hf:owner/name"
        )


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)\s*([smhd]?)", text.strip())
    if not match or not int(match[1]):
        raise RequestError(f"--timeout {text}: write minutes or hours, e.g. 90m or 2h")
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
