"""Curves: each point at its place, ticks at round numbers, nothing outside of the drawing."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from textwright.reporting.charts import Series, loss_chart, read_series, small_chart, ticks

STEPS = [0.0, 100.0, 200.0, 300.0, 400.0]
TRAIN = Series("train_loss", STEPS[1:], [3.0, 2.0, 1.5, 1.25])
VALIDATION = Series("val_loss", STEPS, [9.0, 3.5, 2.5, 2.0, 2.25])
BEST = (300.0, 2.0)


class Drawing:
    """A chart, parsed, with places on it as data coordinates, by way of its tick labels."""

    def __init__(self, svg: str) -> None:
        self.root = ElementTree.fromstring(svg)
        self.width, self.height = map(float, self.root.attrib["viewBox"].split()[2:])
        self.texts = [
            (element.text or "", float(element.attrib["x"]), float(element.attrib["y"]))
            for element in self.root.iter("text")
            if "transform" not in element.attrib
        ]
        numbers = [(float(text.replace(",", "")), x, y) for text, x, y in self.texts
                   if re.fullmatch(r"-?[\d,.]+", text)]  # fmt: skip
        bottom = max(y for _, _, y in numbers)
        self.x_ticks = {value: x for value, x, y in numbers if y == bottom}
        self.y_ticks = {value: y - 0.35 * 10.5 for value, x, y in numbers if y != bottom}

    def data(self, x: float, y: float) -> tuple[float, float]:
        found = []
        for ticks_, place in ((self.x_ticks, x), (self.y_ticks, y)):
            (low, start), (high, end) = (pick(ticks_.items()) for pick in (min, max))
            found.append(low + (place - start) / (end - start) * (high - low))
        return found[0], found[1]

    def curves(self) -> list[list[tuple[float, float]]]:
        return [
            [self.data(*map(float, point.split(","))) for point in line.attrib["points"].split()]
            for line in self.root.iter("polyline")
        ]

    def inside(self) -> bool:
        return all(0 <= x <= self.width and 0 <= y <= self.height for _, x, y in self.texts)


@pytest.mark.parametrize("narrow", [False, True])
def test_every_point_is_at_its_place(narrow: bool) -> None:
    drawing = Drawing(loss_chart(TRAIN, VALIDATION, BEST, narrow=narrow))
    for curve, series in zip(drawing.curves(), (TRAIN, VALIDATION), strict=True):
        for (x, y), step, loss in zip(curve, series.xs, series.ys, strict=True):
            assert x == pytest.approx(step, abs=2)
            assert y == pytest.approx(loss, abs=0.02)
    assert drawing.inside()
    for places, order in ((drawing.x_ticks, 1), (drawing.y_ticks, -1)):  # y runs downwards
        assert len(places) >= 3
        assert [places[value] for value in sorted(places)] == sorted(places.values())[::order]
    best = [c.attrib for c in drawing.root.iter("circle") if "--best" in c.attrib["style"]]
    x, y = drawing.data(float(best[0]["cx"]), float(best[0]["cy"]))
    assert (x, y) == (pytest.approx(300, abs=2), pytest.approx(2.0, abs=0.02))
    assert "best 2.0000 at step 300" in [text for text, _, _ in drawing.texts]


def test_an_untrained_model_does_not_flatten_the_rest() -> None:
    """Its loss, 9, is above the drawing, where the curve is clipped."""
    drawing = Drawing(loss_chart(TRAIN, VALIDATION, BEST))
    assert max(drawing.y_ticks) < 4
    (clip,) = drawing.root.iter("clipPath")
    (group,) = drawing.root.iter("g")
    assert group.attrib["clip-path"] == f"url(#{clip.attrib['id']})"
    assert len(list(group.iter("polyline"))) == 2
    assert drawing.curves()[1][0][1] == pytest.approx(9, abs=0.05)


def test_few_evaluations_get_a_dot_each() -> None:
    few = Drawing(loss_chart(TRAIN, VALIDATION, None))
    assert len(list(few.root.iter("circle"))) == 4 + 5
    many = Series("val_loss", [float(step) for step in range(13)], [1.0] * 13)
    assert not list(
        Drawing(loss_chart(Series("train_loss", [], []), many, None)).root.iter("circle")
    )


@pytest.mark.parametrize(
    ("xs", "ys"),
    [([0.0], [4.17]), ([5.0], [0.0]), ([1.0, 2.0], [3.0, 3.0]), ([1.0, 2.0], [-1.0, -2.0]),
     ([0.0, 3e9], [1e-12, 2e12]), ([1.0, 2.0], [1.0, 9e299])],
)  # fmt: skip
def test_whatever_the_numbers_it_is_drawn(xs: list[float], ys: list[float]) -> None:
    series, nothing = Series("val_loss", xs, ys), Series("train_loss", [], [])
    for narrow in (False, True):
        for svg in (small_chart(series, narrow=narrow),
                    loss_chart(nothing, series, (xs[0], ys[0]), narrow=narrow)):  # fmt: skip
            drawing = Drawing(svg)
            assert drawing.root.attrib["aria-hidden"] == "true"
            assert "nan" not in svg and "inf" not in svg


def test_a_quantity_begins_at_zero() -> None:
    drawing = Drawing(small_chart(Series("lr", STEPS, [0.003, 0.003, 0.002, 0.001, 0.0])))
    assert min(drawing.y_ticks) == 0 and len(drawing.y_ticks) >= 3
    (curve,) = drawing.curves()
    assert [round(y, 4) for _, y in curve] == [0.003, 0.003, 0.002, 0.001, 0.0]


@pytest.mark.parametrize(
    ("low", "high", "most", "whole", "expected"),
    [
        (0, 6000, 8, True, [0, 1000, 2000, 3000, 4000, 5000, 6000]),
        (0.8, 2.7, 6, False, [1.0, 1.5, 2.0, 2.5]),
        (-0.06, 3.06, 8, True, [0, 1, 2, 3]),  # no halves of a step
        (0, 22, 8, True, [0, 5, 10, 15, 20]),  # nor 2.5
        (0, 0.0033, 4, False, [0, 0.001, 0.002, 0.003]),
        (3.16, 5.18, 6, False, [3.5, 4.0, 4.5, 5.0]),
    ],
)
def test_ticks_are_round_numbers(
    low: float, high: float, most: int, whole: bool, expected: list[float]
) -> None:
    assert ticks(low, high, most, whole=whole) == pytest.approx(expected)


def test_labels_of_large_steps_do_not_run_into_each_other() -> None:
    for last in (10, 1_000, 123_456, 98_765_432):
        for narrow in (False, True):
            svg = small_chart(Series("lr", [0.0, float(last)], [1.0, 1.0]), narrow=narrow)
            places = sorted((x, len(f"{step:,.0f}")) for step, x in Drawing(svg).x_ticks.items())
            for (left, letters), (right, more) in pairwise(places):
                assert right - left > 0.6 * 10.5 * (letters + more) / 2


def test_what_is_no_number_is_left_out() -> None:
    values = [1.5, None, "?", float("nan"), float("inf"), 1e300, 2]
    records = [{"step": step, "loss": value} for step, value in enumerate(values)]
    assert read_series(records, "loss") == Series("loss", [0.0, 6.0], [1.5, 2.0])
