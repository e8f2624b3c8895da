"""`textwright eval`: a run's loss on a text; of conversations, the quality of its replies."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from textwright.evaluation import CompanionScore, ConversationScore, Score

from textwright.cli import novelty as novelty_options
from textwright.cli.generate import Companion, CompanionOption, ComputePrecision, Precision
from textwright.errors import RequestError, counted


class Device(StrEnum):
    """Values of `--device`."""

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
    encoding: Annotated[
        str | None, typer.Option(help="Encoding of the files, e.g. cp1252; else it is found.")
    ] = None,
    field: Annotated[
        str | None,
        typer.Option(help="Field or column of the files that holds the text; else it is found."),
    ] = None,
    runs: Annotated[
        Path | None, typer.Option(help="Folder of runs.", envvar="TEXTWRIGHT_RUNS")
    ] = None,
    device: Annotated[Device, typer.Option(help="Where to compute.")] = Device.auto,
    precision: ComputePrecision = Precision.auto,
    companion: CompanionOption = Companion.auto,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    novelty: novelty_options.NoveltyFlag = False,
    minimum: novelty_options.Minimum = None,
    count: novelty_options.Count = None,
    max_tokens: novelty_options.MaxTokens = None,
    temperature: novelty_options.Temperature = None,
    top_k: novelty_options.TopK = None,
    seed: novelty_options.Seed = None,
) -> None:
    """Measure how well a run predicts a text: loss, bits a character and a byte, perplexity.

    A model of conversations, on conversations, also tells how relevant and varied its replies are,
    beside n-gram models. With --novelty: how much of what the model writes is copied.
    """
    from textwright.cli.tables import show_rows
    from textwright.cli.train import check_torch
    from textwright.runs import find

    generation = {
        "--minimum": minimum, "--count": count, "--max-tokens": max_tokens,
        "--temperature": temperature, "--top-k": top_k, "--seed": seed,
    }  # fmt: skip
    _check_options(novelty, generation, {"--window": window, "--stride": stride})
    model = find(run, runs)
    if novelty:
        novelty_options.show_novelty(
            model,
            files or [],
            minimum=minimum,
            count=count,
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=top_k,
            seed=seed,
            precision=precision.value,
            companion=companion.value,
            as_json=as_json,
        )
        return
    check_torch()
    from textwright.evaluation import ConversationScore, evaluate_run

    score = evaluate_run(
        model,
        files or [],
        window=window,
        stride=stride,
        device=device.value,
        precision=precision.value,
        encoding=encoding,
        field=field,
        companion=companion.value,
    )
    if as_json:
        typer.echo(json.dumps(score.record()))
        return
    if isinstance(score, ConversationScore):
        _show_conversations(score)
        return
    rows = {} if score.companion is None else {"model": "the network with its companion"}
    rows |= {
        "loss": f"{score.loss:.4f} nats a token",
        "bits a character": f"{score.bits_per_char:.4f}",
        "bits a byte": f"{score.bits_per_byte:.4f}",
        "perplexity": f"{score.perplexity:,.2f} a token",
        "read": f"{score.tokens:,} tokens, {score.characters:,} characters, {score.bytes:,} bytes",
        "protocol": score.protocol,
    }
    if score.hidden_bits_per_char:
        rows["hidden"] = _hidden(score)
    if score.companion is not None:
        rows |= _companion_rows(score.companion)
    show_rows(rows)


def _hidden(score: Score) -> str:
    """What the tokens hide of the text, and what bits a character count for it."""
    from textwright.reporting import numbers

    parts = []
    if score.unk_tokens:
        count = counted(score.unk_tokens, "token")
        parts.append(f"{count} ({numbers.share(score.unknown)}) unknown (<unk>)")
    if score.unknown_characters:
        share = numbers.share(score.unknown)
        parts.append(f"{counted(score.unknown_characters, 'character')} ({share}) left out")
    if not parts:
        parts.append("capitals")
    bits = f"{score.hidden_bits_per_char:.4f}"
    return f"{', '.join(parts)}: {bits} of the bits a character tell what the tokens don't"


def _companion_rows(companion: CompanionScore) -> dict[str, str]:
    """What the companion gained here, and where nothing was fitted."""
    rows = {"network alone": f"{companion.network_bits_per_char:.4f} bits a character"}
    if companion.unfitted is not None:
        before, after = companion.unfitted
        rows["not fitted on"] = (
            f"{before:.4f} → {after:.4f} bits a character, on the second half of this text: the "
            "weights come from the first"
        )
    return rows


def _check_options(novelty: bool, generation: dict[str, Any], reading: dict[str, Any]) -> None:
    """Raise `RequestError` where an option of one measure is given with the other."""
    for name, value in (reading if novelty else generation).items():
        if value is not None:
            reason = "can't go with" if novelty else "needs"
            raise RequestError(f"{name} {reason} --novelty")


def _show_conversations(score: ConversationScore) -> None:
    from textwright.cli.tables import show_rows, show_table

    shown = {
        "perplexity": "{:,.1f}",
        "bits_per_char": "{:.3f}",
        "relevance": "{:.1%}",
        "relevance_gain": "{:.1%}",
        "distinct_1": "{:.3f}",
        "distinct_2": "{:.3f}",
        "repetition": "{:.1%}",
        "reply_words": "{:.1f}",
    }
    titles = (
        "perplexity a token", "bits a character", "relevance", "relevance, gain by context",
        "distinct-1", "distinct-2", "repetition", "words a reply",
    )  # fmt: skip
    rows = [
        (
            title,
            *(
                "" if (value := getattr(row, name)) is None else form.format(value)
                for row in score.rows.values()
            ),
        )
        for title, (name, form) in zip(titles, shown.items(), strict=True)
    ]
    names = [score.model_name if name == "model" else name for name in score.rows]
    show_table(("", *names), rows, right=tuple(names))
    read = f"{counted(score.conversations, 'conversation')}: {score.tokens:,} tokens"
    if score.unknown:
        read += f" ({score.unknown:.1%} not in the vocabulary)"
    show_rows(
        {
            "read": f"{read}, {score.characters:,} characters",
            "relevance": f"of {score.places:,} places; chance is 10 %"
            if score.places
            else "none: ranking a reply takes nine of other conversations; give more of them",
            "replies": f"{score.replies:,}",
        }
    )
