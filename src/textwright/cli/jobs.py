"""`textwright train --on hf`: the training as a job of the Hugging Face Hub."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from textwright.cli.cloud_options import say, show_calls, show_costs
from textwright.errors import RequestError, TextwrightError

if TYPE_CHECKING:
    from textwright.jobs.launch import JobPlan
    from textwright.runs import Run

_FLAGS = {"parent": "from", "validation_fraction": "val-fraction"}
_OWN = {"minutes", "validation", "config", "runs_folder", "changes", "lowercase"}
"""Options that are told to the job in another way than by their name."""


def train_elsewhere(
    corpus: Sequence[str],
    options: Mapping[str, Any],
    *,
    name: str | None,
    flavor: str,
    timeout: str | None,
    repository: str | None,
    wheel: Path | None,
    resume: bool,
    dry_run: bool,
) -> Run | None:
    """Start a job, or go on with one, follow it, and bring its run here.

    Args:
        corpus: the texts.
        options: of `textwright train`, by the names that `training.train` has for them.
        name: of the run.
        flavor: the machine.
        timeout: as typed: `90m`, `2h`.
        repository: `user/name`.
        wheel: of textwright.
        resume: go on: with the job that runs; else with a new one, from what is in the repository.
        dry_run: print the requests, send nothing.

    Returns:
        The run that came back; None of a dry run.
    """
    from textwright.jobs import launch

    user = (repository or "").split("/")[0] or ("USER" if dry_run else launch.whoami())
    plan = launch.plan_job(
        corpus, _words(options), flavor=flavor, user=user, name=name, repository=repository,
        timeout=None if timeout is None else _seconds(timeout), minutes=options["minutes"],
        validation=options["validation"], config=options["config"], wheel=wheel,
    )  # fmt: skip
    if dry_run:
        show_calls(plan.calls)
        return None
    job = launch.job_to_follow(plan.name, user) if resume else None
    if job is None:
        if not resume:
            launch.check_new(plan)
        show_costs([f"a job on {launch.cost(plan)}", f"{plan.repository}: storage, until deleted"])
        if wheel is None:
            say(
                "the job installs textwright from the package index; where this version isn't "
                "there, give --wheel FILE (pip wheel . --no-deps makes one)"
            )
        info = launch.start(plan)
        job = info.id
        say(f"job {job} is started: {info.url}")
    return _follow(job, plan, user, options["runs_folder"], corpus)


def _follow(job: str, plan: JobPlan, user: str, runs: Path | None, corpus: Sequence[str]) -> Run:
    from textwright.cli.cloud_progress import job_progress
    from textwright.jobs.following import bring_back, follow

    words = [*corpus, "--on", "hf", "--flavor", plan.flavor, "--name", plan.name, "--resume"]
    try:
        with job_progress() as observer:
            info = follow(job, user, observer)
    except KeyboardInterrupt:
        say("\nthe job goes on. Follow it, and bring the run here, with the same options and "
            f"--resume: textwright train {shlex.join(words)}")  # fmt: skip
        say(f"end it: hf jobs cancel {user}/{job}")
        raise
    if info.durations is not None and info.durations.running_secs is not None:
        say(f"it ran for {info.durations.running_secs} s")
    try:
        run = bring_back(plan.repository, plan.name, runs)
    except TextwrightError as error:
        raise type(error)(f"{error}; what there is stays in {plan.repository}") from error
    say(f"text, run and checkpoints stay in {plan.repository}: hf repos delete {plan.repository}")
    typer.echo(str(run.path))
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
    parent = options["parent"]
    if parent is not None and not str(parent).startswith("hf:"):
        from textwright.runs import find

        if not find(str(parent), options["runs_folder"]).is_shipped:
            raise RequestError(
                f"--from {parent}: the job can't read the runs of this machine; push it, and name "
                "it hf:owner/name"
            )
    return [*words, *(f"--set={change}" for change in options["changes"])]


def _seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)\s*([smhd]?)", text.strip())
    if not match or not int(match[1]):
        raise RequestError(f"--timeout {text}: write minutes or hours, e.g. 90m or 2h")
    return int(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]
