"""The HTML of what the package gives: run, text, probabilities, conversation, comparison."""

from __future__ import annotations

from functools import singledispatch
from html import escape
from typing import Any

from textwright.generation.chat import Dialogue
from textwright.generation.results import Explanation, Explanations, Generation
from textwright.notebook import markup
from textwright.reporting import Comparison, RunSummary, charts, numbers
from textwright.runs import Run

SAMPLE = 600
"""Most characters of a sample in the head of a run."""
KEY = {"training": "var(--train)", "validation": "var(--validation)"}
_HUES = ("#3d84c6", "#c46a2b", "#4c9a62", "#a860b8", "#b3872f", "#5f7b96")
"""Of the curves of a comparison, read on white and on black."""


@singledispatch
def html_of(value: object) -> str | None:
    """`value` as HTML; None where it has no look of its own."""
    return None


@html_of.register
def _(value: Run) -> str:
    return run_html(RunSummary.read(value))


@html_of.register
def _(value: RunSummary) -> str:
    return run_html(value)


@html_of.register
def _(value: Generation) -> str:
    count = len(value.tokens)
    words = [f"{count:,} token{'' if count == 1 else 's'}", f"seed {value.seed}"]
    parts = []
    if value.logprobs is None:
        parts.append(markup.passage(value.text, value.prompt))
        words.append("logprobs=5 colours it by probability")
    else:
        tokens = [
            Explanation(each.token, each.probability, each.likeliest) for each in value.logprobs
        ]
        parts += [markup.coloured(tokens, value.prompt), markup.legend()]
    notes = map(markup.note, [" · ".join(words), *value.warnings])
    return markup.frame(*parts, *notes)


@html_of.register
def _(value: Explanations) -> str:
    if not value:
        return markup.frame(markup.note("an empty text"))
    return markup.frame(markup.coloured(value), markup.legend(), markup.note(_bits(value)))


@html_of.register
def _(value: Dialogue) -> str:
    rows = [(value.speaker(message.role), message.content) for message in value.messages]
    if value.system:
        rows.insert(0, ("system", value.system))
    if not rows:
        return markup.frame(markup.note("a conversation without a word yet; .say(…) begins it"))
    turns = "".join(
        f'<div dir="auto" style="margin:.35em 0;white-space:pre-wrap"><b>{escape(name)}</b> '
        f"{escape(text)}</div>"
        for name, text in rows
    )
    return markup.frame(turns, *map(markup.note, value.warnings))


@html_of.register
def _(value: Comparison) -> str:
    names = [run.name for run in value.runs]
    rows = [
        [name, *("–" if each is None else _figure(name, each) for each in values)]
        for name, values in (*value.settings.items(), *value.numbers.items())
        if any(each is not None for each in values)
    ]
    curves = [charts.read_series(run.metrics, "val_loss") for run in value.runs]
    drawn = {
        f"{index + 1} {name}": curve
        for index, (name, curve) in enumerate(zip(names, curves, strict=True))
        if len(curve.xs) > 1
    }
    parts = [markup.table(rows, ["", *names])]
    if drawn:
        colours = {name: _HUES[index % len(_HUES)] for index, name in enumerate(drawn)}
        svg = charts.comparison_chart(list(drawn.values()), list(colours.values()))
        parts.append(markup.chart(svg, colours))
    return markup.frame(*parts, *map(markup.note, value.warnings))


def run_html(summary: RunSummary) -> str:
    """The head of a run's report: what it is, its verdict, numbers, curve, a sample."""
    lead = " · ".join(
        words
        for words in (
            summary.family,
            f"{numbers.short(summary.parameters)} parameters" if summary.parameters else None,
            f"trained on {summary.corpus}" if summary.corpus else None,
            summary.status,
        )
        if words
    )
    parts = [markup.heading(summary.name, lead)]
    if summary.damage:
        return markup.frame(*parts, markup.note(summary.damage))
    rows = [
        ("bits a character", numbers.loss(summary.val_bits_per_char)),
        ("validation loss", f"{numbers.loss(summary.val_loss)} nats a token"),
        ("steps", numbers.whole(summary.steps)),
        ("time", numbers.duration(summary.seconds)),
    ]
    if known := [row for row in rows if numbers.NONE not in row[1]]:
        parts.append(markup.table(known))
    if summary.metrics:
        parts.append(curve_html(summary.metrics, summary.best))
        parts.append(markup.note(summary.verdict.text))
    if summary.samples:
        last = summary.samples[-1]
        parts.append(sample_html(last["step"], last["prompt"], last["text"]))
    return markup.frame(*parts)


def curve_html(metrics: list[dict[str, Any]], best: dict[str, Any]) -> str:
    """The losses of evaluations, drawn; empty before there are two."""
    train = charts.read_series(metrics, "train_loss")
    validation = charts.read_series(metrics, "val_loss")
    if len(validation.xs) < 2:
        return ""
    mark = (float(best["step"]), float(best["val_loss"])) if best else None
    return markup.chart(charts.loss_chart(train, validation, mark), KEY)


def sample_html(step: int, prompt: str, text: str) -> str:
    """What a model wrote at a step."""
    short = text if len(text) <= SAMPLE else text[:SAMPLE] + "…"
    return markup.note(f"what it writes at step {step:,}") + markup.passage(short, prompt)


def _bits(tokens: Explanations) -> str:
    bits = tokens.bits
    each = bits / max(1, sum(len(token.token) for token in tokens))
    return f"{len(tokens):,} tokens · {bits:,.1f} bits · {each:.2f} bits a character"


def _figure(name: str, value: Any) -> str:
    if name == "seconds":
        return numbers.duration(value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
