"""The training loop: steps, with evaluations and checkpoints between them, and early stopping.

Read `Trainer.train`. A kill at any moment loses the steps since the last checkpoint and nothing
else; a stop signal (see `stopping`) saves a checkpoint first. A resumed training gives the same
weights as one that never stopped, to the byte, on the same machine with the same number of threads.

Several workers run the same loop (see `distributed`): each learns its slice of every batch; rank 0
evaluates, writes and saves, and broadcasts the trainer state.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from textwright import atomic
from textwright.errors import DivergedError, RunError, TextwrightError, TrainingError
from textwright.models import LanguageModel
from textwright.models.base import load_model
from textwright.reporting.verdict import verdict
from textwright.runs import Run, resume_command
from textwright.training.loop import checkpoints, distributed
from textwright.training.loop.callbacks import (
    Evaluation,
    Observer,
    Progress,
    Result,
    Sample,
)
from textwright.training.loop.checkpoints import Checkpoint, TrainerState
from textwright.training.loop.dataset import Dataset
from textwright.training.loop.evaluation import Loss, evaluate, write_sample
from textwright.training.loop.learner import Learner
from textwright.training.loop.recipe import Recipe
from textwright.training.optim.optimizer import lr_multiplier

log = logging.getLogger("textwright")

_TICK = 0.2
"""Seconds between two reports of progress."""


class Trainer:
    """One training of one run, from its latest checkpoint on."""

    def __init__(
        self,
        run: Run,
        recipe: Recipe,
        dataset: Dataset,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.run, self.dataset, self.observers = run, dataset, observers
        self.settings, self.plan = recipe.training, recipe.plan
        self.learner = Learner(
            recipe.model, recipe.training, dataset.train.array(), recipe.plan.course
        )
        self.trainer_state = TrainerState()
        self._saved_step: int | None = None
        self._losses: list[Tensor] = []  # of steps not yet added up, still on the device
        self.observer_error: Exception | None = None
        self._clock = _Clock()

    def train(self, stop_requested: Callable[[], bool] = lambda: False) -> str:
        """Train to the end of the plan, or to an early stop, or until asked to stop.

        An observer that fails stops it too; `observer_error` is its error.

        Returns:
            How it ended, as `Result.status` has it.

        Raises:
            TrainingError: the loss is not finite, or the disk is full; the last checkpoint stays.
            RunError: every checkpoint is damaged.
        """
        restored = self._restore()

        def stopped() -> bool:
            here = stop_requested() or self.observer_error is not None
            return distributed.all_reduce_any(here)

        self._notify(lambda one: one.started(self.run, self.plan, self.trainer_state.step))
        if not restored:
            self._evaluate()  # the first point of the curve is the untrained model
            self._save()
        stop = stopped()
        while not self._is_done() and not stop:
            self._losses.append(self.learner.step(self.trainer_state.step))
            self.trainer_state.step += 1
            self._clock.count_step()
            last = self.trainer_state.step == self.plan.steps
            if last or self.trainer_state.step % self.plan.eval_every == 0:
                self._evaluate()
            stop = stopped()
            due = self.trainer_state.step % self.plan.checkpoint_every == 0
            if due or self._is_done() or stop:
                self._save()
            self._report_progress()
        done = self._is_done()
        if stop and not done and self._last_planned_evaluation() == 0 < self.trainer_state.step:
            log.warning("evaluating once, for what is kept; the checkpoint is saved")
            self._evaluate()  # after the checkpoint, which leaves it out: resuming is exact
        if not done:
            return "interrupted"
        return "finished" if self.trainer_state.step >= self.plan.steps else "stopped early"

    def _is_done(self) -> bool:
        return self.trainer_state.step >= self.plan.steps or self._early_stop()

    def _early_stop(self) -> bool:
        patience = self.settings.patience
        return 0 < patience <= self.trainer_state.evaluations_since_best

    def _last_planned_evaluation(self) -> int:
        """The step of the latest evaluation that the plan has, up to the current step."""
        step, every = self.trainer_state.step, self.plan.eval_every
        if step >= self.plan.steps:
            return step
        # Where a leg before this one ended there was an evaluation too
        begins = (begin for begin, _ in self.plan.course if begin <= step)
        return max(step - step % every, *begins)

    def _restore(self) -> bool:
        """Restore the latest checkpoint at every worker; returns whether there was one."""
        found = self._restore_on_rank_zero() if distributed.is_rank_zero() else None
        restored = distributed.broadcast(found is not None)
        if distributed.world_size() > 1:
            # At the start of a training too: the weights of rank 0 may be a parent's
            tensors = found.tensors if found is not None else self.learner.tensors()
            self.learner.load(distributed.broadcast_tensors(tensors))
            self._broadcast_state()
        state = self.trainer_state
        if restored and state.step == self.plan.leg_begin > 0:
            state.evaluations_since_best, state.leg_loss = 0, None
        elif state.leg_loss is None:  # a checkpoint of a version without legs
            state.leg_loss = state.best_loss
        self._saved_step = self.trainer_state.step if restored else None
        self._clock.start(self.trainer_state.seconds)
        return bool(restored)

    def _broadcast_state(self) -> None:
        """Replace the trainer state by that of rank 0."""
        self.trainer_state = TrainerState(**distributed.broadcast(asdict(self.trainer_state)))

    def _restore_on_rank_zero(self) -> Checkpoint | None:
        atomic.remove_partials(self.run.path)
        atomic.remove_partials(self.run.checkpoints_folder)
        checkpoint = checkpoints.load_latest(self.run)
        if checkpoint is not None:
            self.learner.load(checkpoint.tensors)
            self.trainer_state = checkpoint.trainer_state
        elif any(record["step"] > 0 for record in self.run.metrics()):
            raise RunError(
                f"the checkpoints of run {self.run.name!r} are gone, so it can't go on; its "
                "model.safetensors is untouched: train anew under another name"
            )
        if checkpoint is None:
            self.run.drop_after(-1)
            return None
        last_evaluation = self._last_planned_evaluation()
        if last_evaluation == 0 and any(record["step"] > 0 for record in self.run.metrics()):
            self._undo_evaluation_at_stop(checkpoint)
        self.run.drop_after(last_evaluation)
        return checkpoint

    def _undo_evaluation_at_stop(self, latest: Checkpoint) -> None:
        """Write the untrained weights to the run again: resuming must be as if it never stopped."""
        first = checkpoints.load_step(self.run, 0)
        if first is not None:
            self.learner.load(first.tensors)
            write_weights(self.run.weights_file, self.learner.evaluated_model)
            self.learner.load(latest.tensors)

    def _evaluate(self) -> None:
        """Evaluate, keep the weights where they are the best so far, write a sample."""
        self._sync_losses()
        if distributed.is_rank_zero():
            self._evaluate_on_rank_zero()
        self._broadcast_state()

    def _evaluate_on_rank_zero(self) -> None:
        state, plan = self.trainer_state, self.plan
        tokens_per_second = self._clock.tokens_per_second(plan.tokens_per_step)
        with self._clock.paused():
            model = self.learner.evaluated_model
            result = evaluate(model, self.dataset.validation.array(), limit=plan.eval_tokens)
            check_finite(result.loss, state.step)
            best = state.best_loss is None or result.loss < state.best_loss
            if best:
                try:
                    write_weights(self.run.weights_file, model)
                except TextwrightError as error:
                    raise self._save_error(error) from error
                state.best_step, state.best_loss = state.step, result.loss
            if state.leg_loss is None or result.loss < state.leg_loss:
                state.leg_loss, state.evaluations_since_best = result.loss, 0
            else:
                state.evaluations_since_best += 1
            sample = write_sample(model, self.dataset.tokenizer, self.settings, state.step)
        factor = lr_multiplier(max(0, state.step - 1), self.settings, plan.course)
        evaluation = Evaluation(
            step=state.step,
            epoch=state.step / self.learner.batches.steps_per_epoch,
            tokens=state.step * plan.tokens_per_step,
            seconds=self._clock.seconds(),
            train_loss=state.loss_sum / state.loss_count if state.loss_count else None,
            val_loss=result.loss,
            val_bits_per_char=self.dataset.validation.bits_per_char(result.loss),
            val_unknown=self.dataset.validation.unknown_share,
            lr=self.settings.learning_rate * factor,
            tokens_per_second=tokens_per_second,
            best=best,
        )
        state.loss_sum, state.loss_count = 0.0, 0
        self.run.append(self.run.metrics_file, evaluation.record())
        self.run.append(self.run.samples_file, sample.record())
        self._notify(lambda one: one.evaluated(evaluation, sample))

    def _save(self) -> None:
        """Write a checkpoint of all workers' state, unless this step has one already."""
        if self.trainer_state.step == self._saved_step:
            return
        self._sync_losses()
        self.trainer_state.seconds = self._clock.seconds()
        self._saved_step = self.trainer_state.step
        with self._clock.paused():
            tensors = self.learner.tensors()
            if not distributed.is_rank_zero():
                return
            try:
                checkpoints.save(self.run, Checkpoint(self.trainer_state, tensors))
            except TextwrightError as error:
                raise self._save_error(error) from error
            keep = self.settings.keep_checkpoints
            checkpoints.remove_old(self.run, keep, self.trainer_state.best_step)

    def _save_error(self, error: TextwrightError) -> TrainingError:
        if not self.run.checkpoints():
            return TrainingError(str(error))
        return TrainingError(
            f"{error}; what was saved before is whole: go on with {resume_command(self.run)}"
        )

    def _sync_losses(self) -> None:
        """Fetch the losses of the last steps from the device; `DivergedError` where one is NaN."""
        if self._losses and distributed.is_rank_zero():
            first = self.trainer_state.step - len(self._losses) + 1
            for offset, loss in enumerate(torch.stack(self._losses).tolist()):
                check_finite(loss, first + offset)
                self.trainer_state.loss_sum += loss
                self.trainer_state.loss_count += 1
        self._losses.clear()

    def _report_progress(self) -> None:
        if not self._clock.tick():
            return
        self._sync_losses()
        state, plan = self.trainer_state, self.plan
        done = state.step / plan.steps
        seconds = self._clock.seconds()
        progress = Progress(
            step=state.step,
            steps=plan.steps,
            train_loss=state.loss_sum / state.loss_count if state.loss_count else None,
            tokens_per_second=self._clock.tokens_per_second(plan.tokens_per_step),
            seconds=seconds,
            seconds_left=seconds / done - seconds,
            write=self._write,
        )
        self._notify(lambda one: one.progressed(progress))

    def _write(self, tokens: int) -> Sample:
        """A sample of the current model."""
        settings = self.settings.model_copy(update={"sample_tokens": tokens})
        with self._clock.paused():
            model = self.learner.evaluated_model
            return write_sample(model, self.dataset.tokenizer, settings, self.trainer_state.step)

    def _notify(self, call: Callable[[Observer], None]) -> None:
        """Call every observer; the first error, e.g. of a closed terminal, stops training in
        order."""
        for observer in self.observers:
            try:
                call(observer)
            except Exception as error:
                self.observer_error = self.observer_error or error

    def result(self, status: str) -> Result:
        """The result of a training that ends now.

        Where evaluations read a part of the validation text, a finished training evaluates the kept
        weights on all of it.
        """
        state, plan = self.trainer_state, self.plan
        metrics = self.run.metrics()
        best = next((m for m in metrics if m["step"] == state.best_step), {})
        loss, bits = state.best_loss, best.get("val_bits_per_char")
        eval_tokens, words = plan.eval_tokens, plan.protocol
        whole = self._evaluate_whole() if status in ("finished", "stopped early") else None
        if whole is not None:
            loss, bits = whole.loss, self.dataset.validation.bits_per_char(whole.loss)
            eval_tokens, words = 0, whole.protocol
        return Result(
            status=status,
            steps=state.step,
            seconds=state.seconds,
            best_step=state.best_step,
            val_loss=loss,
            val_bits_per_char=bits,
            verdict=str(
                verdict(
                    metrics,
                    status=status,
                    steps=plan.steps,
                    minutes=plan.minutes,
                    epochs=plan.epochs,
                    continued=self.settings.parent is not None,
                    whole_loss=None if whole is None else whole.loss,
                )
            ),
            eval_tokens=eval_tokens,
            protocol=words,
        )

    def _evaluate_whole(self) -> Loss | None:
        """The loss of the kept weights on all of the validation text; None where every evaluation
        read all of it, and after Ctrl-C."""
        tokens = self.dataset.validation.array()
        if not 0 < self.plan.eval_tokens < len(tokens) - 1:
            return None
        log.info(
            "measuring the weights that are kept on all %s validation tokens; Ctrl-C leaves it at "
            "the loss on a part", f"{len(tokens):,}",
        )  # fmt: skip
        try:
            return evaluate(load_model(self.run, self.learner.device.type), tokens)
        except KeyboardInterrupt:
            log.warning("the validation loss is that of a part of the text: %s", self.plan.protocol)
            return None


def write_weights(file: Path, model: LanguageModel) -> None:
    """Write what `model.safetensors` holds, whole or not at all."""
    atomic.write_bytes(file, save_tensors(model.weights(), metadata={"format": "pt"}))


class _Clock:
    """Seconds spent training, summed over resumptions, and the learning speed without pauses."""

    def __init__(self) -> None:
        self._before = 0.0
        self._begin = self._last_tick = time.monotonic()
        self._paused = 0.0
        self._steps = 0

    def start(self, seconds_before: float) -> None:
        self._before = seconds_before
        self._begin = self._last_tick = time.monotonic()

    def seconds(self) -> float:
        return self._before + time.monotonic() - self._begin

    def count_step(self) -> None:
        self._steps += 1

    def tick(self) -> bool:
        """Whether it is time to report progress."""
        now = time.monotonic()
        if now - self._last_tick < _TICK:
            return False
        self._last_tick = now
        return True

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time inside out of the learning speed."""
        begin = time.monotonic()
        yield
        self._paused += time.monotonic() - begin

    def tokens_per_second(self, tokens_per_step: int) -> float:
        """Learning speed since training began here."""
        learning = time.monotonic() - self._begin - self._paused
        return self._steps * tokens_per_step / learning if learning > 0 else 0.0


def check_finite(loss: float, step: int) -> None:
    """Raise `DivergedError`, with advice, where the loss is NaN or infinite."""
    if not math.isfinite(loss):
        raise DivergedError(
            f"the loss is not finite at step {step}: training has diverged; halve the learning "
            "rates (--set training.learning_rate=…, --set training.matrix_learning_rate=…) and "
            "train anew; the best weights so far are kept in this run"
        )
