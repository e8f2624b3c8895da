"""A training from text to run folder, in one process."""

from __future__ import annotations

import json
import math
import tomllib
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from tiny_trainings import TINY, Recorder, train

import textwright
from textwright import runs
from textwright.errors import CorpusError, RequestError, RunError, TrainingError
from textwright.evaluation import score
from textwright.runs import Run
from textwright.training import (
    Plan,
    Progress,
    plan_training,
)
from textwright.training.loop.callbacks import LiveLog
from textwright.training.planning.benchmark import Timing


def test_the_run_folder_holds_everything(text_file: Path, tmp_path: Path) -> None:
    recorder = Recorder()
    more = ["training.companion=auto"]
    run = train(text_file, more=more, logs=["csv"], observers=[recorder])
    assert run.path == tmp_path / "runs" / "prose"
    names = {entry.name for entry in run.path.iterdir()}
    assert names == {
        "config.json", "model.safetensors", "companion.safetensors", "tokenizer.json",
        "tokenizer_config.json", "generation_config.json", "README.md", "run.toml",
        "metrics.jsonl", "metrics.csv",
        "samples.jsonl", "report.html", "checkpoints",
    }  # fmt: skip
    metrics, samples = run.metrics(), run.samples()
    assert [record["step"] for record in metrics] == [0, 10, 20, 30, 40]
    assert [record["step"] for record in samples] == [0, 10, 20, 30, 40]
    assert set(metrics[0]) >= {
        "step", "tokens", "seconds", "train_loss", "val_loss", "val_bits_per_char", "lr",
        "tokens_per_second",
    }  # fmt: skip
    last = metrics[-1]
    assert last["val_loss"] < metrics[0]["val_loss"] - 0.2
    bits = last["val_loss"] / math.log(2)  # and those of two characters that were left out
    assert bits < last["val_bits_per_char"] < bits * 1.01 and last["val_unknown"] == 2 / 4000
    assert all(len(sample["text"]) == 40 for sample in samples)
    with safe_open(run.weights_file, "np") as weights:
        assert weights.metadata() == {"format": "pt"}
    toml = tomllib.loads(run.settings_file.read_text())
    assert toml["training"]["steps"] == 40 and toml["plan"]["parameters"] > 1000
    assert toml["data"]["train_characters"] == 36_000
    assert toml["data"]["validation_characters"] == 4_000
    assert len(toml["data"]["sha256"]) == 64
    assert toml["corpus"]["sources"] == [str(text_file)]
    assert toml["result"]["status"] == "finished" and toml["result"]["verdict"]
    assert recorder.result is not None and recorder.result.val_loss == toml["result"]["val_loss"]
    table = run.metrics_csv_file.read_text().splitlines()
    assert len(table) == 6 and table[0].startswith("step,epoch,tokens")


class ReadsLive(Recorder):
    """Reads what a training tells between evaluations."""

    def started(self, run: Run, plan: Plan, step: int) -> None:
        self.run = run
        self.told: list[dict[str, Any]] = [{"step": -1}]

    def progressed(self, progress: Progress) -> None:
        if self.run.live_file.is_file():
            told = json.loads(self.run.live_file.read_text())
            if told["step"] != self.told[-1]["step"]:
                self.told.append(told)


def test_it_writes_between_evaluations_and_learns_the_same(
    text_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LiveLog, "EVERY", 0.0)
    monkeypatch.setattr(LiveLog, "PAUSE", 0.0)
    monkeypatch.setattr(LiveLog, "SHARE", 0)
    monkeypatch.setattr(LiveLog, "TOKENS", 12)
    monkeypatch.setattr("textwright.training.loop.trainer._TICK", 0.0)
    recorder = ReadsLive()
    live = train(text_file, logs=["live"], observers=[recorder], name="live")
    told = recorder.told[1:]
    assert {one["step"] for one in told} & {3, 7, 13, 29}, "also where there is no evaluation"
    assert all(one["sample"]["step"] == one["step"] for one in told)
    assert {len(one["sample"]["text"]) for one in told} == {LiveLog.TOKENS}
    steps, losses = zip(*told[-1]["losses"], strict=True)
    assert list(steps) == sorted(set(steps)) and all(0 < loss < 10 for loss in losses)
    between = [row["train_loss"] for row in live.metrics()[1:]]
    for index, mean in enumerate(between[:3]):  # the losses of single steps, which these are
        each = [loss for step, loss in told[-1]["losses"] if index * 10 < step <= index * 10 + 10]
        if len(each) == 10:
            assert sum(each) / 10 == pytest.approx(mean, abs=1e-3)
    assert not live.live_file.exists()
    plain = train(text_file, name="plain")
    assert live.weights_file.read_bytes() == plain.weights_file.read_bytes()


def test_eval_gives_the_validation_loss_of_the_run(text_file: Path) -> None:
    for family in ("lstm", "gpt"):
        run = train(text_file, family=family, name=family)
        best = min(record["val_loss"] for record in run.metrics())
        result = score(run, companion="off")
        assert result.loss == pytest.approx(best, abs=1e-6)
        # Two Z of the validation text never occur in the training text
        assert result.unknown_characters == 2
        assert (result.tokens, result.characters) == (3997, 4000)
        assert result.perplexity == pytest.approx(math.exp(best), rel=1e-5)
        hidden = result.hidden_bits_per_char * 4000
        assert 2 * 8 < hidden < 2 * 32  # which Z, and where
        bits = best * 3998 / math.log(2) + hidden
        assert result.bits_per_byte == pytest.approx(bits / result.bytes)
        assert result.bits_per_char == pytest.approx(bits / 4000)
        assert run.settings()["result"]["val_bits_per_char"] == pytest.approx(bits / 4000)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which a step takes a second, of any size, and an evaluation another."""
    monkeypatch.setattr(
        "textwright.training.planning.planner.measure", lambda *_, **__: Timing(1.0, 1.0, 0.0)
    )


@pytest.mark.usefixtures("measured")
def test_sizes_that_the_model_settings_do_not_fit_are_passed_over(text_file: Path) -> None:
    changes = ["model.num_heads=6"]  # of 128, the width of the smallest size, no whole number
    _, _, planned = plan_training(text_file, model="gpt", minutes=1e6, changes=changes)
    assert planned.size == "micro"
    with pytest.raises(RequestError, match="num_heads"):
        plan_training(text_file, model="gpt", size="nano", changes=changes, steps=1)


@pytest.mark.usefixtures("measured")
def test_a_rhythm_that_costs_time_leaves_fewer_steps(text_file: Path) -> None:
    def steps(every: int) -> int:
        _, settings, planned = plan_training(text_file, size="nano", minutes=100, eval_every=every)
        assert planned.eval_every == settings.training.eval_every == every
        assert planned.expected_seconds is not None and 5000 < planned.expected_seconds < 6000
        return planned.steps

    # An evaluation after each step takes half of the time. Planning itself takes a little
    assert 5000 < steps(1000) < 6000 and 2500 < steps(1) < 3000


def test_a_name_is_free_and_safe_for_a_folder(text_file: Path) -> None:
    assert [train(text_file, steps=2).name for _ in range(3)] == ["prose", "prose-2", "prose-3"]
    with pytest.raises(RunError, match="run 'prose' exists already"):
        train(text_file, name="prose")
    for name in ("../x", "a/b", "..", "", "x..y", ".hidden", "con"):
        with pytest.raises(RunError, match="can't be the name of a run"):
            train(text_file, name=name)


def test_what_fails_leaves_nothing_behind(text_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    with pytest.raises(CorpusError, match="nowhere"):
        train(tmp_path / "nowhere.txt")
    short = tmp_path / "short.txt"
    short.write_text("Too short to learn from.")
    with pytest.raises(CorpusError, match="tokens, fewer than"):
        train(short)
    with pytest.raises(RequestError, match="bfloat17"):
        train(text_file, more=["training.precision=bfloat17"])
    assert not folder.exists() or not list(folder.iterdir())


def test_a_loss_that_is_not_finite_stops_it_with_advice(text_file: Path) -> None:
    with pytest.raises(TrainingError, match="not finite at step .*halve the learning rates"):
        train(text_file, more=["training.learning_rate=1e30", "training.gradient_clip=0"])
    run = runs.find("prose")
    result = run.settings()["result"]
    assert result["status"] == "diverged" and "diverged" in result["verdict"]
    assert math.isfinite(score(run).loss)  # what was kept is from before


def test_it_stops_early_and_keeps_the_best(text_file: Path) -> None:
    # A rate so high that later evaluations get worse
    more = ["training.patience=2", "training.schedule=constant", "training.learning_rate=0.5"]
    run = train(text_file, more=more, steps=400, eval_every=5)
    metrics, result = run.metrics(), run.settings()["result"]
    assert result["status"] == "stopped early"
    assert metrics[-1]["step"] < 400
    best = min(metrics, key=lambda record: record["val_loss"])
    assert best["step"] == result["best_step"] == metrics[-3]["step"]
    assert score(run, companion="off").loss == pytest.approx(best["val_loss"], abs=1e-5)


def test_epochs_are_exact(text_file: Path) -> None:
    run = textwright.train(text_file, epochs=0.1, model="lstm", changes=TINY["lstm"])
    plan = run.settings()["plan"]
    assert plan["steps"] == math.ceil(0.1 * 36_000 / 64)
    assert run.metrics()[-1]["epoch"] == pytest.approx(0.1, abs=0.01)


def test_a_run_toml_as_config_gives_the_same_model(text_file: Path) -> None:
    run = train(text_file, family="gpt", steps=12)
    again = textwright.train(config=run.settings_file, name="again")
    assert again.weights_file.read_bytes() == run.weights_file.read_bytes()


@pytest.mark.usefixtures("measured")
def test_minutes_are_planned_and_frozen(text_file: Path) -> None:
    run = train(text_file, minutes=1, steps=None, eval_every=None, size="nano")
    toml = run.settings()
    assert toml["plan"]["minutes"] == 1
    assert toml["plan"]["size"] == "nano"
    assert toml["training"]["steps"] == toml["plan"]["steps"] == run.metrics()[-1]["step"]
    assert toml["plan"]["steps"] < toml["plan"]["expected_seconds"] <= 60


def test_a_plan_tells_the_time_and_trains_nothing(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textwright.training.planning.planner._MEASURING_SECONDS", 0.05)
    config, settings, planned = plan_training(
        text_file, model="gpt", steps=30, changes=TINY["gpt"], size="nano"
    )
    assert planned.steps == settings.training.steps == 30
    assert planned.parameters == config.parameter_count()
    assert planned.memory_bytes > 4 * planned.parameters
    assert planned.expected_seconds is not None and planned.tokens_per_second is not None
    # 30 steps of 64 tokens, and more for the evaluations
    assert planned.expected_seconds > 30 * 64 / planned.tokens_per_second
    assert not (tmp_path / "runs").exists()


def test_records_are_json_a_line(text_file: Path) -> None:
    run = train(text_file, steps=10)
    for line in run.metrics_file.read_text().splitlines():
        assert math.isfinite(json.loads(line)["val_loss"])
