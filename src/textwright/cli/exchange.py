"""`textwright export` and `import`: runs as other programs' models, and the reverse."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from textwright.cli.generate import Companion, RunName, Runs


class Target(enum.StrEnum):
    """Values of `--to`."""

    TRANSFORMERS = "transformers"
    ONNX = "onnx"
    GGUF = "gguf"
    PAGE = "page"


class PageType(enum.StrEnum):
    """Values of `--dtype`."""

    FLOAT16 = "float16"
    INT8 = "int8"


class Source(enum.StrEnum):
    """Values of `--from`."""

    NANOGPT = "nanogpt"
    CHAR_RNN = "char-rnn.pytorch"
    KERAS = "keras"
    TRANSFORMERS = "transformers"


def export(
    run: RunName,
    to: Annotated[Target, typer.Option("--to", help="What shall run it.")],
    out: Annotated[
        Path,
        typer.Option(
            help="Folder to write, or a file that ends in .gguf or .html.", metavar="PATH"
        ),
    ],
    dtype: Annotated[
        PageType | None,
        typer.Option(
            help="Of a page's weights; int8 halves the file. Else float16.", show_default=False
        ),
    ] = None,
    trainable: Annotated[
        bool,
        typer.Option("--trainable", help="A page that can also train, in the browser's tab."),
    ] = False,
    companion: Annotated[
        Companion,
        typer.Option(
            help="What the run counted in its text: into a page with it (auto), or leave it out "
            "(off). Other programs can't hold it."
        ),
    ] = Companion.auto,
    runs: Runs = None,
) -> None:
    """Write a model in the form of another program.

    textwright export my_novel --to onnx --out my_novel_onnx
    """
    from textwright import publishing
    from textwright.runs import find

    written = publishing.export(
        find(run, runs),
        to.value,
        out,
        dtype=dtype and dtype.value,
        trainable=trainable,
        companion=companion.value,
    )
    typer.echo(written)


def page(
    out: Annotated[
        Path, typer.Option(help="File to write; one that exists is replaced.", metavar="FILE.html")
    ],
) -> None:
    """Write a page that trains in the browser: one file, no server, nothing to install.

    textwright page --out train.html
    """
    from textwright.errors import RequestError
    from textwright.page import write_offline_page

    if out.is_dir():
        raise RequestError(f"{out} is a folder; name a file to write with --out")
    typer.echo(write_offline_page(None, out))


def import_(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", help="Checkpoint, folder, or hf:owner/name; a run that was downloaded."
        ),
    ],
    source: Annotated[
        Source | None,
        typer.Option("--from", help="What made it; not of a run in a .zip.", show_default=False),
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run; else after the file.")] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            help="tokenizer.json or nanoGPT's meta.pkl, where it doesn't lie in its usual place.",
            metavar="FILE",
        ),
    ] = None,
    runs: Runs = None,
) -> None:
    """Make a run of a model that something else trained.

    textwright import nanoGPT/out-shakespeare-char --from nanogpt --name bard

    textwright import my_novel.zip
    """
    from textwright import publishing
    from textwright.errors import RequestError

    if source is None and path.lower().endswith(".zip"):
        typer.echo(publishing.import_run(path, name=name, runs_folder=runs).path)
        return
    if source is None:
        raise RequestError(f"say what made {path}: --from {', '.join(Source)}; a run is a .zip")
    run = publishing.import_model(
        path, source.value, name=name, tokenizer=tokenizer, runs_folder=runs
    )
    typer.echo(run.path)
