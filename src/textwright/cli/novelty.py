"""`textwright eval --novelty`: what of a model's texts is copied from its training text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:  # `textwright --help` must not wait for them
    from textwright.evaluation import Novelty
    from textwright.runs import Run

_PANEL = "Novelty"
_MAX_ROWS = 10
_MAX_WIDTH = 60

NoveltyFlag = Annotated[
    bool,
    typer.Option(
        "--novelty",
        help="Instead: have it write, and tell what of that stands word for word in its training "
        "text. FILE is that text, where the run doesn't say it.",
        rich_help_panel=_PANEL,
    ),
]
Minimum = Annotated[
    int | None,
    typer.Option(
        help="Characters of a stretch that counts as copied, at least 16; else 40.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Count = Annotated[
    int | None,
    typer.Option(
        help="Texts to write, with the seeds SEED, SEED + 1 …; else 10, of conversations 200.",
        min=1,
        max=1000,
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        "--max-tokens", "-n", help="Tokens of each; else 1,000.", min=1, rich_help_panel=_PANEL,
        show_default=False,
    ),
]  # fmt: skip
Temperature = Annotated[
    float | None,
    typer.Option(help="Of the sampling; else the run's own.", rich_help_panel=_PANEL),
]
TopK = Annotated[
    int | None, typer.Option(help="Of the sampling; else the run's own.", rich_help_panel=_PANEL)
]
Seed = Annotated[
    int | None,
    typer.Option(
        help="The same seed gives the same texts; else 1.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]


def show_novelty(
    run: Run,
    sources: Sequence[str],
    *,
    minimum: int | None,
    count: int | None,
    max_tokens: int | None,
    temperature: float | None,
    top_k: int | None,
    seed: int | None,
    precision: str,
    companion: str,
    as_json: bool,
) -> None:
    """Generate texts, measure what is copied, and print it."""
    from textwright.data.training_corpus import find_training_corpus
    from textwright.evaluation import memorization
    from textwright.generation import load

    minimum = memorization.check_min_length(memorization.MINIMUM if minimum is None else minimum)
    corpus = find_training_corpus(run, sources)  # fails before generation
    if count is None:  # a text of a chat model is one turn
        count = 200 if corpus.conversations else 10
    settings: dict[str, Any] = {"max_tokens": 1000 if max_tokens is None else max_tokens}
    settings |= {"temperature": temperature, "top_k": top_k, "seed": 1 if seed is None else seed}
    texts = load(run, precision=precision, companion=companion).generate_many("", count, **settings)
    passages = [text.text for text in texts]
    novelty = memorization.novelty(run, passages, minimum=minimum, corpus=corpus)
    if as_json:
        record = novelty.record()
        for index, (passage, text) in enumerate(zip(record["passages"], texts, strict=True)):
            passage |= {"text": text.text, "seed": settings["seed"] + index}
        from textwright.cli.tables import show_json

        show_json({**record, "settings": {"count": count, **settings}}, indent=None)
        return
    _show(novelty)


def _show(novelty: Novelty) -> None:
    from textwright.cli.tables import show_rows, show_table
    from textwright.errors import counted

    whole, held_out = novelty.whole, novelty.held_out
    rows = {
        "copied": f"{whole.share:.1%} of {whole.characters:,} characters, in stretches of "
        f"{novelty.minimum} or more that stand in {novelty.corpus}",
        "longest": counted(whole.longest, "character"),
        "held-out text": f"{held_out.share:.1%} of {held_out.characters:,} characters, longest "
        f"{held_out.longest:,}: what text has that the model never saw",
    }
    if not novelty.complete:
        rows["at least"] = "both repeat themselves so much that not every place was compared"
    show_rows(rows)
    spans = [
        (span, number)
        for number, passage in enumerate(novelty.passages, 1)
        for span in passage.stretches
    ]
    spans.sort(key=lambda pair: -pair[0].length)
    table = [
        (f"{span.length:,}", str(number), span.source.rpartition("/")[2] or novelty.corpus,
         f"{span.line:,}", _shorten(span.text))
        for span, number in spans[:_MAX_ROWS]
    ]  # fmt: skip
    if table:
        columns = ("characters", "of text", "stands in", novelty.unit, "what")
        show_table(columns, table, right=("characters", "of text", novelty.unit))


def _shorten(text: str) -> str:
    line = text.replace("\n", "↵")
    return line if len(line) <= _MAX_WIDTH else f"{line[: _MAX_WIDTH - 1]}…"
