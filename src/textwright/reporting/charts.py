"""Charts as inline SVG with the colours of the page.

Matplotlib draws with placeholder colours, which are replaced by CSS variables, so that one drawing
serves light and dark pages. Text stays text. The same numbers give the same bytes: no date, and ids
from a fixed salt.
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
"""Placeholder → CSS variable; near-black where that isn't defined."""
_INK, _QUIET, _LINE, _TRAIN, _VALIDATION, _BEST, _PANEL = _COLOURS


@dataclass(frozen=True)
class Series:
    """A curve: `ys` over `xs`."""

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
        best: (step, loss) of the best weights.
        narrow: for a phone: smaller, with the same font size.

    Raises:
        MissingPackageError: matplotlib is not installed.
    """

    def draw(axes: Any) -> None:
        # A few evaluations get a marker each: a line alone would suggest values between them
        marker = "o" if len(validation.xs) <= 12 else None
        style = {"marker": marker, "markersize": 4, "solid_capstyle": "round"}
        for series, colour, width in ((train, _TRAIN, 1.6), (validation, _VALIDATION, 2.2)):
            if series.xs:
                axes.plot(series.xs, series.ys, color=colour, linewidth=width, **style)
        _set_loss_limits(axes, train, validation)
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


def _set_loss_limits(axes: Any, *curves: Series) -> None:
    """Limit the y axis without step 0: an untrained model's loss would flatten all the rest."""
    losses = [
        loss for curve in curves for step, loss in zip(curve.xs, curve.ys, strict=True) if step > 0
    ]
    if len(losses) >= 2 * len(curves):
        low, high = min(losses), max(losses)
        axes.set_ylim(low - 0.06 * (high - low), high + 0.12 * (high - low))


def _mark_best(axes: Any, best: tuple[float, float], validation: Series) -> None:
    step, loss = best
    axes.axvline(step, color=_BEST, linewidth=1, linestyle=(0, (3, 3)), zorder=1)
    axes.plot([step], [loss], marker="o", markersize=7, color=_BEST, markeredgecolor=_PANEL,
              markeredgewidth=1.5, zorder=5)  # fmt: skip
    is_late = step > (min(validation.xs) + max(validation.xs)) / 2
    axes.annotate(f"best {loss:.4f} at step {numbers.whole(step)}", (step, 1),
                  xycoords=("data", "axes fraction"), xytext=(-7 if is_late else 7, -4),
                  textcoords="offset points", ha="right" if is_late else "left", va="top",
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
    # A user's own matplotlibrc must not change the page; hashsalt makes ids reproducible
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
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=no_metadata)
    return _inline(file.getvalue())


def _inline(svg: str) -> str:
    """`svg` for embedding: without headers and global styles, with CSS variables."""
    svg = svg[svg.index("<svg") :].strip()
    # The page scales and labels it
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]*)"[^>]*>',
        r'<svg viewBox="\1" aria-hidden="true" focusable="false">',
        svg,
        count=1,
    )
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<style.*?</style>", "", svg, flags=re.DOTALL)  # would apply to the whole page
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r"font-family: [^;\"]*;?", "", svg)
    # Ids such as axes_1 would occur once for each chart
    svg = re.sub(r' id="([^"]*)"', lambda match: match[0] if f"#{match[1]}" in svg else "", svg)
    for placeholder, variable in _COLOURS.items():
        svg = svg.replace(placeholder, variable)
    return svg


def read_series(records: Sequence[dict[str, Any]], name: str) -> Series:
    """The curve of `name` over the evaluations that have a finite value of it."""
    points = [
        (float(record["step"]), float(record[name]))
        for record in records
        if isinstance(record.get(name), int | float) and math.isfinite(record[name])
    ]
    return Series(name, [step for step, _ in points], [value for _, value in points])
