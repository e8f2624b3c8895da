"""`textwright sagemaker`: archives for the cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def package(
    run: Annotated[str, typer.Argument(help="The run, by path or name.")],
    out: Annotated[Path, typer.Option(help="The archive to write.")] = Path("model.tar.gz"),
    runs: Annotated[
        Path | None, typer.Option(help="Folder of runs.", envvar="TEXTWRIGHT_RUNS")
    ] = None,
) -> None:
    """Write the model.tar.gz that SageMaker hosts, verified by loading it.

    textwright sagemaker package my_novel --out model.tar.gz
    """
    from textwright.runs import find
    from textwright.sagemaker.archive import package as write

    names = write(find(run, runs), out)
    typer.echo(f"{out}: {', '.join(name for name in names if name != 'code')}")
