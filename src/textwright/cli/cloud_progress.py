"""The progress of a job in the cloud: its log, and on a terminal a bar below it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from textwright.cloud.following import JobObserver


@contextmanager
def job_progress() -> Iterator[JobObserver]:
    """A bar where standard error is a terminal, else plain lines."""
    if not sys.stderr.isatty():
        yield Lines()
        return
    with Progress(
        TextColumn("{task.description}"), MofNCompleteColumn(), BarColumn(bar_width=None),
        TextColumn("{task.fields[losses]}"), TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False), transient=True,
    ) as bar:  # fmt: skip
        yield Bar(bar)


class Lines:
    """Plain lines: for notebooks and logs."""

    def state(self, name: str, message: str) -> None:
        sys.stderr.write(f"{name}: {message}\n" if message else f"{name}\n")
        sys.stderr.flush()

    def log_line(self, text: str) -> None:
        sys.stderr.write(_printable(text) + "\n")
        sys.stderr.flush()

    def metrics(self, step: int, steps: int, values: dict[str, float]) -> None:
        pass  # the log line has them


class Bar:
    """The log, scrolling above a bar with state, step and losses."""

    def __init__(self, bar: Progress) -> None:
        self._bar = bar
        self._task = bar.add_task("Starting", total=None, losses="")

    def state(self, name: str, message: str) -> None:
        self._bar.update(self._task, description=name)
        self._bar.console.print(f"{name}: {message}", markup=False, style="dim")

    def log_line(self, text: str) -> None:
        self._bar.console.print(_printable(text), markup=False)

    def metrics(self, step: int, steps: int, values: dict[str, float]) -> None:
        parts = [f"{name.replace('_', ' ')} {value:.4f}" for name, value in values.items()
                 if name.endswith("loss")]  # fmt: skip
        self._bar.update(self._task, total=steps, completed=step, losses=" · ".join(parts))


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "·" for c in text)
