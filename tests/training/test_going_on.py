"""A run that goes on beyond its plan: another leg, as exact as any."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_trainings import TINY, Recorder, train

import textwright
from textwright.errors import RequestError, RunError
from textwright.runs import Run
from textwright.training import Observer, Plan, plan_training
from textwright.training.loop.checkpoints import TrainerState
from textwright.training.planning import going_on
from textwright.training.planning.request import Budget
from textwright.training.record import load_recipe, open_dataset


class Impatient(Observer):
    """Leaves as soon as a training begins."""

    def started(self, run: Run, plan: Plan, step: int) -> None:
        raise KeyboardInterrupt


def test_gone_on_with_it_is_as_exact_as_any(text_file: Path) -> None:
    """A second leg: killed and resumed, by the same command or none, the same bytes."""
    more = ["training.ema_decay=0.9", "training.patience=2"]
    whole = train(text_file, more=more, name="whole", checkpoint_every=7)
    train(text_file, more=more, name="parts", checkpoint_every=7)
    best = whole.metrics()[-1]["val_loss"]
    textwright.train(name="whole", resume=True, steps=80)
    cut = Recorder(stop_at=60)
    textwright.train(name="parts", resume=True, steps="+40", observers=[cut])
    assert cut.began_at == 40 and cut.result is not None and cut.result.status == "interrupted"
    again = Recorder()
    parts = textwright.train(name="parts", resume=True, steps="+40", observers=[again])
    assert again.began_at == 60
    for file in ("model.safetensors", "config.json", "samples.jsonl"):
        assert (parts.path / file).read_bytes() == (whole.path / file).read_bytes(), file
    assert [row["step"] for row in parts.metrics()] == [*range(0, 90, 10)]
    assert parts.metrics()[-1]["val_loss"] < best
    rates = {row["step"]: row["lr"] for row in whole.metrics()}
    assert rates[50] > 10 * rates[40] and rates[80] < rates[50] / 10
    settings = parts.settings()
    assert settings["training"]["steps"] == settings["plan"]["steps"] == 80
    first, second = settings["plan"]["legs"]
    assert (first["begin"], first["steps"], first["asked"]) == (0, 40, "steps 40")
    assert (second["begin"], second["steps"], second["asked"]) == (40, 80, "steps +40")
    assert settings["result"]["status"] == "finished"
    textwright.train(name="parts", resume=True, steps="+10")  # that leg is done: another
    assert [leg["steps"] for leg in parts.settings()["plan"]["legs"]] == [40, 80, 90]
    with pytest.raises(KeyboardInterrupt):  # before its first step
        textwright.train(name="parts", resume=True, steps="+40", observers=[Impatient()])
    textwright.train(name="parts", resume=True, steps="+5")  # in place of that leg
    assert [leg["steps"] for leg in parts.settings()["plan"]["legs"]] == [40, 80, 90, 95]


def test_a_leg_of_epochs_is_that_of_a_longer_plan_and_takes_its_dropout(
    text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textwright.training.planning.planner._MEASURING_SECONDS", 0.05)
    more = ["training.batch_size=64", "model.block_size=32"]  # 18 steps an epoch
    run = train(text_file, steps=None, epochs=2, more=more)
    planned, _, long = plan_training(
        text_file, model="lstm", epochs=8, changes=[*TINY["lstm"], *more]
    )
    assert (run.config().dropout, planned.dropout) == (0.0, 0.1)
    longer, settings, plan = plan_training(name="prose", resume=True, epochs=8)
    assert settings.training.epochs == 8 and plan.steps == long.steps
    assert longer.dropout == 0.1 and "legs" not in run.settings()["plan"]


@pytest.mark.parametrize("stop_at", [None, 10])
def test_as_much_or_less_than_is_done_trains_nothing(
    text_file: Path, stop_at: int | None, caplog: pytest.LogCaptureFixture
) -> None:
    run = train(text_file, observers=[Recorder(stop_at=stop_at)])
    before = run.settings_file.read_bytes()
    recorder = Recorder()
    for asked in ({"steps": 9}, {"epochs": 0.01}, {"minutes": 0.00001}):
        caplog.clear()
        textwright.train(name="prose", resume=True, observers=[recorder], **asked)
        assert "asks for no more, and nothing is trained" in caplog.text
    assert recorder.began_at is None and run.settings_file.read_bytes() == before
    textwright.train(name="prose", resume=True, minutes="+0.02")
    assert run.settings()["result"]["status"] == "finished"
    assert run.metrics()[-1]["step"] > (stop_at or 40)


def test_minutes_are_of_all_that_was_spent_or_on_top_of_it(
    text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(text_file, steps=1)
    recipe = load_recipe(run)
    dataset, deadlines = open_dataset(run, recipe, []), []

    def stub(*arguments: Any) -> tuple[int, float, float]:
        deadlines.append(arguments[-1])
        return 5, 0.1, 100.0

    monkeypatch.setattr(going_on, "_timed_steps", stub)
    state = TrainerState(step=40, seconds=600.0)
    for asked in (Budget("minutes", 2.0, more=True), Budget("minutes", 12.0, more=False)):
        plan = going_on.go_on(run, recipe, dataset, asked, state, 1000.0, "").plan
        assert (plan.minutes, plan.steps) == (12.0, 45)
    assert deadlines == [1120.0, 1120.0]


def test_more_goes_on_top_of_something(text_file: Path) -> None:
    with pytest.raises(RequestError, match=r"--minutes \+2 is on top of what a run has done"):
        train(text_file, steps=None, minutes="+2")
    with pytest.raises(RequestError, match="--steps 2.5: write a whole number"):
        train(text_file, steps="2.5")
    begun = train(text_file, steps="+12", resume=True)  # nothing is there: it is begun
    assert begun.metrics()[-1]["step"] == 12
    shutil.rmtree(begun.checkpoints_folder)
    with pytest.raises(RunError, match="begin another with its weights: --from prose"):
        textwright.train(name="prose", resume=True, steps=50)
