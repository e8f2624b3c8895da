"""What a training records of itself: rates, seconds, speeds, where it failed. Clocks are stubs."""

from __future__ import annotations

import os
import re
import signal
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import textwright
from textwright import atomic, evaluation, runs
from textwright.configs import TrainingSettings
from textwright.errors import TrainingError
from textwright.reporting import RunSummary
from textwright.runs import Run
from textwright.training import Evaluation, Observer, Plan, Result, Sample
from textwright.training.loop import trainer
from textwright.training.loop.learner import Learner
from textwright.training.optim.optimizer import lr_multiplier

SMALL = [
    "model.hidden_size=16", "model.embedding_size=8", "model.block_size=16",
    "training.batch_size=4", "training.sample_tokens=8", "training.companion=off",
]  # fmt: skip


def train(*corpus: Path, more: tuple[str, ...] = (), **options: Any) -> Run:
    options = {"steps": 12, "eval_every": 4, "model": "lstm", **options}
    return textwright.train(*corpus, changes=[*SMALL, *more], **options)


class Stops(Observer):
    """Asks to stop at an evaluation."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.started_at: int | None = None
        self.result: Result | None = None

    def started(self, run: Run, plan: Plan, step: int) -> None:
        self.started_at = step

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        if evaluation.step == self.at:
            signal.raise_signal(signal.SIGINT)

    def finished(self, run: Run, result: Result) -> None:
        self.result = result


class Clock:
    """A second a step, a hundred an evaluation."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        step, evaluate = Learner.step, __import__(
            "textwright.training.loop.trainer", fromlist=["evaluate"]
        ).evaluate  # fmt: skip

        def timed_step(learner: Learner, number: int) -> Tensor:
            self.now += 1.0
            return step(learner, number)

        def timed_evaluate(*arguments: Any, **options: Any) -> Any:
            self.now += 100.0
            return evaluate(*arguments, **options)

        monkeypatch.setattr(Learner, "step", timed_step)
        monkeypatch.setattr("textwright.training.loop.trainer.evaluate", timed_evaluate)
        monkeypatch.setattr("textwright.training.loop.trainer.time", self)

    def monotonic(self) -> float:
        return self.now


def test_the_rate_that_is_recorded_is_the_one_of_the_last_step(text_file: Path) -> None:
    run = train(text_file, more=("training.learning_rate=0.01", "training.warmup=0.5"))
    settings = TrainingSettings(warmup=0.5)
    recorded = [record["lr"] for record in run.metrics()]
    expected = [0.01 * lr_multiplier(step, settings, [(0, 12)]) for step in (0, 3, 7, 11)]
    assert recorded == pytest.approx(expected)
    assert recorded[0] < recorded[1] and recorded[3] < recorded[2]


def test_speed_leaves_evaluations_out_and_seconds_count_them(
    text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch)
    metrics = train(text_file).metrics()
    assert [record["tokens_per_second"] for record in metrics[1:]] == [64.0, 64.0, 64.0]
    assert [record["seconds"] for record in metrics] == [100.0, 204.0, 308.0, 412.0]


def test_seconds_go_on_when_resumed(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    stops = Stops(at=8)
    run = train(text_file, observers=[stops])
    assert stops.result is not None and stops.result.seconds == 308.0
    clock.now = 1e6  # another day
    textwright.train(name=run.name, resume=True)
    assert [record["seconds"] for record in run.metrics()] == [100.0, 204.0, 308.0, 412.0]
    assert run.settings()["result"]["seconds"] == 412.0


def test_the_step_that_diverged_is_named(text_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    step, steps = Learner.step, count(1)

    def diverges(learner: Learner, number: int) -> Tensor:
        loss = step(learner, number)
        return torch.tensor(float("nan")) if next(steps) == 6 else loss

    monkeypatch.setattr(Learner, "step", diverges)
    with pytest.raises(TrainingError, match=re.escape("not finite at step 6:")):
        train(text_file)


def test_resume_takes_the_newest_of_several_runs_on_a_text(text_file: Path) -> None:
    old = train(text_file, observers=[Stops(at=4)])
    new = train(text_file, observers=[Stops(at=4)])
    assert old.name != new.name
    for age, run in ((0, new), (60, old)):  # modification times may be as coarse as two seconds
        then = run.settings_file.stat().st_mtime - age
        os.utime(run.settings_file, (then, then))
    assert textwright.train(text_file, resume=True).name == new.name
    assert new.metrics()[-1]["step"] == 12 and old.metrics()[-1]["step"] == 4


def test_what_stopped_early_is_done(text_file: Path) -> None:
    more = ("training.patience=1", "training.schedule=constant", "training.learning_rate=1.0")
    run = train(text_file, steps=400, more=more)
    assert run.settings()["result"]["status"] == "stopped early"
    steps = run.metrics()[-1]["step"]
    stops = Stops(at=-1)
    assert textwright.train(name=run.name, resume=True, observers=[stops]) == run
    assert stops.started_at is None and run.metrics()[-1]["step"] == steps
    assert stops.result is not None and stops.result.status == "stopped early"
    assert runs.find(run.name).settings()["result"]["status"] == "stopped early"


def test_the_last_number_is_of_all_the_validation_text(
    text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = ("training.eval_tokens=64", "training.patience=0")
    run = train(text_file, more=more, steps=20, eval_every=5)
    result, score = run.settings()["result"], evaluation.score(run, companion="off")
    assert result["val_loss"] == pytest.approx(score.loss, rel=1e-4)
    assert result["val_bits_per_char"] == pytest.approx(score.bits_per_char, rel=1e-4)
    assert (result["eval_tokens"], result["protocol"]) == (0, score.protocol)
    parts = [record["val_loss"] for record in run.metrics()]
    assert min(abs(loss - score.loss) for loss in parts) > 1e-3
    summary = RunSummary.read(run)
    assert (summary.val_loss, summary.protocol) == (result["val_loss"], score.protocol)
    assert f"on all of it the model that was kept has {score.loss:.4f}" in summary.verdict.grounds
    whole = trainer.evaluate

    def cut_short(*arguments: Any, limit: int = 0) -> Any:
        if not limit:
            raise KeyboardInterrupt
        return whole(*arguments, limit=limit)

    monkeypatch.setattr(trainer, "evaluate", cut_short)
    run = train(text_file, more=more, steps=20, eval_every=5)
    result = run.settings()["result"]
    assert (result["status"], result["eval_tokens"]) == ("finished", 64)
    assert result["val_loss"] == min(parts) and "its first 64 tokens" in result["protocol"]


class Fails(Observer):
    """As one whose terminal is gone."""

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        if evaluation.step == 8:
            raise BrokenPipeError


def test_an_observer_that_fails_stops_in_order(text_file: Path, tmp_path: Path) -> None:
    with pytest.raises(BrokenPipeError):
        train(text_file, name="cut", checkpoint_every=12, observers=[Fails()])
    cut = runs.find("cut")
    assert cut.checkpoints()[0][0] == 8 and cut.settings()["result"]["status"] == "interrupted"
    textwright.train(name="cut", resume=True)
    whole = train(text_file, name="whole", checkpoint_every=12)
    assert cut.weights_file.read_bytes() == whole.weights_file.read_bytes()
    assert cut.samples() == whole.samples()


def test_what_a_kill_after_the_last_step_left_out_is_written(text_file: Path) -> None:
    run = train(text_file, checkpoint_every=4)
    written = {file: file.read_bytes() for file in (run.card_file, run.report_file)}
    left = run.checkpoints_folder / f".step-0.7{atomic.PARTIAL}"
    (left / "more").mkdir(parents=True)
    run.report_file.unlink()
    run.card_file.write_text("of before it was done")
    os.utime(run.card_file, (1, 1))
    textwright.train(name=run.name, resume=True)
    assert {file: file.read_bytes() for file in written} == written
    assert not left.exists() and [step for step, _ in run.checkpoints()] == [12, 8]
