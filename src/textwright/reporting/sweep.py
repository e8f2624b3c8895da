"""`sweep.html`: the trials of a sweep as a table and a chart; self-contained, as a report is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textwright import atomic
from textwright.reporting import charts, numbers
from textwright.reporting.report import render_page
from textwright.reporting.summary import RunSummary, number

COLOURS = 8
"""That the page has for curves; beyond, they come again."""
_ORDER = ("finished", "training", "paused", "stopped", "waiting", "failed")
_MINUTES_FROM = 240.0
"""Seconds from which the time axis is in minutes."""


@dataclass(frozen=True)
class Row:
    """A trial as the table has it."""

    values: dict[str, str]
    state: str
    reason: str | None
    """Why it failed."""
    run: RunSummary

    @property
    def share(self) -> float:
        """How much of its plan is trained."""
        steps = number(self.run.section("plan"), "steps")
        return 1.0 if self.state == "finished" else (self.run.steps or 0) / steps if steps else 0.0

    @property
    def order(self) -> tuple[int, float, float]:
        """Sorts the best first: trained to the end, then to a later rung, then the lowest bits."""
        bits, eighths = self.run.val_bits_per_char, round(8 * self.share)
        return _ORDER.index(self.state), -eighths, float("inf") if bits is None else bits

    def cells(self) -> tuple[str, ...]:
        """In the order of `COLUMNS`."""
        return (
            *self.values.values(),
            numbers.short(self.run.parameters),
            f"{self.share:.0%}",
            numbers.loss(self.run.val_bits_per_char),
            numbers.loss(self.run.val_loss),
            numbers.duration(self.run.seconds),
            self.state,
        )


COLUMNS = ("parameters", "trained", "bits/char", "val loss", "time", "state")
"""After those of the values."""


def write_sweep(file: Path, name: str, rows: Sequence[Row], winner: str | None) -> None:
    """Write the page.

    Args:
        file: where to.
        name: of the sweep.
        rows: the trials, the best first.
        winner: name of the run that came of it; None while there is none.

    Raises:
        MissingPackageError: Jinja is not installed.
        TextwrightError: the file can't be written.
    """
    page = render_page(
        "sweep.html.jinja",
        name=name,
        winner=winner,
        best=rows[0] if winner else None,
        charts=_charts(rows),
        columns=[*rows[0].values, *COLUMNS],
        rows=rows,
        colours=COLOURS,
        words=lambda values: ", ".join(f"{key} {value}" for key, value in values.items()),
    )
    atomic.write_text(file, page)


def _charts(rows: Sequence[Row]) -> dict[str, str]:
    """The chart in both sizes; none while nothing is evaluated."""
    found = []
    for index, row in enumerate(rows):
        learned = [record for record in row.run.metrics if record["step"] > 0]
        series = charts.read_series(learned, "val_bits_per_char", "seconds")
        if series.xs:
            found.append((series, index))
    if not found:
        return {}
    longest = max(max(series.xs) for series, _ in found)
    unit, size = ("minutes", 60.0) if longest >= _MINUTES_FROM else ("seconds", 1.0)
    curves = [
        (
            charts.Series(series.name, [x / size for x in series.xs], series.ys),
            f"c{index % COLOURS + 1}",
            index == 0,
        )
        for series, index in found
    ]
    label, below = "bits a character", f"{unit} of training"
    return {
        "wide": charts.curves_chart(curves, label, below),
        "narrow": charts.curves_chart(curves, label, below, narrow=True),
    }
