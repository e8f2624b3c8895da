"""Charts as inline SVG with the colours of the page.

Colours are CSS variables of the page, so that one drawing serves light and dark pages. Text stays
text, and keeps its size: phones get a smaller drawing. The same numbers give the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from textwright.reporting import numbers

_FONT = 10.5
"""Of all text, in points as all lengths here."""
_LETTER = 0.6 * _FONT
"""Approximate width of a digit, whatever the font."""

_TOP, _RIGHT, _BOTTOM = 8.0, 16.0, 36.0
"""Margins; the left one depends on the labels."""

_OUTLINE = "paint-order: stroke"
"""Draws the outline behind the letters, so that it hides the curve below them."""

_NICE = (1, 2, 2.5, 5, 10)
"""Spacings of ticks, times a power of ten."""

_LARGEST = 1e300
"""Bound of what is drawn; NaN and infinity fail the comparison, too."""

Limits = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """A curve: `ys` over `xs`."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


def loss_chart(
    train: Series,
    validation: Series,
    best: tuple[float, float] | None,
    legs: Sequence[float] = (),
    *,
    narrow: bool = False,
) -> str:
    """Training and validation loss over the steps, the best step marked, as an `<svg>`.

    Args:
        train: nats a token.
        validation: nats a token.
        best: (step, loss) of the best weights.
        legs: the steps from which it went on beyond its plan, marked.
        narrow: for a phone: smaller, with the same font size.
    """
    size = (295.0, 216.0) if narrow else (662.0, 266.0)
    steps = [*train.xs, *validation.xs]
    axes = _Axes(size, _padded(min(steps), max(steps), 0.02), _loss_limits(train, validation),
                 most=6, label="loss (nats a token)")  # fmt: skip
    # A few evaluations get a marker each: a line alone would suggest values between them
    dots = len(validation.xs) <= 12
    curves = [
        axes.curve(series, colour, width, dots=dots)
        for series, colour, width in ((train, "train", 1.6), (validation, "validation", 2.2))
    ]
    marked = "".join(axes.mark_leg(step) for step in legs)
    marked += axes.mark_best(best) if best else ""
    return axes.svg("".join(curves), marked, name=f"loss-{'narrow' if narrow else 'wide'}")


def comparison_chart(curves: Sequence[Series], colours: Sequence[str]) -> str:
    """Several runs' validation losses over the steps, as an `<svg>`.

    Args:
        curves: of at least two points each, nats a token.
        colours: of each, in CSS.
    """
    steps = [step for curve in curves for step in curve.xs]
    axes = _Axes((662.0, 266.0), _padded(min(steps), max(steps), 0.02), _loss_limits(*curves),
                 most=6, label="validation loss (nats a token)")  # fmt: skip
    drawn = [
        axes.curve(curve, colour, 2.0, dots=len(curve.xs) <= 12)
        for curve, colour in zip(curves, colours, strict=True)
    ]
    return axes.svg("".join(drawn), name="comparison")


def small_chart(series: Series, *, narrow: bool = False) -> str:
    """One quantity over the steps, from zero, as an `<svg>`."""
    size = (295.0, 151.0) if narrow else (324.0, 158.0)
    axes = _Axes(size, _padded(min(series.xs), max(series.xs), 0.02),
                 (0.0, 1.08 * max(0.0, *series.ys) or 1.0), most=4)  # fmt: skip
    curve = axes.curve(series, "quiet", 1.6, dots=len(series.xs) <= 3)
    return axes.svg(curve, name=f"{series.name}-{'narrow' if narrow else 'wide'}")


def curves_chart(
    curves: Sequence[tuple[Series, str, bool]], label: str, x_label: str, *, narrow: bool = False
) -> str:
    """Several curves of one quantity, each with a dot where it ends, as an `<svg>`.

    Args:
        curves: each with its colour, a variable of the page, and whether it is emphasised.
        label: of what goes up.
        x_label: of what goes right.
        narrow: for a phone: smaller, with the same font size.
    """
    size = (295.0, 216.0) if narrow else (662.0, 320.0)
    xs = [x for series, _, _ in curves for x in series.xs]
    axes = _Axes(size, _padded(0.0, max(xs), 0.02), _loss_limits(*(one for one, _, _ in curves)),
                 most=6, label=label, x_label=x_label)  # fmt: skip
    drawn = [
        axes.curve(series, colour, 2.8 if stands_out else 1.5, dots=False)
        + axes.end_dot(series, colour)
        for series, colour, stands_out in sorted(curves, key=lambda curve: curve[2])
    ]
    return axes.svg("".join(drawn), name=f"curves-{'narrow' if narrow else 'wide'}")


def _loss_limits(*curves: Series) -> Limits:
    """Limits of the y axis without step 0: an untrained model's loss would flatten all the rest."""
    losses = [
        loss for curve in curves for step, loss in zip(curve.xs, curve.ys, strict=True) if step > 0
    ]
    if len(losses) >= 2 * len(curves):
        low, high = min(losses), max(losses)
        room = high - low or 1.0
        return low - 0.06 * room, high + 0.12 * room
    all_losses = [loss for curve in curves for loss in curve.ys]
    return _padded(min(all_losses), max(all_losses), 0.06)


def _padded(low: float, high: float, share: float) -> Limits:
    """With room on both sides, also where there is but one value."""
    room = share * (high - low) or 1.0
    return low - room, high + room


class _Axes:
    """Two axes: their limits and ticks, and data coordinates as places on the drawing."""

    def __init__(
        self,
        size: tuple[float, float],
        steps: Limits,
        values: Limits,
        *,
        most: int,
        label: str = "",
        x_label: str = "step",
    ) -> None:
        self.size, self.steps, self.values, self.label = size, steps, values, label
        self.x_label = x_label
        self.y_ticks = [(value, _value_text(value)) for value in ticks(*values, most)]
        self.left = _LETTER * max((len(text) for _, text in self.y_ticks), default=1) + 8
        self.left += 1.6 * _FONT if label else 0
        self.right, self.bottom = size[0] - _RIGHT, size[1] - _BOTTOM
        longest = max(len(f"{step:,.0f}") for step in steps) + 3
        room = int((self.right - self.left) / (_LETTER * longest))
        self.x_ticks = [step for step in ticks(*steps, min(8, room), whole=True) if step >= 0]

    def x(self, step: float) -> float:
        low, high = self.steps
        return self.left + (step - low) / (high - low) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.values
        return _TOP + (high - value) / (high - low) * (self.bottom - _TOP)

    def curve(self, series: Series, colour: str, width: float, *, dots: bool) -> str:
        """A line through the points of a series, in a colour of CSS or a variable of the page."""
        shade = colour if colour.startswith("#") else f"var(--{colour})"
        points = [(self.x(x), self.y(y)) for x, y in zip(series.xs, series.ys, strict=True)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        line = (
            f'<polyline points="{path}" style="fill: none; stroke: {shade};'
            f' stroke-width: {width}; stroke-linecap: round"/>\n'
        )
        if dots:
            line += "".join(_dot(x, y, 2.5, f"fill: {shade}") for x, y in points)
        return line

    def end_dot(self, series: Series, colour: str) -> str:
        return _dot(self.x(series.xs[-1]), self.y(series.ys[-1]), 3.2, f"fill: var(--{colour})")

    def mark_best(self, best: tuple[float, float]) -> str:
        """A vertical line at the best step, a dot at its loss, and both as text."""
        step, loss = best
        x, is_late = self.x(step), step > sum(self.steps) / 2
        text = f"best {loss:.4f} at step {numbers.whole(step)}"
        place, anchor = (x - 7, "end") if is_late else (x + 7, "start")
        line = (
            f'<path d="M{x:.1f} {_TOP}V{self.bottom}" style="stroke: var(--best);'
            ' stroke-dasharray: 3 3"/>\n'
        )
        look = "fill: var(--best); stroke: var(--panel)"
        words = _text(text, place, _TOP + _FONT, anchor, f"{look}; stroke-width: 3; {_OUTLINE}")
        if not self.values[0] <= loss <= self.values[1]:
            return line + words
        return line + _dot(x, self.y(loss), 3.5, f"{look}; stroke-width: 1.5") + words

    def mark_leg(self, step: float) -> str:
        """A thin line where training went on beyond its plan, and a word at its foot."""
        x = self.x(step)
        line = f'<path d="M{x:.1f} {_TOP}V{self.bottom}" style="stroke: var(--quiet)"/>\n'
        look = f"fill: var(--quiet); stroke: var(--panel); stroke-width: 3; {_OUTLINE}"
        late = step > sum(self.steps) / 2
        place, anchor = (x - 5, "end") if late else (x + 5, "start")
        return line + _text("went on", place, self.bottom - 0.5 * _FONT, anchor, look)

    def svg(self, curves: str, above: str = "", *, name: str) -> str:
        """The whole drawing.

        Args:
            curves: elements that are clipped to the axes.
            above: elements drawn over them, not clipped.
            name: of the clipping path, whose id is unique also where many drawings are in one page.
        """
        name = f"{name}-{crc32(curves.encode()):08x}"
        width, height = self.size
        grid = "".join(
            f'<path d="M{self.left:.1f} {self.y(value):.1f}H{self.right}"'
            f' style="stroke: var(--line); stroke-width: .8"/>\n'
            for value, _ in self.y_ticks
        )
        clip = (
            f'<clipPath id="{name}"><rect x="{self.left:.1f}" y="{_TOP}"'
            f' width="{self.right - self.left:.1f}" height="{self.bottom - _TOP:.1f}"/></clipPath>'
        )
        base = (
            f'<path d="M{self.left:.1f} {self.bottom}H{self.right}" style="stroke: var(--line)"/>\n'
        )
        # The page scales it, and says in its own words what it shows.
        return (
            f'<svg viewBox="0 0 {width:g} {height:g}" aria-hidden="true" focusable="false">\n'
            f'{clip}\n{self._labels()}{grid}{base}<g clip-path="url(#{name})">\n{curves}</g>\n'
            f"{above}</svg>"
        )

    def _labels(self) -> str:
        """Tick labels and axis labels."""
        found = [
            _text(text, self.left - 6, self.y(value) + 0.35 * _FONT, "end")
            for value, text in self.y_ticks
        ]
        found += [
            _text(f"{step:,.0f}", self.x(step), self.bottom + 1.5 * _FONT, "middle")
            for step in self.x_ticks
        ]
        middle = (self.left + self.right) / 2
        found.append(_text(self.x_label, middle, self.size[1] - 0.4 * _FONT, "middle"))
        if self.label:
            across = 'transform="rotate(-90)" style="fill: var(--quiet)"'
            x, y = -(_TOP + self.bottom) / 2, 0.9 * _FONT
            found.append(
                f'<text x="{x:.1f}" y="{y:.1f}" font-size="{_FONT}" text-anchor="middle" {across}>'
                f"{self.label}</text>\n"
            )
        return "".join(found)


def ticks(low: float, high: float, most: int, *, whole: bool = False) -> list[float]:
    """Round numbers from `low` to `high`, evenly spaced.

    Args:
        low: lower end of the axis.
        high: upper end, greater than `low`.
        most: intervals that there is room for.
        whole: integers only.
    """
    least = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(least))
    spacings = [nice * power for nice in _NICE if nice * power >= least * (1 - 1e-9)]
    if whole:
        spacings = [spacing for spacing in spacings if spacing.is_integer()] or [1.0]
    spacing = spacings[0]
    first, last = math.ceil(low / spacing), math.floor(high / spacing)
    return [spacing * number for number in range(first, last + 1)]


def _value_text(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"


def _text(text: str, x: float, y: float, anchor: str, style: str = "fill: var(--quiet)") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{_FONT}" text-anchor="{anchor}"'
        f' style="{style}">{text}</text>\n'
    )


def _dot(x: float, y: float, radius: float, style: str) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" style="{style}"/>\n'


def read_series(records: Sequence[dict[str, Any]], name: str, over: str = "step") -> Series:
    """The curve of `name` over the evaluations that have a finite value of it."""
    points = [
        (float(record[over]), float(record[name]))
        for record in records
        if isinstance(record.get(name), int | float) and abs(record[name]) < _LARGEST
    ]
    return Series(name, [step for step, _ in points], [value for _, value in points])
