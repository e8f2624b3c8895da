"""Runs side by side: settings that differ, metrics, curves, and what isn't comparable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textwright.errors import RunError
from textwright.notebook_display import html_of, print_plain
from textwright.reporting.summary import RunSummary, number
from textwright.runs import Run, find

_BLOCKS = "▁▂▃▄▅▆▇█"
_LETTERS = "_.-~=+*#"
"""In place of blocks, from low to high, where the output's encoding has none."""


@dataclass(frozen=True)
class Comparison:
    """A comparison of two or more runs, in the given order."""

    runs: tuple[RunSummary, ...]
    settings: dict[str, list[Any]]
    """Dotted name → value in each run, of settings that differ; None where a run lacks it."""
    numbers: dict[str, list[float | int | None]]
    """Name → value in each run; losses in nats a token, times in seconds."""
    warnings: tuple[str, ...]
    """Reasons why the numbers aren't comparable, one line each."""

    _repr_html_ = html_of
    _repr_pretty_ = print_plain

    def to_json(self) -> dict[str, Any]:
        """The comparison as `textwright runs compare --json` prints it."""
        return {
            "runs": [run.name for run in self.runs],
            "settings": self.settings,
            "numbers": self.numbers,
            "warnings": list(self.warnings),
            "curves": [
                [
                    {name: record.get(name) for name in ("step", "tokens", "seconds", "val_loss")}
                    for record in run.metrics
                ]
                for run in self.runs
            ],
        }


def compare(*references: RunSummary | Run | str | Path) -> Comparison:
    """Compare runs.

    Args:
        references: summaries, runs, or what `textwright.load` takes.

    Raises:
        RunError: there are fewer than two, or there is no such run.
    """
    runs = [_summary(each) for each in references]
    if len(runs) < 2:
        raise RunError("comparing takes two runs or more; `textwright runs` lists them")
    return Comparison(tuple(runs), _differing(runs), _numbers(runs), tuple(_warnings(runs)))


def _summary(reference: RunSummary | Run | str | Path) -> RunSummary:
    if isinstance(reference, RunSummary):
        return reference
    return RunSummary.read(reference if isinstance(reference, Run) else find(str(reference)))


def sparkline(run: RunSummary, width: int, last_step: int, low: float, high: float) -> str:
    """The run's validation loss as `width` block characters, over steps 0 to `last_step`.

    Args:
        run: the line ends at its last evaluation.
        width: characters up to `last_step`.
        last_step: the last step of all runs that are compared.
        low: the loss of the lowest block.
        high: the loss of the highest block.
    """
    points = _curve(run)
    if not points or last_step <= 0:
        return ""
    line = ""
    span = high - low or 1.0
    for column in range(width):
        step = last_step * (column + 1) / width
        if step > points[-1][0] + last_step / width:
            break
        # The latest evaluation up to this step
        loss = next((loss for at, loss in reversed(points) if at <= step), points[0][1])
        level = round((loss - low) / span * (len(_BLOCKS) - 1))
        line += _BLOCKS[max(0, min(level, len(_BLOCKS) - 1))]
    return line


def sparklines(runs: Sequence[RunSummary], width: int = 40, encoding: str = "utf-8") -> list[str]:
    """The sparkline of each run, all to one scale, in characters that `encoding` has."""
    try:
        _BLOCKS.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        letters = str.maketrans(_BLOCKS, _LETTERS)
        return [line.translate(letters) for line in sparklines(runs, width)]
    points = [point for run in runs for point in _curve(run)]
    if not points:
        return ["" for _ in runs]
    last = max(step for step, _ in points)
    # An untrained model's loss would flatten all the rest
    losses = [loss for step, loss in points if step > 0] or [loss for _, loss in points]
    return [sparkline(run, width, last, min(losses), max(losses)) for run in runs]


def _curve(run: RunSummary) -> list[tuple[int, float]]:
    return [
        (record["step"], loss)
        for record in run.metrics
        if (loss := number(record, "val_loss")) is not None
    ]


def _differing(runs: Sequence[RunSummary]) -> dict[str, list[Any]]:
    all_settings = [run.settings() for run in runs]
    names = dict.fromkeys(name for settings in all_settings for name in settings)
    rows = {name: [settings.get(name) for settings in all_settings] for name in names}
    return {
        name: values
        for name, values in rows.items()
        if any(value != values[0] for value in values[1:])
    }


def _numbers(runs: Sequence[RunSummary]) -> dict[str, list[float | int | None]]:
    return {
        "parameters": [run.parameters for run in runs],
        "val_loss": [run.val_loss for run in runs],
        "val_unknown": [run.val_unknown for run in runs],
        "val_bits_per_char": [run.val_bits_per_char for run in runs],
        "perplexity": [run.perplexity for run in runs],
        "best_step": [run.best_step for run in runs],
        "steps": [run.steps for run in runs],
        "tokens": [run.tokens for run in runs],
        "seconds": [run.seconds for run in runs],
    }


def _warnings(runs: Sequence[RunSummary]) -> list[str]:
    lines = [f"{run.name} is damaged: {run.damage}" for run in runs if run.damage]
    data = {_validation(run) for run in runs}
    if None in data:
        lines.append("not every run says what it was validated on, so the numbers may not compare")
    elif len(data) > 1:
        lines.append(
            "they were validated on different text (or different parts of it), so neither losses "
            "nor bits a character compare; `textwright eval RUN FILE` measures each on one file"
        )
    if len({_tokens(run) for run in runs}) > 1:
        lines.append(
            "their tokenizers differ, so losses and perplexities a token don't compare"
            + ("; bits a character do" if len(data) == 1 and None not in data else "")
        )
    return lines


def _validation(run: RunSummary) -> tuple[Any, ...] | None:
    """A key that runs with the same validation text share; None if unknown."""
    data, corpus = run.section("data"), run.section("corpus")
    if not data.get("sha256"):
        return None
    own = corpus.get("validation")
    size = None if own else data.get("validation_characters")
    return data["sha256"], own, size, run.eval_tokens


def _tokens(run: RunSummary) -> tuple[Any, ...]:
    tokenizer = run.section("tokenizer")
    vocabulary = run.config.vocab_size if run.config else None
    return tokenizer.get("kind"), bool(tokenizer.get("lowercase")), vocabulary
