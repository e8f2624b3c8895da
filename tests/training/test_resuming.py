"""A training that was stopped, and goes on: the same bytes as one that never was."""

from __future__ import annotations

import logging
import shutil
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from tiny_trainings import Recorder, train

import textwright
from textwright import runs
from textwright.errors import RequestError, RunError
from textwright.evaluation import score
from textwright.training import (
    Progress,
)


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
