"""A training as a notebook shows it: one live display, which stands afterwards as a picture.

Where a front end has no HTML, and at an interactive prompt, it is a line an evaluation.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from textwright.errors import counted
from textwright.notebook import markup
from textwright.notebook.showing import curve_html, run_html, sample_html
from textwright.reporting import RunSummary, numbers
from textwright.runs import Run
from textwright.training.loop.callbacks import Evaluation, Observer, Progress, Result, Sample
from textwright.training.loop.recipe import Plan

_SECONDS = 0.5
"""Between two updates: a notebook keeps up with more, a network connection to it doesn't."""


class Display(Observer):
    """Curve, latest sample, bar and time left in one output, replaced as training goes on."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._name, self._lead = "", ""
        self._metrics: list[dict[str, Any]] = []
        self._sample = ""
        self._progress: Progress | None = None
        self._updated = 0.0

    def started(self, run: Run, plan: Plan, step: int) -> None:
        self._name, self._lead = run.name, _lead(plan)
        self._metrics = run.metrics()  # those of a run that goes on
        self._show()

    def progressed(self, progress: Progress) -> None:
        self._progress = progress
        if time.monotonic() - self._updated >= _SECONDS:
            self._show()

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        self._metrics.append(evaluation.record())
        self._sample = sample_html(sample.step, sample.prompt, sample.text)
        self._show()

    def finished(self, run: Run, result: Result) -> None:
        summary = RunSummary.read(run)
        losses = f"{numbers.loss(result.val_bits_per_char)} bits a character"
        self._update(run_html(summary), f"{run.name}: {losses}. {result.verdict}")

    def _show(self) -> None:
        self._updated = time.monotonic()
        progress = self._progress
        parts = [markup.heading(self._name, self._lead)]
        words = "measuring …"
        if progress is not None:
            words = _words(progress)
            parts.append(markup.bar(progress.step / max(1, progress.steps)))
        parts += [markup.note(words), curve_html(self._metrics, {}), self._sample]
        self._update(markup.frame(*parts), f"{self._name}: {words}")

    def _update(self, html: str, text: str) -> None:
        from IPython import display as shown  # an untyped package

        display: Any = shown.display
        bundle = {"text/html": html, "text/plain": text}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


class Lines(Observer):
    """A line an evaluation, on standard error."""

    def started(self, run: Run, plan: Plan, step: int) -> None:
        self._write(f"{run.name}: {_lead(plan)}")

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        start = " ".join((sample.prompt + sample.text).split())[:60]
        shown = "".join(each if each.isprintable() else "·" for each in start)
        bits = f"{evaluation.val_bits_per_char:.3f} bits a character"
        self._write(f"step {evaluation.step:,}  {bits}  {shown}")

    def finished(self, run: Run, result: Result) -> None:
        self._write(result.verdict or result.status)

    def _write(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _lead(plan: Plan) -> str:
    words = [
        *([plan.size] if plan.size else []),
        f"{numbers.short(plan.parameters)} parameters",
        counted(plan.steps, "step"),
    ]
    if plan.expected_seconds:
        words.append(f"about {numbers.duration(plan.expected_seconds)}")
    return " · ".join(words)


def _words(progress: Progress) -> str:
    words = [f"step {progress.step:,} of {progress.steps:,}"]
    if progress.train_loss is not None:
        words.append(f"loss {progress.train_loss:.3f}")
    words += [
        f"{progress.tokens_per_second:,.0f} tokens a second",
        f"{numbers.duration(progress.seconds_left)} left",
    ]
    return " · ".join(words)
