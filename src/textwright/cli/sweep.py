"""`textwright sweep`: several trainings of one text, and the best of them."""

from __future__ import annotations

import json
import logging
import sys
import threading
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textwright.cli.jobs import (
    DryRun,
    Flavor,
    JobOptions,
    On,
    Repository,
    Timeout,
    Wheel,
    Where,
    check_parent,
    sweep_elsewhere,
)
from textwright.cli.train import check_torch
from textwright.errors import RequestError

if TYPE_CHECKING:
    from textwright.training.sweeps import Sweep, Trial

_RIGHT = ("parameters", "trained", "bits/char", "val loss", "time")


def sweep(
    corpus: Annotated[
        list[str] | None,
        typer.Argument(help="As of `textwright train`, but no standard input.", show_default=False),
    ] = None,
    try_: Annotated[
        list[str] | None,
        typer.Option(
            "--try",
            metavar="NAME=VALUE,VALUE",
            help="Values to try: size, model, tokenizer … as in `textwright train`, or any setting "
            "by its dotted name; may be repeated, and every combination is a trial.",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="What holds for all trials, by the same names; may be repeated.",
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            help="Time of the WHOLE sweep, which the trials share; 20 where nothing is said."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(help="In place of --minutes: so many steps for each that is trained whole."),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the run that the best becomes; else after the corpus."),
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of runs.", envvar="TEXTWRIGHT_RUNS")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            help="Trials side by side, of each worker where torchrun started several; else as many "
            "as there are cores, one core each."
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be done; train nothing.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with the sweep --name, or the last one."),
    ] = False,
    on: Where = On.here,
    flavor: Flavor = "cpu-upgrade",
    timeout: Timeout = None,
    repo: Repository = None,
    wheel: Wheel = None,
    dry_run: DryRun = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result, or the plan, as one JSON object.")
    ] = False,
) -> None:
    """Try settings on your text, and keep the model of the best.

    textwright sweep my_novel.txt --try size=nano,micro --try model.dropout=0.1,0.2 --minutes 20

    All are trained to a part of their plans, the better half goes on to twice that, and so on.
    """
    from textwright.training import trials

    job = JobOptions(flavor, timeout, repo, wheel, dry_run)
    if on is On.hf:
        if plan or as_json:
            raise RequestError("--plan and --json are for a sweep here; leave out --on")
        _sweep_elsewhere(corpus or [], try_ or [], set_ or [], job, name=name, minutes=minutes,
                         steps=steps, jobs=jobs, runs=runs, resume=resume)  # fmt: skip
        return
    job.check_unused()
    if resume and (corpus or try_ or set_ or minutes or steps or jobs or plan):
        raise RequestError("--resume goes on exactly as planned; it takes --name and --runs alone")
    options: dict[str, Any] = {"name": name, "runs_folder": runs}
    if not resume:
        fixed = trials.parse_tries(set_ or [], "--set")
        options |= {
            "tries": trials.parse_tries(try_ or []),
            "fixed": {key: ",".join(values) for key, values in fixed.items()},
            "minutes": minutes, "steps": steps, "jobs": jobs,
        }  # fmt: skip
    from textwright import torchrun
    from textwright.training import sweeping

    first = torchrun.is_first()
    if plan:
        planned = sweeping.plan_sweep(*(corpus or []), **options)
        if first:
            _show_plan(planned, as_json=as_json)
        return
    if find_spec("torch") is None:  # the trials import it, not this process
        check_torch()
    if not first:  # the rest is said once
        logging.getLogger("textwright").setLevel(logging.ERROR)
    changed = _Progress() if first else lambda sweep: None
    done = sweeping.sweep(*(corpus or []), resume=resume, changed=changed, **options)
    if first:
        _tell(done, runs, as_json=as_json)
    if done.interrupted:
        raise typer.Exit(130)


def _tell(done: Sweep, runs: Path | None, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"folder": str(done.folder), "interrupted": done.interrupted,
                               **done.record(), "states": [one.state for one in done.trials],
                               "bits_per_char": [one.summary.val_bits_per_char
                                                 for one in done.trials]}))  # fmt: skip
    else:
        show(done)
    if done.interrupted:
        where = "" if runs is None else f" --runs {runs}"
        typer.echo(f"stopped; go on: textwright sweep --name {done.name} --resume{where}", err=True)


def _sweep_elsewhere(
    corpus: list[str],
    tries: list[str],
    fixed: list[str],
    job: JobOptions,
    *,
    name: str | None,
    minutes: float | None,
    steps: int | None,
    jobs: int | None,
    runs: Path | None,
    resume: bool,
) -> None:
    from textwright.training import sweeping, trials

    tried, same = trials.parse_tries(tries), trials.parse_tries(fixed, "--set")
    if "val" in tried | same:
        raise RequestError("val: a sweep's job can't read files of this machine; leave it out")
    for parent in (tried | same).get("from", []):
        check_parent(parent, runs)
    # raises here what is wrong with it; the job decides how many train side by side
    planned = sweeping.plan_sweep(
        *corpus, tries=tried, fixed={key: ",".join(values) for key, values in same.items()},
        minutes=minutes, steps=steps, name=name, runs_folder=runs, jobs=jobs or 256,
    )  # fmt: skip
    counted = [f"--{key}={value}" for key, value in (("steps", steps), ("jobs", jobs)) if value]
    words = [*(f"--try={one}" for one in tries), *(f"--set={one}" for one in fixed), *counted]
    winner = sweep_elsewhere(
        corpus, words, job, name=name, minutes=planned.minutes, runs=runs,
        resume=resume,
    )  # fmt: skip
    if winner is not None:
        show(sweeping.sweep(name=winner.name, runs_folder=runs, resume=True))


def show(done: Sweep) -> None:
    """The table, and on standard error what to do next."""
    from textwright.cli.tables import show_table
    from textwright.reporting.sweep import COLUMNS
    from textwright.runs import command_for

    columns = (*done.trials[0].values, *COLUMNS)
    rows = done.rows()
    show_table(columns, [row.cells() for row in rows], right=_RIGHT)
    if {"finished", "stopped"} <= {row.state for row in rows}:
        note = "bits and loss: finished, of the whole validation text; stopped, of what evaluations"
        typer.echo(f"{note} read of it", err=True)
    for trial in done.trials:
        if trial.reason:
            typer.echo(f"{trial.run.name} failed: {trial.reason}", err=True)
    typer.echo(f"curves: {done.report_file}", err=True)
    if done.winner is not None:
        typer.echo(f"winner: {done.winner.path}")
        typer.echo(f"next: {command_for(done.winner, 'generate')}", err=True)


def _show_plan(planned: Sweep, *, as_json: bool) -> None:
    from textwright.cli.tables import show_rows
    from textwright.reporting import numbers

    each = planned.seconds_each
    if as_json:
        rungs = [{"share": one.share, "trials": one.trials, "keep": one.keep}
                 for one in planned.rungs]  # fmt: skip
        typer.echo(json.dumps({**planned.record(), "rungs": rungs, "seconds_each": each}))
        return
    threads = "1 thread" if planned.threads == 1 else f"{planned.threads} threads"
    rows = {
        "trials": f"{len(planned.trials)}, {planned.jobs} side by side, {threads} each",
        "of each": f"{planned.steps:,} steps" if each is None
        else f"planned for {numbers.duration(each)}",
    }  # fmt: skip
    for rung in planned.rungs:
        goes_on = f"the best {rung.keep} go on" if rung.share < 1 else "the best is the winner"
        rows[f"to {rung.share:.3g} of it"] = f"{rung.trials} trials; {goes_on}"
    rows["leaves"] = f"{planned.folder}, and the winner as {planned.folder.parent / planned.name}"
    show_rows(rows)


class _Progress:
    """A line on standard error whenever a trial's state changes, and its latest number there."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, sweep: Sweep) -> None:
        with self._lock:
            for trial in sweep.trials:
                line = _line(trial)
                if trial.state != "waiting" and self._said.get(trial.run.name) != line:
                    self._said[trial.run.name] = line
                    sys.stderr.write(f"{line}\n")
                    sys.stderr.flush()


def _line(trial: Trial) -> str:
    summary = trial.summary
    steps = summary.section("plan").get("steps")
    line = f"{trial.run.name}: {trial.state}"
    if summary.metrics and steps:
        last = summary.metrics[-1]
        line += f", {last['step'] / steps:.0%}, {last['val_bits_per_char']:.4f} bits a character"
    return f"{line}: {trial.reason}" if trial.reason else line
