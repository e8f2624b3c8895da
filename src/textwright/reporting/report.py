"""`report.html`: one self-contained page about a run.

It opens offline: styles and charts are inline, nothing is loaded, nothing needs JavaScript. The
template beside this file escapes every value, so that markup in a name, a sample or a setting shows
as text. The same run gives the same bytes.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textwright import atomic
from textwright.errors import MissingPackageError
from textwright.reporting import charts, numbers
from textwright.reporting.card import write_card
from textwright.reporting.facts import as_list, commands, facts
from textwright.reporting.summary import RunSummary, number
from textwright.runs import Run

if TYPE_CHECKING:
    from jinja2 import Environment

log = logging.getLogger("textwright")

STAGES = 6
"""Samples shown at first; the others are collapsed below."""

TONES = {
    "improving": "good", "levelled off": "good", "overfitting": "care", "interrupted": "care",
    "diverged": "bad",
}  # fmt: skip
"""Verdict → colour; others are plain."""

_COLUMNS = {
    "step": ("step", numbers.whole),
    "epoch": ("epoch", numbers.small),
    "train_loss": ("training loss", numbers.loss),
    "val_loss": ("validation loss", numbers.loss),
    "val_bits_per_char": ("bits a character", numbers.loss),
    "lr": ("learning rate", numbers.small),
    "tokens_per_second": ("tokens a second", numbers.whole),
    "seconds": ("time", numbers.duration),
}


def write_card_and_report(run: Run) -> None:
    """Write card and report from the folder; without the report where a package is missing."""
    write_card(run)
    try:
        write_report(run)
    except MissingPackageError as error:
        log.warning("%s", error)


def write_report(run: Run) -> Path:
    """Write the run's `report.html` and return its path.

    Raises:
        MissingPackageError: Jinja is not installed.
        TextwrightError: the folder can't be written.
    """
    atomic.write_text(run.report_file, report_html(RunSummary.read(run)))
    return run.report_file


def report_html(summary: RunSummary) -> str:
    """The page as text. Raises `MissingPackageError` without Jinja."""
    samples = _samples(summary)
    return render_page(
        "report.html.jinja",
        name=summary.name,
        lead=_lead(summary),
        verdict=summary.verdict,
        tone="bad" if summary.damage else TONES.get(summary.verdict.kind, "plain"),
        damage=summary.damage,
        numbers=_numbers(summary),
        prompt=samples[0]["prompt"].strip() if samples else "",
        samples=samples,
        stages=[samples[index] for index in stages(len(samples), _best_index(samples))],
        charts=_charts(summary),
        loss_label=_loss_label(summary),
        first="before the first step" if summary.parent else "untrained",
        untrained=numbers.loss(_untrained(summary)) if _untrained(summary) else "",
        no_charts="There is no evaluation to draw yet.",
        columns=[_COLUMNS[name][0] for name in _columns(summary)],
        records=_records(summary),
        commands=[{"note": note, "words": text.split(" ")} for note, text in commands(summary)],
        facts=[(title, rows) for title, rows in facts(summary) if rows],
        warnings=as_list(summary.section("data").get("warnings")),
        footer=_footer(summary),
    )


def stages(count: int, best: int | None, most: int = STAGES) -> list[int]:
    """Which of `count` samples to show at first: the first, the last, the best, and some between.

    Denser towards the beginning, where a model changes fastest.
    """
    if count <= most:
        return list(range(count))
    chosen = {0, count - 1} | ({best} if best is not None else set())
    spaced = [round((count - 1) * (step / (most - 1)) ** 2) for step in range(most)]
    for index in [*spaced, *range(count)]:
        if len(chosen) == most:
            break
        chosen.add(index)
    return sorted(chosen)


def _lead(summary: RunSummary) -> str:
    run = summary.section("run")
    size = f"{numbers.short(summary.parameters)} parameters" if summary.parameters else None
    parts = [
        f"{summary.family} model" if summary.family else None,
        size,
        f"began as {summary.parent}" if summary.parent else None,
        f"trained on {summary.corpus}" if summary.corpus else None,
        f"{len(summary.legs)} legs" if summary.legs else None,
        str(run["created"])[:10] if run.get("created") else None,
    ]
    return " · ".join(part for part in parts if part)


def _numbers(summary: RunSummary) -> list[tuple[str, str, str]]:
    planned = number(summary.section("plan"), "steps")
    steps = numbers.whole(summary.steps)
    if planned and summary.steps is not None and planned != summary.steps:
        steps += f" of {numbers.whole(planned)}"
    best = summary.best_step
    epochs = number(summary.metrics[-1], "epoch") if summary.metrics else None
    test = number(summary.section("result"), "test_loss")
    rows = [
        ("Validation loss", numbers.loss(summary.val_loss), _measured_on(summary)),
        ("Bits a character", numbers.loss(summary.val_bits_per_char), _charged(summary)),
        ("Perplexity", numbers.perplexity(summary.perplexity), "a token"),
        ("Tokens read", numbers.short(summary.tokens),
         _passes(epochs) if epochs else ""),
        ("Time", numbers.duration(summary.seconds), f"{steps} steps" if summary.steps else ""),
        ("Kept step", numbers.whole(best), "the lowest validation loss" if best else ""),
    ]  # fmt: skip
    if test is not None:
        rows.insert(1, ("Test loss", numbers.loss(test), "nats a token"))
    return rows


def _measured_on(summary: RunSummary) -> str:
    """The unit, what is hidden of it, and how many of the validation tokens were read if not all,
    then or on the way."""
    unit = f"nats a token, {_unknown(summary)}" if summary.val_unknown else "nats a token"
    total = number(summary.section("data"), "validation_tokens") or 0
    if 0 < summary.eval_tokens < total:
        return f"{unit}, on {_share(summary.eval_tokens, total)} tokens"
    if 0 < summary.curve_tokens < total:
        curve = _share(summary.curve_tokens, total)
        return f"{unit}, on all of the text; the curve is of {curve} tokens"
    return unit


def _charged(summary: RunSummary) -> str:
    """What bits a character hold beside those of the tokens."""
    if not summary.val_unknown:
        return "whatever the tokenizer"
    return f"whatever the tokenizer: with what spells the {_unknown(summary)}"


def _unknown(summary: RunSummary) -> str:
    """The share that the vocabulary lacks, with what becomes of it."""
    what = "<unk>" if summary.tokenizer == "word" else "left out"
    return f"{numbers.share(summary.val_unknown)} {what}"


def _share(part: float, total: float) -> str:
    return f"{numbers.short(part)} of {numbers.short(total)}"


def _passes(epochs: float) -> str:
    return f"{epochs:.3g} times the text" if epochs >= 1 else f"{epochs:.0%} of the text"


def _charts(summary: RunSummary) -> dict[str, Any] | None:
    train = charts.read_series(summary.metrics, "train_loss")
    validation = charts.read_series(summary.metrics, "val_loss")
    if not train.xs and not validation.xs:
        return None
    best = summary.best
    mark = (float(best["step"]), float(best["val_loss"])) if best else None
    legs = [float(leg["begin"]) for leg in summary.legs[1:]]
    quantities = (("lr", "Learning rate"), ("tokens_per_second", "Tokens a second"))
    # At step 0 neither is defined
    records = [record for record in summary.metrics if record["step"] > 0]
    small = [(title, charts.read_series(records, name)) for name, title in quantities]
    return {
        "loss": {
            "wide": charts.loss_chart(train, validation, mark, legs),
            "narrow": charts.loss_chart(train, validation, mark, legs, narrow=True),
        },
        "small": [
            (title, {
                "wide": charts.small_chart(series),
                "narrow": charts.small_chart(series, narrow=True),
            })
            for title, series in small
            if series.xs
        ],
    }  # fmt: skip


def _loss_label(summary: RunSummary) -> str:
    curve = charts.read_series(summary.metrics, "val_loss")
    if not curve.xs:
        return "Training loss over the steps"
    words = (
        f"Validation and training loss over the steps: validation begins at {curve.ys[0]:.4f}, "
        f"is lowest at {min(curve.ys):.4f} and ends at {curve.ys[-1]:.4f}"
    )
    begins = [numbers.whole(leg["begin"]) for leg in summary.legs[1:]]
    return words + (
        f"; it went on beyond its plan at step {' and '.join(begins)}" if begins else ""
    )


def _untrained(summary: RunSummary) -> float | None:
    """The validation loss before the first step."""
    first = summary.metrics[0] if summary.metrics else {}
    return number(first, "val_loss") if first.get("step") == 0 else None


def _samples(summary: RunSummary) -> list[dict[str, Any]]:
    losses = {record["step"]: number(record, "val_loss") for record in summary.metrics}
    first = f"As {summary.parent} wrote" if summary.parent else "Untrained"
    samples = []
    for sample in summary.samples:
        step = sample["step"]
        loss = losses.get(step)
        prompt = str(sample.get("prompt") or "")
        samples.append({
            "title": f"Step {numbers.whole(step)}" if step else first,
            "note": f"loss {numbers.loss(loss)}" if loss is not None else "",
            "prompt": prompt if prompt.strip() else "",
            "text": str(sample.get("text") or ""),
            "kept": step == summary.best_step,
        })  # fmt: skip
    return samples


def _best_index(samples: list[dict[str, Any]]) -> int | None:
    return next((index for index, sample in enumerate(samples) if sample["kept"]), None)


def _columns(summary: RunSummary) -> list[str]:
    return [name for name in _COLUMNS if any(name in record for record in summary.metrics)]


def _records(summary: RunSummary) -> list[dict[str, Any]]:
    names = _columns(summary)
    return [
        {
            "cells": [_COLUMNS[name][1](number(record, name)) for name in names],
            "kept": record["step"] == summary.best_step,
        }
        for record in summary.metrics
    ]


def _footer(summary: RunSummary) -> str:
    version = summary.section("run").get("textwright")
    return f"Written by textwright{f' {version}' if version else ''} from {summary.name}."


def render_page(template: str, **values: Any) -> str:
    """A page as text: this one, or that of a sweep.

    Args:
        template: of this folder; it extends `page.html.jinja`.
        values: what it names.

    Raises:
        MissingPackageError: Jinja is not installed.
    """
    try:
        environment = _environment()
    except ImportError as error:
        page = template.removesuffix(".jinja")
        raise MissingPackageError(
            f"{page} needs jinja2; pip install 'textwright[train]'"
        ) from error
    page = environment.get_template(template).render(**values)
    return page.encode("utf-8", "replace").decode("utf-8")  # lone surrogates


@functools.cache  # it keeps templates as compiled
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
