"""A training from text to run folder, interrupted and resumed, in one process."""

from __future__ import annotations

import json
import logging
import math
import shutil
import signal
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

import textwright
from textwright import runs
from textwright.errors import CorpusError, RequestError, RunError, TrainingError
from textwright.evaluation import score
from textwright.runs import Run
from textwright.training import (
    Evaluation,
    Observer,
    Plan,
    Progress,
    Result,
    Sample,
    plan_training,
)
from textwright.training.loop.callbacks import LiveLog
from textwright.training.loop.checkpoints import TrainerState
from textwright.training.planning import going_on
from textwright.training.planning.benchmark import Timing
from textwright.training.planning.request import Budget
from textwright.training.record import load_recipe, open_dataset

TINY: dict[str, list[str]] = {
    "lstm": ["model.hidden_size=24", "model.embedding_size=16", "model.block_size=16"],
    "gpt": ["model.hidden_size=32", "model.num_heads=1", "model.num_layers=2"],
    "transformer": ["model.hidden_size=32", "model.num_heads=1", "model.num_layers=1"],
}
for changes in TINY.values():
    changes += ["training.batch_size=4", "model.block_size=16", "training.sample_tokens=40"]
    changes += ["training.companion=off"]


def train(*corpus: Any, family: str = "lstm", more: list[str] | None = None, **options: Any) -> Run:
    changes = [*TINY[family], *(more or [])]
    options = {"steps": 40, "eval_every": 10, "model": family, "changes": changes, **options}
    return textwright.train(*corpus, **options)


class Recorder(Observer):
    """Keeps what it is told; at `stop_at` it asks the process to stop, as Ctrl-C would."""

    def __init__(self, stop_at: int | None = None) -> None:
        self.evaluations: list[Evaluation] = []
        self.result: Result | None = None
        self.began_at: int | None = None
        self.stop_at = stop_at

    def started(self, run: Run, plan: Plan, step: int) -> None:
        self.began_at = step

    def progressed(self, progress: Progress) -> None:
        assert 0 < progress.step <= progress.steps and progress.seconds_left >= 0

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        self.evaluations.append(evaluation)
        if evaluation.step == self.stop_at:
            signal.raise_signal(signal.SIGINT)

    def finished(self, run: Run, result: Result) -> None:
        self.result = result


class Impatient(Observer):
    """Leaves as soon as a training begins."""

    def started(self, run: Run, plan: Plan, step: int) -> None:
        raise KeyboardInterrupt


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


@pytest.mark.parametrize(
    "family",
    ["lstm", *(pytest.param(one, marks=pytest.mark.slow) for one in ("gpt", "transformer"))],
)
def test_interrupted_and_resumed_is_the_same_to_the_byte(family: str, text_file: Path) -> None:
    # An average, dropout, accumulation, and a checkpoint that isn't at an evaluation
    more = ["training.ema_decay=0.9", "model.dropout=0.2", "training.micro_batch_size=3"]
    whole = train(text_file, family=family, more=more, name="whole", checkpoint_every=7)
    recorder = Recorder(stop_at=20)
    parts = train(
        text_file, family=family, more=more, name="parts", checkpoint_every=7, observers=[recorder]
    )
    assert recorder.result is not None and recorder.result.status == "interrupted"
    assert parts.checkpoints()[0][0] == 20
    assert parts.settings()["result"]["status"] == "interrupted"
    again = Recorder()
    textwright.train(name="parts", resume=True, observers=[again])
    assert again.began_at == 20
    for file in ("model.safetensors", "config.json", "tokenizer.json", "samples.jsonl"):
        assert (parts.path / file).read_bytes() == (whole.path / file).read_bytes(), file
    timeless = ("step", "train_loss", "val_loss", "lr", "best")
    assert [[m[k] for k in timeless] for m in parts.metrics()] == [
        [m[k] for k in timeless] for m in whole.metrics()
    ]


@pytest.mark.slow
def test_threads_are_no_part_of_the_recipe_and_what_was_frozen_before_shards_has_one(
    text_file: Path,
) -> None:
    def parts(name: str, change: tuple[str, str], *more: str) -> bytes:
        settings = ["training.batch_size=32", *more]
        run = train(text_file, more=settings, name=name, observers=[Recorder(stop_at=20)])
        before = run.settings_file.read_text(encoding="utf-8")
        assert change[0] in before
        run.settings_file.write_text(before.replace(*change), encoding="utf-8")
        textwright.train(name=name, resume=True)
        return run.weights_file.read_bytes()

    two = train(text_file, more=["training.batch_size=32"], name="two")
    assert two.settings()["training"]["shards"] == 2
    one = train(text_file, more=["training.batch_size=32", "training.shards=1"], name="one")
    assert one.weights_file.read_bytes() != two.weights_file.read_bytes()
    more_threads = parts("resumed", ("threads = 1\n", "threads = 2\n"))
    assert more_threads == two.weights_file.read_bytes()
    frozen = parts("frozen", ("shards = 1\n", ""), "training.shards=1")
    assert frozen == one.weights_file.read_bytes()


def test_stopped_before_the_first_step_it_looks_once(text_file: Path) -> None:
    train(text_file, observers=[Recorder(stop_at=0)])
    stopped_at = runs.find("prose").checkpoints()[0][0]
    assert stopped_at == 0
    run = textwright.train(name="prose", resume=True)
    assert [sample["step"] for sample in run.samples()] == [0, 10, 20, 30, 40]


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress is reported after each step, however fast or slow the machine."""
    monkeypatch.setattr("textwright.training.loop.trainer._TICK", 0.0)


class StopsAtProgress(Recorder):
    """Asks once, after a step, while the next one is about to be taken: that one is the last."""

    def progressed(self, progress: Progress) -> None:
        if progress.step == self.stop_at:
            signal.raise_signal(signal.SIGINT)


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
def test_stopped_before_its_first_evaluation_it_keeps_what_it_learned(text_file: Path) -> None:
    whole = train(text_file, steps=60, eval_every=50, name="whole")
    recorder = StopsAtProgress(stop_at=29)
    parts = train(text_file, steps=60, eval_every=50, name="parts", observers=[recorder])
    assert recorder.result is not None and recorder.result.steps == 30
    assert [record["step"] for record in parts.metrics()] == [0, 30]
    assert parts.settings()["result"]["best_step"] == 30
    assert score(parts, companion="off").loss == pytest.approx(
        parts.metrics()[-1]["val_loss"], abs=1e-6
    )
    textwright.train(name="parts", resume=True)
    for file in ("model.safetensors", "samples.jsonl"):
        assert (parts.path / file).read_bytes() == (whole.path / file).read_bytes(), file
    timeless = ("step", "train_loss", "val_loss", "lr", "best")
    assert [[m[k] for k in timeless] for m in parts.metrics()] == [
        [m[k] for k in timeless] for m in whole.metrics()
    ]


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
def test_the_evaluation_at_a_stop_does_not_count_when_resumed(tmp_path: Path) -> None:
    """It found the best loss of all, but a training that was never stopped hadn't looked there.

    Validated on a text that runs backwards, the loss falls while the model learns which letters
    there are (12 to 4 equally likely: from 2.5 to 1.4), and rises to 4.4 with their order.
    """
    forwards, backwards = tmp_path / "forwards.txt", tmp_path / "backwards.txt"
    forwards.write_text("efghijkl" + "abcd" * 500)
    backwards.write_text("dcba" * 100)
    more = ["training.schedule=constant", "training.learning_rate=0.02", "training.patience=1"]
    more += ["model.hidden_size=64"]
    options: dict[str, Any] = {"validation": backwards, "steps": 160, "eval_every": 80}
    whole = train(forwards, name="whole", more=more, **options)
    first, last = whole.metrics()
    assert last["val_loss"] > first["val_loss"] + 1
    recorder = StopsAtProgress(stop_at=10)
    parts = train(forwards, name="parts", more=more, observers=[recorder], **options)
    assert recorder.result is not None and recorder.result.status == "interrupted"
    assert recorder.result.best_step == recorder.result.steps == 11
    textwright.train(name="parts", resume=True)
    assert parts.weights_file.read_bytes() == whole.weights_file.read_bytes()
    result = parts.settings()["result"]
    assert (result["best_step"], result["status"]) == (0, "stopped early")
    assert score(parts, companion="off").loss == pytest.approx(result["val_loss"], abs=1e-6)


@pytest.mark.usefixtures("every_step")
def test_a_stop_between_saving_and_the_next_step_is_saved_too(text_file: Path) -> None:
    # Ten thousand steps between checkpoints, so that only the stop can save
    recorder = StopsAtProgress(stop_at=5)
    run = train(text_file, steps=10_000, eval_every=10_000, observers=[recorder])
    assert recorder.result is not None and recorder.result.status == "interrupted"
    assert run.checkpoints()[0][0] == recorder.result.steps == 6


class WritesOnceAtATime(logging.Handler):
    """A log that can't be entered twice, as a file can't; a stop comes while it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: list[int] = []
        self.entered_twice = False
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        here = threading.get_ident()
        self.entered_twice |= here in self.writers
        self.writers.append(here)
        if record.getMessage() == "step 5":
            signal.raise_signal(signal.SIGINT)
        self.lines.append(record.getMessage())
        self.writers.remove(here)


class LogsAtProgress(Recorder):
    def progressed(self, progress: Progress) -> None:
        logging.getLogger("textwright").warning("step %d", progress.step)


@pytest.mark.usefixtures("every_step")
def test_a_stop_while_the_log_is_written_does_not_write_into_it(text_file: Path) -> None:
    handler, recorder = WritesOnceAtATime(), LogsAtProgress()
    logging.getLogger("textwright").addHandler(handler)
    try:
        train(text_file, steps=10_000, eval_every=10_000, observers=[recorder])
    finally:
        logging.getLogger("textwright").removeHandler(handler)
    assert recorder.result is not None and recorder.result.status == "interrupted"
    assert not handler.entered_twice
    assert any("stopping: saving a checkpoint first" in line for line in handler.lines)


@pytest.mark.slow
def test_early_stopping_is_the_same_when_resumed(text_file: Path) -> None:
    more = ["training.patience=3", "training.schedule=constant", "training.learning_rate=0.5"]
    whole = train(text_file, more=more, steps=400, eval_every=5, name="whole")
    result = whole.settings()["result"]
    assert result["status"] == "stopped early"
    stop = result["best_step"] + 5  # in the middle of its patience
    train(text_file, more=more, steps=400, eval_every=5, name="parts", observers=[Recorder(stop)])
    parts = textwright.train(name="parts", resume=True)
    assert parts.settings()["result"]["steps"] == result["steps"]
    assert parts.weights_file.read_bytes() == whole.weights_file.read_bytes()


def test_resume_with_a_text_means_the_latest_run_on_it(text_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text(text_file.read_text().upper())
    run = train(text_file, observers=[Recorder(stop_at=10)])
    train(other, steps=2)
    begun = textwright.train(text_file, resume=True)
    assert begun == run and begun.metrics()[-1]["step"] == 40
    new = tmp_path / "new.txt"
    new.write_text(text_file.read_text().lower())
    assert train(new, steps=2, resume=True).name == "new"


def test_a_text_from_elsewhere_is_found_from_any_folder(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "val.txt").write_text(text_file.read_text()[:3000])
    monkeypatch.chdir(tmp_path)
    run = train("pro*.txt", validation="val.txt", observers=[Recorder(stop_at=10)])
    away = tmp_path / "away"
    away.mkdir()
    monkeypatch.chdir(away)
    assert score(run).tokens == 2999
    resumed = textwright.train(name=run.name, resume=True, runs_folder=run.path.parent)
    assert resumed.metrics()[-1]["step"] == 40


def test_standard_input_cannot_be_read_again(text_file: Path) -> None:
    run = train(text_file, observers=[Recorder(stop_at=10)])
    settings = run.settings()
    settings["corpus"]["sources"] = ["-"]
    run.write_settings(settings)
    for again in (lambda: score(run), lambda: textwright.train(name="prose", resume=True)):
        with pytest.raises(RunError, match="standard input"):
            again()
    assert textwright.train(text_file, name="prose", resume=True).metrics()[-1]["step"] == 40


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


def test_a_run_whose_checkpoints_are_gone_keeps_its_model(text_file: Path) -> None:
    run = train(text_file, observers=[Recorder(stop_at=20)])
    weights = run.weights_file.read_bytes()
    shutil.rmtree(run.checkpoints_folder)
    with pytest.raises(RunError, match="the checkpoints of run 'prose' are gone"):
        textwright.train(name="prose", resume=True)
    assert run.weights_file.read_bytes() == weights


def test_resuming_what_is_done_trains_nothing(text_file: Path) -> None:
    run = train(text_file)
    weights = run.weights_file.stat().st_mtime_ns
    recorder = Recorder()
    assert textwright.train(name="prose", resume=True, observers=[recorder]) == run
    assert recorder.began_at is None
    assert recorder.result is not None and recorder.result.status == "finished"
    assert run.weights_file.stat().st_mtime_ns == weights


def test_a_setting_changed_on_resume_is_refused(text_file: Path) -> None:
    train(text_file, observers=[Recorder(stop_at=10)])
    with pytest.raises(RequestError, match="model.family is 'lstm'"):
        textwright.train(name="prose", resume=True, model="gpt")
    text_file.write_text(text_file.read_text() + "And more.\n" * 50)
    with pytest.raises(RunError, match="has changed since it began"):
        textwright.train(name="prose", resume=True)
    assert train(text_file, steps=3, name="other", resume=True).name == "other"


@pytest.mark.slow
def test_a_file_of_settings_goes_on_with_the_text_that_it_names_from_its_folder(
    text_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(text_file.parent)
    config = tmp_path / "settings.toml"
    config.write_text(f"[corpus]\nsources = ['{text_file.name}']\n", encoding="utf-8")
    options: dict[str, Any] = {"config": config, "name": "named"}
    train(**options, observers=[Recorder(stop_at=10)])
    run = train(**options, resume=True)
    assert run.settings()["result"]["status"] == "finished"
    config.write_text("[corpus]\nsources = ['another.txt']\n", encoding="utf-8")
    with pytest.raises(RequestError, match="corpus.sources"):
        train(**options, resume=True)


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
