"""`textwright sagemaker` and `textwright sagemaker-entry`: archives for the cloud, and its jobs."""

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


def entry_train() -> None:
    """Do the training job that /opt/ml describes; what an image's `train` runs.

    textwright sagemaker-entry train
    """
    from textwright.cli.train import training_library

    training_library()
    from textwright.cli.progress import Blocks
    from textwright.sagemaker.container import Container
    from textwright.sagemaker.job import run

    if code := run(Container.here(), [Blocks()]):
        raise typer.Exit(code)
