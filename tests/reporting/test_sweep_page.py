"""`sweep.html`: the best first, and time in a unit that suits it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_runs import MakeRun, curve, evaluations

from textwright.reporting import RunSummary
from textwright.reporting.sweep import Row, write_sweep


def row(make_run: MakeRun, name: str, state: str, last: int, floor: float, pace: float = 1) -> Row:
    """A trial of 3,000 planned steps of which `last` are done, `pace` times as slow as usual."""
    steps = range(0, last + 1, 100)
    learned = [curve(step, floor) for step in steps]
    records = evaluations(steps, learned, learned, 3000)
    for record in records:
        record["seconds"] *= pace
    run = make_run(name, records=records, samples=[], status="finished")
    return Row({"size": name}, state, None, RunSummary.read(run))


def test_the_best_is_first(make_run: MakeRun) -> None:
    """Trained to the end, then what came further, then what predicts better."""
    rows = [
        row(make_run, "worse", "stopped", 1500, 1.9),
        row(make_run, "early", "stopped", 800, 1.0),
        row(make_run, "better", "stopped", 1500, 1.6),
        row(make_run, "whole", "finished", 3000, 2.0),
    ]
    rows.sort(key=lambda one: one.order)
    assert [one.run.run.name for one in rows] == ["whole", "better", "worse", "early"]


@pytest.mark.parametrize(("pace", "unit", "end"), [(1, "seconds", 174), (10, "minutes", 29)])
def test_time_is_in_seconds_or_minutes(
    make_run: MakeRun, tmp_path: Path, pace: float, unit: str, end: float
) -> None:
    file = tmp_path / "sweep.html"
    write_sweep(file, "mine", [row(make_run, "one", "finished", 3000, 1.5, pace)], None)
    page = file.read_text(encoding="utf-8")
    assert f"{unit} of training" in page
    numbers = [float(one) for one in re.findall(r"<text[^>]*>(\d+(?:\.\d+)?)</text>", page)]
    assert end / 2 < max(numbers) <= end * 1.1
