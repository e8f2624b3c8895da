"""`textwright eval`: the loss of a run on a text."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from textwright.cli.generate import ComputePrecision, Precision


class Device(StrEnum):
    """What `--device` offers."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


def evaluate(
    run: Annotated[
        str,
        typer.Argument(
            help="A run: a path, a name, a model that comes with the package, or hf:owner/name."
        ),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Text to evaluate on; none takes the run's own validation text.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            help="Read windows of so many tokens, each from nothing, so that models of any family "
            "compare; an attention model's are at most its block size. Else windows of that size, "
            "or, of a recurrent model, the text in one piece."
        ),
    ] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            help="Windows start every so many tokens, at most --window, so that each prediction "
            "sees more context; else windows don't overlap. A recurrent model has windows with "
            "--window only."
        ),
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of runs.", envvar="TEXTWRIGHT_RUNS")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.auto,
    precision: ComputePrecision = Precision.float32,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
) -> None:
    """Measure how well a run predicts a text: loss, bits a character and a byte, perplexity."""
    from textwright.cli.tables import show_rows
    from textwright.cli.train import training_library
    from textwright.runs import find

    found = find(run, runs)
    score = training_library().score(
        found,
        files or [],
        window=window,
        stride=stride,
        device=device.value,
        precision=precision.value,
    )
    if as_json:
        typer.echo(json.dumps(score.record()))
        return
    rows = {
        "loss": f"{score.loss:.4f} nats a token",
        "bits a character": f"{score.bits_per_char:.4f}",
        "bits a byte": f"{score.bits_per_byte:.4f}",
        "perplexity": f"{score.perplexity:,.2f} a token",
        "read": f"{score.tokens:,} tokens, {score.characters:,} characters, {score.bytes:,} bytes",
        "protocol": score.protocol,
    }
    if score.unknown_characters:
        rows["left out"] = f"{score.unknown_characters:,} characters that the model never saw"
    show_rows(rows)
