"""Curves as SVG that takes its colours from the page it stands in.

Matplotlib draws; each colour it is given is a stand-in, exchanged in its output for a CSS variable,
so that one drawing serves a light page and a dark one. Its text stays text. The same numbers give
the same bytes: no date, and ids from a fixed salt.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from textwright.errors import MissingPackageError
from textwright.reporting import numbers

_COLOURS = {
    "#0a0001": "var(--ink)",
    "#0a0002": "var(--quiet)",
    "#0a0003": "var(--line)",
    "#0a0004": "var(--train)",
    "#0a0005": "var(--validation)",
    "#0a0006": "var(--best)",
    "#0a0007": "var(--panel)",
}
"""Stand-ins: near-black in any viewer that has no such variables."""
_INK, _QUIET, _LINE, _TRAIN, _VALIDATION, _BEST, _PANEL = _COLOURS


@dataclass(frozen=True)
class Series:
    """A curve: `ys` over `xs`; what isn't finite is a gap."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


def loss_chart(
    train: Series, validation: Series, best: tuple[float, float] | None, *, narrow: bool = False
) -> str:
    """Training and validation loss over the steps, the best step marked, as an `<svg>`.

    Args:
        train: nats a token.
        validation: nats a token.
        best: (step, loss) of the kept weights.
        narrow: drawn for a phone: the same type size on less room.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """

    def draw(axes: Any) -> None:
        # Few evaluations get a dot each: a line through three points is mostly invention.
        dot = "o" if len(validation.xs) <= 12 else None
        look = {"marker": dot, "markersize": 4, "solid_capstyle": "round"}
        for series, colour, width in ((train, _TRAIN, 1.6), (validation, _VALIDATION, 2.2)):
            if series.xs:
                axes.plot(series.xs, series.ys, color=colour, linewidth=width, **look)
        _look_past_the_start(axes, train, validation)
        if best is not None:
            _mark_best(axes, best, validation)
        axes.set_ylabel("loss (nats a token)")

    return _svg(draw, (4.1, 3.0) if narrow else (9.2, 3.7), f"loss-{narrow}")


def small_chart(series: Series, *, narrow: bool = False) -> str:
    """One quantity over the steps, from zero, as an `<svg>`. Raises `MissingPackageError`."""

    def draw(axes: Any) -> None:
        axes.plot(series.xs, series.ys, color=_QUIET, linewidth=1.6, solid_capstyle="round",
                  marker="o" if len(series.xs) <= 3 else None, markersize=4)  # fmt: skip
        axes.set_ylim(bottom=0)

    return _svg(draw, (4.1, 2.1) if narrow else (4.5, 2.2), f"{series.name}-{narrow}")


def _look_past_the_start(axes: Any, *curves: Series) -> None:
    """Let the curves enter from above: an untrained model's loss would flatten all that follows."""
    learned = [
        loss for curve in curves for step, loss in zip(curve.xs, curve.ys, strict=True) if step > 0
    ]
    if len(learned) >= 2 * len(curves):
        low, high = min(learned), max(learned)
        axes.set_ylim(low - 0.06 * (high - low), high + 0.12 * (high - low))


def _mark_best(axes: Any, best: tuple[float, float], validation: Series) -> None:
    step, loss = best
    axes.axvline(step, color=_BEST, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
    axes.plot([step], [loss], marker="o", markersize=7, color=_BEST, markeredgecolor=_PANEL,
              markeredgewidth=1.5, zorder=5)  # fmt: skip
    late = step > (min(validation.xs) + max(validation.xs)) / 2
    axes.annotate(f"best {loss:.4f} at step {numbers.whole(step)}", (step, 1),
                  xycoords=("data", "axes fraction"), xytext=(-7 if late else 7, -4),
                  textcoords="offset points", ha="right" if late else "left", va="top",
                  color=_BEST, fontsize=10.5)  # fmt: skip


def _svg(draw: Callable[[Any], None], inches: tuple[float, float], salt: str) -> str:
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure
        from matplotlib.ticker import FuncFormatter, MaxNLocator
    except ImportError as error:
        raise MissingPackageError(
            "the report's curves need matplotlib; pip install 'textwright[train]'"
        ) from error
    # A user's own matplotlibrc must not change the page; hashsalt makes the ids repeatable.
    style = {**mpl.rcParamsDefault, "svg.fonttype": "none", "svg.hashsalt": salt}
    style.pop("backend", None)  # naming it would load pyplot
    with mpl.rc_context(style):
        figure = Figure(figsize=inches, layout="constrained")
        figure.patch.set_alpha(0)
        axes = figure.add_subplot()
        axes.patch.set_alpha(0)
        draw(axes)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
        axes.xaxis.set_major_locator(MaxNLocator(5 if inches[0] < 6 else 8, integer=True))
        axes.yaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1000 else f"{value:.4g}")
        )
        axes.yaxis.set_major_locator(MaxNLocator(3 if inches[1] < 2.5 else 6))
        axes.set_xlabel("step")
        axes.grid(axis="y", color=_LINE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=_QUIET, length=0, labelsize=10.5, pad=5)
        axes.margins(x=0.02)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(color=_QUIET, fontsize=10.5)
        for side, spine in axes.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(_LINE)
        file = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=nothing)
    return _inline(file.getvalue())


def _inline(svg: str) -> str:
    """`svg` without what only a file of its own needs, and with the page's colours."""
    svg = svg[svg.index("<svg") :].strip()
    # The page scales it, and says in its own words what it shows.
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        r'<svg viewBox="\1" aria-hidden="true" focusable="false">',
        svg,
        count=1,
    )
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # it would style the whole page
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    # Names such as axes_1 would stand in a page once for each chart.
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if f"#{match[1]}" in svg else "", svg)
    for stand_in, variable in _COLOURS.items():
        svg = svg.replace(stand_in, variable)
    return svg


def finite(records: Sequence[dict[str, Any]], name: str) -> Series:
    """The curve of `name` over the evaluations that have it."""
    points = [
        (float(record["step"]), float(record[name]))
        for record in records
        if isinstance(record.get(name), int | float) and math.isfinite(record[name])
    ]
    return Series(name, [step for step, _ in points], [value for _, value in points])
