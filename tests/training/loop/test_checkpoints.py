"""Checkpoints: whole or not at all, and a damaged one gives way to the one before."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from textwright import atomic
from textwright.errors import RunError, TextwrightError
from textwright.runs import Run
from textwright.training.loop import checkpoints
from textwright.training.loop.checkpoints import Checkpoint, TrainerState


def _checkpoint(step: int) -> Checkpoint:
    tensors = {"model/w": torch.full((3, 4), float(step)), "state/h.0": torch.ones(2)}
    return Checkpoint(TrainerState(step=step, loss_sum=0.1 + 0.2, best_loss=1 / 3), tensors)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    (tmp_path / "mine").mkdir()
    return Run(tmp_path / "mine")


def test_what_is_saved_comes_back_exactly(run: Run) -> None:
    assert checkpoints.load_latest(run) is None
    checkpoints.save(run, _checkpoint(10))
    checkpoints.save(run, _checkpoint(20))
    loaded = checkpoints.load_latest(run)
    assert loaded is not None
    assert loaded.trainer_state == _checkpoint(20).trainer_state
    assert torch.equal(loaded.tensors["model/w"], torch.full((3, 4), 20.0))
    assert loaded.tensors.keys() == _checkpoint(20).tensors.keys()


@pytest.mark.parametrize("damage", ["cut", "flipped", "numbers", "missing", "mixed"])
def test_a_damaged_one_gives_way_to_the_one_before(
    run: Run, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoints.save(run, _checkpoint(10))
    checkpoints.save(run, _checkpoint(20))
    folder = run.checkpoint_folder(20)
    tensors, numbers = folder / "tensors.safetensors", folder / "checkpoint.json"
    data = tensors.read_bytes()
    if damage == "cut":
        tensors.write_bytes(data[:-5])
    elif damage == "flipped":
        tensors.write_bytes(data[:-5] + bytes([data[-5] ^ 1]) + data[-4:])
    elif damage == "numbers":
        numbers.write_text(numbers.read_text().replace('"step": 20', '"step": 19'))
    elif damage == "missing":
        tensors.unlink()
    else:
        old = run.checkpoint_folder(10) / "tensors.safetensors"
        tensors.write_bytes(old.read_bytes())
    caplog.set_level(logging.WARNING, "textwright")
    loaded = checkpoints.load_latest(run)
    assert loaded is not None and loaded.trainer_state.step == 10
    assert "step-20 of mine is damaged" in caplog.text


def test_when_all_are_damaged_it_says_so(run: Run) -> None:
    checkpoints.save(run, _checkpoint(10))
    (run.checkpoint_folder(10) / "checkpoint.json").write_text("{")
    with pytest.raises(RunError, match="every checkpoint of run 'mine' is damaged"):
        checkpoints.load_latest(run)


def test_the_last_few_and_the_best_stay(run: Run) -> None:
    for step in (10, 20, 30, 40, 50):
        checkpoints.save(run, _checkpoint(step))
    checkpoints.remove_old(run, keep=2, best_step=20)
    assert [step for step, _ in run.checkpoints()] == [50, 40, 20]


def test_a_write_that_fails_leaves_what_was_there(run: Run) -> None:
    checkpoints.save(run, _checkpoint(10))
    before = sorted(p.name for p in run.checkpoints_folder.rglob("*"))

    def fail() -> None:
        with atomic.replacing(run.checkpoint_folder(20)) as folder:
            folder.mkdir()
            (folder / "half").write_bytes(b"x" * 1000)
            raise OSError(28, "No space left on device")

    with pytest.raises(TextwrightError, match="no space left on the disk"):
        fail()
    assert sorted(p.name for p in run.checkpoints_folder.rglob("*")) == before


def test_what_a_kill_left_half_written_is_removed(run: Run) -> None:
    half = run.path / f".model.safetensors.123{atomic.PARTIAL}"
    half.write_bytes(b"half")
    folder = run.path / f".step-20.123{atomic.PARTIAL}"
    folder.mkdir()
    (folder / "tensors.safetensors").write_bytes(b"half")
    keep = run.path / "notes.txt"
    keep.write_text("mine")
    atomic.remove_partials(run.path)
    assert list(run.path.iterdir()) == [keep]
