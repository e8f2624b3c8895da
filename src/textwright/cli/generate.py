"""`textwright generate`: streams the continuation of a prompt to standard output."""

from __future__ import annotations

import json
import logging
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:  # `textwright --help` must not wait for NumPy
    from textwright.generation import Generation, Generator, Options, Stream, TokenLogprob

ALTERNATIVES = 5
"""Likeliest tokens that `--probabilities` shows beside each token."""

_SAMPLING = "Sampling (the run's own defaults where left out)"

RunName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="A run's folder or name, a model that comes with the package, e.g. shakespeare, or "
        "hf:owner/name.",
    ),
]
MaxTokens = Annotated[
    int | None, typer.Option("--max-tokens", "-n", help="Tokens to generate at most.")
]
Temperature = Annotated[
    float | None,
    typer.Option(
        help="Below 1 plays safe, above 1 dares more; 0 takes the likeliest each time.",
        rich_help_panel=_SAMPLING,
    ),
]
TopK = Annotated[
    int | None,
    typer.Option(help="Only the k likeliest tokens; 0: all.", rich_help_panel=_SAMPLING),
]
TopP = Annotated[
    float | None,
    typer.Option(help="Only the likeliest that together reach this.", rich_help_panel=_SAMPLING),
]
MinP = Annotated[
    float | None,
    typer.Option(
        help="Only those at least this likely, relative to the likeliest.",
        rich_help_panel=_SAMPLING,
    ),
]
RepetitionPenalty = Annotated[
    float | None,
    typer.Option(help="Above 1: what is there comes less often.", rich_help_panel=_SAMPLING),
]
Seed = Annotated[
    int | None, typer.Option(help="The same seed gives the same text.", rich_help_panel=_SAMPLING)
]


class Precision(StrEnum):
    """Values of `--precision`."""

    auto = "auto"
    float32 = "float32"
    float16 = "float16"
    int8 = "int8"


ComputePrecision = Annotated[
    Precision,
    typer.Option(
        "--precision",
        help="What weights are held in; auto: as the file has them. int8 is faster, and nearly as "
        "good; float16 and int8 need the compiled kernels.",
    ),
]


class Companion(StrEnum):
    """Values of `--companion`."""

    auto = "auto"
    off = "off"


CompanionOption = Annotated[
    Companion,
    typer.Option(
        "--companion",
        help="What a run counted in its text, beside what its network learned: mixed in where it "
        "has that (auto), or not (off).",
    ),
]
AllowUnk = Annotated[
    bool,
    typer.Option(
        "--allow-unk",
        help="Let a model of words write <unk> for words it doesn't know.",
        rich_help_panel=_SAMPLING,
    ),
]
CopyAtMost = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Write no more than N characters in a row that stand in the training text, which has "
        "to be here; 16 at least.",
        rich_help_panel=_SAMPLING,
        show_default=False,
    ),
]
Runs = Annotated[
    Path | None, typer.Option(help="Folder of runs.", envvar="TEXTWRIGHT_RUNS", metavar="DIR")
]


def generate(
    run: RunName,
    prompt: Annotated[
        str,
        typer.Argument(
            metavar="PROMPT",
            help="What to continue; `-` reads it from standard input.",
            show_default=False,
        ),
    ] = "",
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    repetition_penalty: RepetitionPenalty = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(help="End before this string; may be repeated.", rich_help_panel=_SAMPLING),
    ] = None,
    seed: Seed = None,
    allow_unk: AllowUnk = False,
    copy_at_most: CopyAtMost = None,
    count: Annotated[
        int, typer.Option(help="Samples to generate, with the seeds SEED, SEED + 1 …")
    ] = 1,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities", help="Also show how likely each token was, and what else was."
        ),
    ] = False,
    strict: Annotated[
        bool,
        typer.Option("--strict", help="Refuse a prompt with characters the model never saw."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print a JSON object a sample, one a line.")
    ] = False,
    precision: ComputePrecision = Precision.auto,
    companion: CompanionOption = Companion.auto,
    runs: Runs = None,
) -> None:
    """Continue a prompt; without one, begin a new text.

    textwright generate my_novel "It was" -n 300 --temperature 0.7

    textwright generate shakespeare "ROMEO:" # comes with the package
    """
    from textwright.generation import load

    options: Options = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "min_p": min_p,
        "repetition_penalty": repetition_penalty,
        "stop": stop or None,
        "seed": seed,
        "strict": strict,
        "allow_unk": allow_unk,
        "logprobs": ALTERNATIVES if probabilities else None,
    }
    model = load(run, runs, precision=precision, companion=companion, copy_at_most=copy_at_most)
    streams = model.streams(_from_stdin() if prompt == "-" else prompt, count, **options)
    try:
        for number, stream in enumerate(streams):
            if number == 0:
                for warning in stream.generation.warnings:
                    logging.getLogger("textwright").warning(warning)
            if as_json:
                _write_json(model, stream)
                continue
            if number:
                typer.echo("---")
            _write(stream)
            if probabilities:
                _write_probabilities(stream.generation)
    except BrokenPipeError:
        # standard output was closed (`| head`): no error, and nothing is left to flush
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show(text: str) -> None:
    """Write a piece of text and flush; a terminal gets no control characters."""
    if sys.stdout.isatty():
        text = "".join(
            char if char in "\n\t" or (char >= " " and not "\x7f" <= char < "\xa0") else "�"
            for char in text
        )
    sys.stdout.write(text)
    sys.stdout.flush()


def _from_stdin() -> str:
    """All of standard input, without the line end that `echo` and editors add."""
    text = sys.stdin.buffer.read().decode("utf-8-sig", errors="replace")
    return text.replace("\r\n", "\n").removesuffix("\n")


def _write(stream: Stream) -> None:
    try:
        show(stream.generation.prompt)
        for piece in stream:
            show(piece)
    finally:  # after Ctrl-C too, so that the shell's prompt begins a line
        show("\n")


def _write_json(model: Generator, stream: Stream) -> None:
    for _ in stream:
        pass
    generation = stream.generation
    record: dict[str, Any] = {
        "model_name": model.name,
        "prompt": generation.prompt,
        "text": generation.text,
        "tokens": generation.tokens,
        "finish_reason": generation.finish_reason,
        "warnings": generation.warnings,
        "seed": generation.seed,
    }
    if generation.logprobs is not None:
        record["probabilities"] = [_record(token) for token in generation.logprobs]
    from textwright.cli.tables import show_json

    show_json(record, indent=None)


def _record(token: TokenLogprob) -> dict[str, Any]:
    return {
        "token": token.token,
        "id": token.id,
        "probability": token.probability,
        "alternatives": [
            {"token": text, "probability": probability} for text, probability in token.likeliest
        ],
    }


def _write_probabilities(generation: Generation) -> None:
    from textwright.cli.tables import show_table

    rows = [
        (
            _quoted(token.token),
            _percent(token.probability),
            "  ".join(f"{_quoted(text)} {_percent(other)}" for text, other in token.likeliest),
        )
        for token in generation.logprobs or []
    ]
    typer.echo()
    show_table(("token", "probability", "likeliest there"), rows, right=("probability",))


def _quoted(token: str) -> str:
    """A token in quotes, with its spaces and line ends visible."""
    return json.dumps(token, ensure_ascii=False)


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %"
