"""Checkpoints: everything that is needed to go on exactly, written whole or not at all.

Batch, dropout and learning rate are functions of the step, so what is left is little: weights,
optimiser, average, carried state, and a handful of numbers. Tensors are stored as safetensors,
numbers as JSON; both are checked by their sha256 when read, and a damaged checkpoint gives way
to the one before it. Nothing is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import logging
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from textwright import atomic
from textwright.errors import RunError
from textwright.runs import Run

log = logging.getLogger("textwright")

_TENSORS = "tensors.safetensors"
_NUMBERS = "checkpoint.json"


@dataclass
class TrainerState:
    """What a checkpoint holds beside tensors; not the state that a model carries."""

    step: int = 0
    """Optimiser steps done."""
    seconds: float = 0.0
    """Time spent so far, over all the times it was resumed."""
    best_step: int = 0
    best_loss: float | None = None
    """Of the best evaluation so far, nats a token."""
    evaluations_since_best: int = 0
    """Of this leg: one that goes on beyond its plan raises the rates, and begins with a loss above
    the best so far."""
    leg_loss: float | None = None
    """The best of this leg."""
    loss_sum: float = 0.0
    """Of the training losses since the last evaluation."""
    loss_count: int = 0


@dataclass(frozen=True)
class Checkpoint:
    """The state of a training after some step; `tensors` are named `part/name`."""

    trainer_state: TrainerState
    tensors: dict[str, Tensor]


_DAMAGE = (OSError, ValueError, KeyError, TypeError, SafetensorError)
"""What reading a checkpoint that isn't whole may raise."""


def save(run: Run, checkpoint: Checkpoint) -> None:
    """Write a checkpoint into the run folder; a kill at any moment leaves no half of one."""
    data = save_tensors({name: tensor.contiguous() for name, tensor in checkpoint.tensors.items()})
    numbers = asdict(checkpoint.trainer_state)
    record = {"sha256": _digest(data, numbers), **numbers}
    with atomic.replacing(run.checkpoint_folder(checkpoint.trainer_state.step)) as folder:
        folder.mkdir()
        (folder / _TENSORS).write_bytes(data)
        (folder / _NUMBERS).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def load_latest(run: Run) -> Checkpoint | None:
    """The latest whole checkpoint of `run`; None where it has none yet.

    Raises:
        RunError: there are some, and all of them are damaged.
    """
    found = run.checkpoints()
    for step, folder in found:
        try:
            return _read(folder)
        except _DAMAGE as error:
            log.warning("checkpoint step-%d of %s is damaged (%s); trying the one before it",
                        step, run.name, error)  # fmt: skip
    if found:
        raise RunError(
            f"every checkpoint of run {run.name!r} is damaged; its model.safetensors is untouched: "
            "train anew under another name"
        )
    return None


def load_step(run: Run, step: int) -> Checkpoint | None:
    """The checkpoint of one step; None where it is gone or damaged."""
    try:
        return _read(run.checkpoint_folder(step))
    except _DAMAGE:
        return None


def remove_old(run: Run, keep: int, best_step: int) -> None:
    """Delete checkpoints but the last `keep` and the one of the best evaluation."""
    for step, folder in run.checkpoints()[keep:]:
        if step != best_step:
            with suppress(OSError):  # open in another program, on Windows; next time
                atomic.remove_folder(folder)


def _read(folder: Path) -> Checkpoint:
    record = json.loads((folder / _NUMBERS).read_text(encoding="utf-8"))
    expected = record.pop("sha256")
    data = (folder / _TENSORS).read_bytes()
    if _digest(data, record) != expected:
        raise ValueError("its sha256 differs")
    return Checkpoint(TrainerState(**record), load_tensors(data))


def _digest(tensors: bytes, numbers: dict[str, Any]) -> str:
    """One sha256 over both, so that neither can change or be mixed up unnoticed."""
    digest = hashlib.sha256(tensors)
    digest.update(json.dumps(numbers, sort_keys=True).encode())
    return digest.hexdigest()
