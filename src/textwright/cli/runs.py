"""`textwright runs list|compare|rm` and `textwright report`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from textwright.cli.confirm import confirmed
from textwright.cli.tables import show_json, show_table
from textwright.errors import RequestError

if TYPE_CHECKING:  # `textwright --help` must not wait for what only these commands need
    from textwright.reporting import Comparison, RunSummary

Folder = Annotated[
    Path | None,
    typer.Option("--runs", metavar="DIR", help="Where runs live [$TEXTWRIGHT_RUNS or runs]."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def default(context: typer.Context, runs: Folder = None, as_json: AsJson = False) -> None:
    """List, compare and remove runs; without a command, list them."""
    if context.invoked_subcommand is None:
        list_runs(runs, as_json)


def list_runs(runs: Folder = None, as_json: AsJson = False) -> None:
    """List the runs, the newest first, with their numbers."""
    from textwright.reporting import summaries
    from textwright.runs import runs_folder

    folder = runs_folder(runs)
    found = summaries(folder)
    if as_json:
        show_json([summary.to_json() for summary in found])
        return
    if not found:
        typer.echo(f"no runs in {folder} yet; make one: textwright train FILE", err=True)
        _mention_shipped(folder)
        return
    columns = ("name", "model", "parameters", "corpus", "steps", "val loss", "unknown", "bits/char",
               "time", "status", "modified")  # fmt: skip
    right = ("parameters", "steps", "val loss", "unknown", "bits/char", "time")
    spare = ("modified", "parameters", "time", "corpus")
    show_table(columns, [_row(summary) for summary in found], right=right, spare=spare)
    for summary in found:
        if summary.damage:
            typer.echo(f"{summary.name} is damaged: {summary.damage}")
    _mention_shipped(folder)


def _mention_shipped(folder: Path) -> None:
    """Print the names of the shipped models, but those that a run of the same name hides."""
    from textwright.runs import list_runs, match_run, shipped

    own = list_runs(folder)
    names = [run.name for run in shipped() if match_run(run.name, own) is None]
    if names:
        typer.echo(f"models that come with the package: {', '.join(names)}", err=True)


def compare_runs(
    names: Annotated[list[str], typer.Argument(metavar="RUN RUN ...", help="Two runs or more.")],
    runs: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Set runs side by side: settings that differ, numbers, curves."""
    from textwright.reporting import RunSummary, compare
    from textwright.runs import find

    found = [RunSummary.read(find(name, runs)) for name in names]
    comparison = compare(*found)
    if as_json:
        show_json(comparison.to_json())
    else:
        _show_comparison(comparison)
    for warning in comparison.warnings:
        typer.echo(f"note: {warning}", err=True)


def remove_run(
    names: Annotated[list[str], typer.Argument(metavar="RUN ...", help="Runs to delete.")],
    runs: Folder = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask first.")] = False,
) -> None:
    """Delete runs, after asking. Nothing outside the runs folder is ever touched."""
    from textwright.atomic import disk_error
    from textwright.reporting import run_to_remove

    # all are looked up first, so that a mistyped name deletes nothing
    found = {run.path: run for run in (run_to_remove(name, runs) for name in names)}
    for run in found.values():
        if not yes and not confirmed(f"Delete {run.path} for good?"):
            typer.echo(f"{run.name} stays", err=True)
            continue
        try:
            run.remove()
        except OSError as error:
            raise disk_error(error, run.path) from error
        typer.echo(f"deleted {run.path}", err=True)


def report(
    name: Annotated[str, typer.Argument(metavar="RUN", help="A run: its name or its folder.")],
    runs: Folder = None,
) -> None:
    """Write a run's report.html anew and print its path."""
    from textwright.reporting import write_report
    from textwright.runs import find

    run = find(name, runs)
    if run.is_shipped:
        raise RequestError(
            f"{run.name!r} comes with the package, without the files of its training; "
            f"its card tells how it was made: {run.card_file}"
        )
    if not (run.settings_file.is_file() or run.metrics_file.is_file()):
        raise RequestError(
            f"{run.path} is a model folder without a training to report on: "
            "it has neither run.toml nor metrics.jsonl; name a run"
        )
    typer.echo(str(write_report(run)))


def _row(summary: RunSummary) -> tuple[str, ...]:
    from textwright.reporting import numbers

    return (
        summary.name,
        summary.family or numbers.NONE,
        numbers.short(summary.parameters),
        summary.corpus or numbers.NONE,
        numbers.whole(summary.steps),
        numbers.loss(summary.val_loss),
        numbers.share(summary.val_unknown),
        numbers.loss(summary.val_bits_per_char),
        numbers.duration(summary.seconds),
        summary.status,
        summary.modified.strftime("%Y-%m-%d %H:%M"),
    )


def _show_comparison(comparison: Comparison) -> None:
    from textwright.reporting import numbers
    from textwright.reporting.comparison import sparklines

    formats: dict[str, tuple[str, Callable[[Any], str]]] = {
        "parameters": ("parameters", numbers.short),
        "val_loss": ("validation loss", numbers.loss),
        "val_unknown": ("not in the vocabulary", numbers.share),
        "val_bits_per_char": ("bits a character", numbers.loss),
        "perplexity": ("perplexity", numbers.perplexity),
        "best_step": ("kept step", numbers.whole),
        "steps": ("steps", numbers.whole),
        "tokens": ("tokens read", numbers.short),
        "seconds": ("time", numbers.duration),
    }
    names = [run.name for run in comparison.runs]
    if comparison.settings:
        rows = [
            (setting, *(numbers.NONE if value is None else str(value) for value in values))
            for setting, values in comparison.settings.items()
        ]
        show_table(("setting", *names), rows)
    else:
        typer.echo("every setting is the same")
    typer.echo()
    rows = [
        (label, *(form(value) for value in comparison.numbers[name]))
        for name, (label, form) in formats.items()
    ]
    rows.append(("verdict", *(str(run.verdict) for run in comparison.runs)))
    show_table(("result", *names), rows)
    lines = sparklines(comparison.runs, encoding=sys.stdout.encoding or "utf-8")
    if any(lines):
        typer.echo()
        show_table(("validation loss over the steps", ""), list(zip(names, lines, strict=True)))
