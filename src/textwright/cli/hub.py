"""`textwright push` and `pull`: models to and from the Hugging Face Hub."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textwright.cli.generate import Companion, RunName, Runs

Repository = Annotated[str, typer.Argument(metavar="USER/NAME", help="Its name on the Hub.")]


def push(
    run: RunName,
    repository: Repository,
    space: Annotated[
        str | None,
        typer.Option(metavar="USER/SPACE", help="Also make a Space with an app around it."),
    ] = None,
    static: Annotated[
        bool, typer.Option("--static", help="The Space is a page with the model inside.")
    ] = False,
    private: Annotated[
        bool, typer.Option("--private", help="Only you see what is created.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the folders to --out, push nothing.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where --dry-run writes.", show_default="hub"),
    ] = None,
    wheel: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Wheel of textwright that the Space installs; else the release, or one made here.",
        ),
    ] = None,
    companion: Annotated[
        Companion,
        typer.Option(
            help="What the run counted in its text, phrases of it: publish it too (auto), or leave "
            "it out (off)."
        ),
    ] = Companion.auto,
    runs: Runs = None,
) -> None:
    """Publish a model on the Hugging Face Hub, with its card.

    textwright push my_novel user/my-novel --dry-run
    """
    from textwright import publishing
    from textwright.errors import RequestError
    from textwright.runs import find

    if out and not dry_run:
        raise RequestError("--out says where --dry-run writes; add --dry-run")
    for line in publishing.push(
        find(run, runs), repository, space=space, static=static, private=private,
        dry_run=(out or Path("hub")) if dry_run else None, wheel=wheel,
        companion=companion.value,
    ):  # fmt: skip
        typer.echo(line)


def pull(
    repository: Repository,
    name: Annotated[str | None, typer.Option(help="Name of the run; else as on the Hub.")] = None,
    runs: Runs = None,
) -> None:
    """Bring a model of the Hub into the runs folder."""
    from textwright import publishing

    typer.echo(publishing.pull(repository, name=name, folder=runs).path)
