"""The progress of a training: live on a terminal, plain blocks elsewhere, or JSON lines."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from textwright.cli.tables import show_rows
from textwright.errors import counted
from textwright.reporting import numbers
from textwright.runs import Run, command_for, resume_command
from textwright.training.loop.callbacks import Evaluation, Observer, Progress, Result, Sample
from textwright.training.loop.recipe import Plan

_SAMPLE_LINES = 10
_JOINERS = "\u200c\u200d"
"""Invisible, and part of how Persian, Indian scripts and emoji are spelled."""


def progress() -> Observer:
    """The observer for standard error: a live display on a terminal, else plain blocks."""
    console = Console(stderr=True, highlight=False)
    moves = sys.stderr.isatty() and not console.is_dumb_terminal
    return Terminal(console) if moves else Blocks()


class Began(Observer):
    """Whether a step was learned, or was about to be."""

    began = False

    def started(self, run: Run, plan: Plan, step: int) -> None:
        self.began = True


class JSONLines(Observer):
    """A JSON object per line on standard output; the last has `run`, `val_loss` and `seconds`."""

    def started(self, run: Run, plan: Plan, step: int) -> None:
        self._write({"event": "started", "run": str(run.path), "step": step, "plan": plan.record()})

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        self._write({"event": "evaluation", **evaluation.record(), "sample": sample.text})

    def finished(self, run: Run, result: Result) -> None:
        self._write({"event": "finished", "run": str(run.path), **asdict(result)})

    def _write(self, record: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()


class Blocks(Observer):
    """A plain block per evaluation: for notebooks, logs, CloudWatch."""

    def __init__(self) -> None:
        self._steps = 0

    def started(self, run: Run, plan: Plan, step: int) -> None:
        self._steps = plan.steps
        self._write(_opening(run, plan, step))

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        train = "" if evaluation.train_loss is None else f"train_loss {evaluation.train_loss:.4f}  "
        self._write(
            f"\nepoch {evaluation.epoch:.2f}  step {evaluation.step}/{self._steps}  {train}"
            f"val_loss {evaluation.val_loss:.4f}  "
            + (f"unknown {evaluation.val_unknown:.4f}  " if evaluation.val_unknown else "")
            + f"bits_per_char {evaluation.val_bits_per_char:.4f}"
            f"  tokens_per_second {evaluation.tokens_per_second:.0f}  seconds "
            f"{evaluation.seconds:.1f}" + ("  best" if evaluation.best else "")
        )
        for line in _lines(sample):
            self._write(f"  | {line}")

    def finished(self, run: Run, result: Result) -> None:
        self._write("")
        _print_result(run, result)

    def _write(self, line: str) -> None:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class Terminal(Observer):
    """A bar with the metrics and the latest sample below it; evaluations scroll above."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bar = Bar(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}"),
            console=self.console,
            expand=True,
        )
        self._task = self._bar.add_task("training", numbers="")
        self._live = Live(console=self.console, refresh_per_second=4, transient=True)
        self._sample = Panel("", title="sample", border_style="dim")
        self._val_loss: float | None = None
        self._train_loss: float | None = None

    def started(self, run: Run, plan: Plan, step: int) -> None:
        self.console.print(_opening(run, plan, step))
        self._bar.update(self._task, total=plan.steps, completed=step)
        self._live.start()

    def progressed(self, progress: Progress) -> None:
        if progress.train_loss is not None:  # right after an evaluation the one before it stays
            self._train_loss = progress.train_loss
        words = [
            *([] if self._train_loss is None else [f"loss {self._train_loss:.3f}"]),
            # none yet in a run that was resumed
            *([] if self._val_loss is None else [f"validation {self._val_loss:.3f}"]),
            f"{progress.tokens_per_second:,.0f} tokens/s",
            f"{numbers.duration(progress.seconds_left)} left",
        ]
        self._bar.update(self._task, completed=progress.step, numbers=" · ".join(words))
        self._show()

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        self._val_loss = evaluation.val_loss
        train = "–" if evaluation.train_loss is None else f"{evaluation.train_loss:.4f}"
        row = Text(f"step {evaluation.step:>7,}   loss {train:>6}   validation ")
        row.append(f"{evaluation.val_loss:.4f}", style="bold green" if evaluation.best else "")
        if evaluation.val_unknown:
            row.append(f"   {numbers.share(evaluation.val_unknown)} unknown")
        row.append(f"   {evaluation.val_bits_per_char:.3f} bits a character")
        self.console.print(row)
        text = Text("\n".join(_lines(sample)), overflow="fold")
        title = f"what it writes at step {evaluation.step:,}"
        self._sample = Panel(text, title=title, title_align="left", border_style="dim")
        self._show()

    def finished(self, run: Run, result: Result) -> None:
        self._live.stop()
        self.console.print(self._sample)
        _print_result(run, result)

    def closed(self) -> None:
        self._live.stop()  # a second time it does nothing

    def _show(self) -> None:
        self._live.update(Group(self._bar, self._sample))


def _opening(run: Run, plan: Plan, step: int) -> str:
    parent = None if step else run.settings().get("parent", {}).get("name")
    words = [
        f"{'going on with' if step else 'training'} {run.name}"
        + (f" from {parent}:" if parent else ":"),
        f"{plan.size + ', ' if plan.size else ''}{numbers.short(plan.parameters)} parameters,",
        f"{counted(plan.steps, 'step')} of {plan.tokens_per_step:,} tokens "
        f"({plan.epochs:.1f} epochs)",
    ]
    if plan.expected_seconds:
        words[-1] += f", about {numbers.duration(plan.expected_seconds)}"
    if step:
        words[-1] += f", from step {step:,}"
    if plan.eval_tokens:
        words[-1] += (
            f"; evaluations read {plan.eval_tokens:,} validation tokens, the last one all of them"
        )
    if not step and plan.base_bits is not None:
        words[-1] += f"; --from english would begin at {plan.base_bits:.2f} bits a character"
    return " ".join(words)


def _lines(sample: Sample) -> list[str]:
    lines = (sample.prompt + sample.text).split("\n")
    # no control characters, which a model may write, reach the terminal
    printable = [
        "".join(c if c.isprintable() or c in _JOINERS else "·" for c in line) for line in lines
    ]
    return printable[:_SAMPLE_LINES] + (["…"] if len(printable) > _SAMPLE_LINES else [])


def _companion(run: Run) -> dict[str, str]:
    """What counting the text gained, where it did."""
    gained = run.settings().get("companion")
    if not gained:
        return {}
    what = "with its companion" if gained["weight"] else "with its temperature"
    bits = f"{gained['network_bits_per_char']:.4f} → {gained['bits_per_char']:.4f}"
    return {what: f"{bits} bits a character of the second half of the validation text"}


def _print_result(run: Run, result: Result) -> None:
    """Print the result and what to do next, to standard output."""
    loss = "–" if result.val_loss is None else f"{result.val_loss:.4f} nats a token"
    data = run.settings().get("data", {})
    if unknown := data.get("validation_unknown"):
        loss += f" ({numbers.share(unknown)} unknown)"
    if result.val_bits_per_char is not None:
        loss += f", {result.val_bits_per_char:.4f} bits a character"
    rows = {
        "run": str(run.path),
        "validation loss": f"{loss} (step {result.best_step:,})",
        **_companion(run),
        "time": numbers.duration(result.seconds),
    }
    if result.verdict:
        rows["verdict"] = result.verdict
    if result.status == "interrupted":
        rows["go on"] = resume_command(run)
    else:
        rows["next"] = command_for(run, "chat" if data.get("train_conversations") else "generate")
        rows["report"] = str(run.report_file)
    show_rows(rows)
