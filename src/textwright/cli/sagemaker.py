"""`textwright sagemaker`: archives for the cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from textwright.errors import RequestError, counted


def package(
    run: Annotated[str, typer.Argument(help="The run, by path or name.")],
    out: Annotated[Path, typer.Option(help="The archive to write.")] = Path("model.tar.gz"),
    image: Annotated[
        str | None,
        typer.Option(
            metavar="aws-pytorch",
            help="What AWS's own PyTorch container needs besides goes along, so that it asks no "
            "index.",
        ),
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of runs.", envvar="TEXTWRIGHT_RUNS")
    ] = None,
) -> None:
    """Write the model.tar.gz that SageMaker hosts, verified by loading it.

    textwright sagemaker package my_novel --out model.tar.gz
    """
    from textwright.runs import find
    from textwright.sagemaker import stock
    from textwright.sagemaker.archive import package as write

    if image not in (None, stock.IMAGE):
        raise RequestError(f"--image {image}: only {stock.IMAGE} needs more in the archive")
    names = write(find(run, runs), out, wheels=image is not None)
    wheels = [name for name in names if name.startswith("code/wheels/")]
    shown = [name for name in names if name not in ("code", "code/wheels", *wheels)]
    brought = [counted(len(wheels), "wheel")] if wheels else []
    typer.echo(f"{out}: {', '.join([*shown, *brought])}")
