"""The training loop: learn a step; now and then look, keep, save; stop when it is time.

Read `Trainer.train`. It can be left at any moment: a kill loses the steps since the last
checkpoint and nothing else, Ctrl-C or SIGTERM save first. Going on gives the same weights as
never having stopped, to the byte, on the same machine with the same number of threads.

Several workers walk the same loop (see `workers`): each learns its share of a step, the first one
looks, writes and saves, and tells the others what came of it.
"""

from __future__ import annotations

import logging
import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

import torch
from safetensors.torch import save as save_tensors
from torch import Tensor

from textwright import atomic
from textwright.configs import ModelConfig, TrainingSettings
from textwright.data import TokenSplits
from textwright.errors import DivergedError, RunError, TextwrightError, TrainingError
from textwright.models import LanguageModel
from textwright.reporting.verdict import verdict
from textwright.runs import Run, resume_command
from textwright.tokenizers import Tokenizer
from textwright.training.loop import checkpoints, distributed
from textwright.training.loop.callbacks import Evaluation, Observer, Progress, Result
from textwright.training.loop.checkpoints import Checkpoint, Numbers
from textwright.training.loop.learner import Learner
from textwright.training.loop.loss import evaluate
from textwright.training.loop.plan import Plan
from textwright.training.loop.samples import write_sample
from textwright.training.optim.lr_schedule import lr_multiplier

log = logging.getLogger("textwright")

_TICK = 0.2
"""Seconds between two reports of progress."""
_STOP_SIGNALS = [signal.SIGINT, signal.SIGTERM]
if sys.platform == "win32":
    _STOP_SIGNALS.append(signal.SIGBREAK)  # the only one that a process there can send another


class Trainer:
    """One training of one run, from its latest checkpoint on."""

    def __init__(
        self,
        run: Run,
        config: ModelConfig,
        settings: TrainingSettings,
        plan: Plan,
        data: TokenSplits,
        tokenizer: Tokenizer,
        observers: Sequence[Observer] = (),
    ) -> None:
        self.run, self.settings, self.plan, self.data = run, settings, plan, data
        self.tokenizer, self.observers = tokenizer, observers
        self.learner = Learner(config, settings, data.train, plan.steps)
        self.numbers = Numbers()
        self._saved_step: int | None = None
        self._losses: list[Tensor] = []  # of steps not yet added up, still on the device
        self._clock = _Clock()

    def train(self) -> str:
        """Train to the end of the plan, or to an early stop, or until asked to stop.

        Returns:
            How it ended, as `Result.status` has it.

        Raises:
            TrainingError: the loss is not finite, or the disk is full; the last checkpoint stays.
            RunError: every checkpoint is damaged.
        """
        restored = self._restore()
        for observer in self.observers:
            observer.started(self.run, self.plan, self.numbers.step)
        with _stop_signals() as asked:
            if not restored:
                self._look()  # what it writes before any step is where the story begins
                self._save()
            stop = distributed.any_of(asked())
            while not self._is_over() and not stop:
                self._losses.append(self.learner.step(self.numbers.step))
                self.numbers.step += 1
                self._clock.count_step()
                last = self.numbers.step == self.plan.steps
                if last or self.numbers.step % self.plan.eval_every == 0:
                    self._look()
                stop = distributed.any_of(asked())
                due = self.numbers.step % self.plan.checkpoint_every == 0
                if due or self._is_over() or stop:
                    self._save()
                self._report_progress()
            over = self._is_over()
            if stop and not over and self._last_planned_look() == 0 < self.numbers.step:
                log.warning("evaluating once, for what is kept; the checkpoint is saved")
                self._look()  # after the checkpoint, which doesn't know of it: resuming is exact
        if not over:
            return "interrupted"
        return "finished" if self.numbers.step >= self.plan.steps else "stopped early"

    def _is_over(self) -> bool:
        return self.numbers.step >= self.plan.steps or self._out_of_patience()

    def _out_of_patience(self) -> bool:
        patience = self.settings.patience
        return 0 < patience <= self.numbers.evaluations_since_best

    def _last_planned_look(self) -> int:
        """The step of it, at the step that training is at."""
        step, every = self.numbers.step, self.plan.eval_every
        return step if step >= self.plan.steps else step - step % every

    def _restore(self) -> bool:
        """Take up the latest checkpoint; whether there was one."""
        found = self._restore_alone() if distributed.is_first() else None
        restored = distributed.told(found is not None)
        if distributed.count() > 1:
            # Of a beginning too: the first worker's weights may be those of a parent
            begun = found.tensors if found is not None else self.learner.tensors()
            self.learner.load(distributed.told_tensors(begun))
            self._adopt_numbers()
        self._saved_step = self.numbers.step if restored else None
        self._clock.start(self.numbers.seconds)
        return bool(restored)

    def _adopt_numbers(self) -> None:
        """Those of the first worker, where there are others."""
        self.numbers = Numbers(**distributed.told(asdict(self.numbers)))

    def _restore_alone(self) -> Checkpoint | None:
        atomic.remove_partials(self.run.path)
        atomic.remove_partials(self.run.checkpoints_folder)
        checkpoint = checkpoints.load_latest(self.run)
        if checkpoint is not None:
            self.learner.load(checkpoint.tensors)
            self.numbers = checkpoint.numbers
        elif any(record["step"] > 0 for record in self.run.metrics()):
            raise RunError(
                f"the checkpoints of run {self.run.name!r} are gone, so it can't go on; its "
                "model.safetensors is untouched: train anew under another name"
            )
        if checkpoint is None:
            self.run.forget_after(-1)
            return None
        looked = self._last_planned_look()
        if looked == 0 and any(record["step"] > 0 for record in self.run.metrics()):
            self._undo_look_at_stop(checkpoint)
        self.run.forget_after(looked)
        return checkpoint

    def _undo_look_at_stop(self, latest: Checkpoint) -> None:
        """Keep the weights before the first step again, as if training had never stopped."""
        first = checkpoints.load_step(self.run, 0)
        if first is not None:
            self.learner.load(first.tensors)
            write_weights(self.run.weights_file, self.learner.judged)
            self.learner.load(latest.tensors)

    def _look(self) -> None:
        """Evaluate, keep the weights where they are the best so far, write a sample."""
        self._add_up()
        if distributed.is_first():
            self._look_alone()
        self._adopt_numbers()

    def _look_alone(self) -> None:
        numbers, plan = self.numbers, self.plan
        tokens_per_second = self._clock.tokens_per_second(plan.tokens_per_step)
        with self._clock.looking():
            model = self.learner.judged
            result = evaluate(model, self.data.validation, limit=plan.eval_tokens)
            check_finite(result.loss, numbers.step)
            best = numbers.best_loss is None or result.loss < numbers.best_loss
            if best:
                try:
                    write_weights(self.run.weights_file, model)
                except TextwrightError as error:
                    raise self._cant_save(error) from error
                numbers.best_step, numbers.best_loss = numbers.step, result.loss
                numbers.evaluations_since_best = 0
            else:
                numbers.evaluations_since_best += 1
            sample = write_sample(model, self.tokenizer, self.settings, numbers.step)
        factor = lr_multiplier(max(0, numbers.step - 1), self.settings, plan.steps)
        characters_a_token = self.data.validation_characters / self.data.validation_counted
        evaluation = Evaluation(
            step=numbers.step,
            epoch=numbers.step / self.learner.batches.steps_per_epoch,
            tokens=numbers.step * plan.tokens_per_step,
            seconds=self._clock.seconds(),
            train_loss=numbers.loss_sum / numbers.loss_count if numbers.loss_count else None,
            val_loss=result.loss,
            val_bits_per_char=result.bits_per(characters_a_token),
            lr=self.settings.learning_rate * factor,
            tokens_per_second=tokens_per_second,
            best=best,
        )
        numbers.loss_sum, numbers.loss_count = 0.0, 0
        self.run.append(self.run.metrics_file, evaluation.record())
        self.run.append(self.run.samples_file, sample.record())
        for observer in self.observers:
            observer.evaluated(evaluation, sample)

    def _save(self) -> None:
        """Write a checkpoint of what all workers hold, where that isn't written already."""
        if self.numbers.step == self._saved_step:
            return
        self._add_up()
        self.numbers.seconds = self._clock.seconds()
        self._saved_step = self.numbers.step
        with self._clock.looking():
            tensors = self.learner.tensors()
            if not distributed.is_first():
                return
            try:
                checkpoints.save(self.run, Checkpoint(self.numbers, tensors))
            except TextwrightError as error:
                raise self._cant_save(error) from error
            keep = self.settings.keep_checkpoints
            checkpoints.remove_old(self.run, keep, self.numbers.best_step)

    def _cant_save(self, error: TextwrightError) -> TrainingError:
        if not self.run.checkpoints():
            return TrainingError(str(error))
        return TrainingError(
            f"{error}; what was saved before is whole: go on with {resume_command(self.run)}"
        )

    def _add_up(self) -> None:
        """Fetch the losses of the last steps from the device; a loss that isn't finite ends it."""
        if self._losses and distributed.is_first():
            first = self.numbers.step - len(self._losses) + 1
            for offset, loss in enumerate(torch.stack(self._losses).tolist()):
                check_finite(loss, first + offset)
                self.numbers.loss_sum += loss
                self.numbers.loss_count += 1
        self._losses.clear()

    def _report_progress(self) -> None:
        if not self._clock.tick():
            return
        self._add_up()
        numbers, plan = self.numbers, self.plan
        done = numbers.step / plan.steps
        seconds = self._clock.seconds()
        progress = Progress(
            step=numbers.step,
            steps=plan.steps,
            train_loss=numbers.loss_sum / max(1, numbers.loss_count),
            tokens_per_second=self._clock.tokens_per_second(plan.tokens_per_step),
            seconds=seconds,
            seconds_left=seconds / done - seconds,
        )
        for observer in self.observers:
            observer.progressed(progress)

    def result(self, status: str) -> Result:
        """Where training stands, as the end of it."""
        numbers = self.numbers
        metrics = self.run.metrics()
        best = next((m for m in metrics if m["step"] == numbers.best_step), {})
        return Result(
            status=status,
            steps=numbers.step,
            seconds=numbers.seconds,
            best_step=numbers.best_step,
            val_loss=numbers.best_loss,
            val_bits_per_char=best.get("val_bits_per_char"),
            verdict=str(
                verdict(
                    metrics,
                    status=status,
                    steps=self.plan.steps,
                    minutes=self.plan.minutes,
                    epochs=self.plan.epochs,
                    continued=self.settings.parent is not None,
                )
            ),
        )


def write_weights(file: Path, model: LanguageModel) -> None:
    """Write what `model.safetensors` holds, whole or not at all."""
    atomic.write_bytes(file, save_tensors(model.weights(), metadata={"format": "pt"}))


class _Clock:
    """Time spent training, over all the times a run was resumed, with and without looking."""

    def __init__(self) -> None:
        self._before = 0.0
        self._begin = self._last_tick = time.monotonic()
        self._looked = 0.0
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
    def looking(self) -> Iterator[None]:
        """Time inside doesn't count as learning."""
        begin = time.monotonic()
        yield
        self._looked += time.monotonic() - begin

    def tokens_per_second(self, tokens_per_step: int) -> float:
        """Learning speed since training began here."""
        learning = time.monotonic() - self._begin - self._looked
        return self._steps * tokens_per_step / learning if learning > 0 else 0.0


@contextmanager
def _stop_signals() -> Iterator[Callable[[], bool]]:
    """Tells whether Ctrl-C or SIGTERM asked to stop; a second one acts as usual, at once.

    A handler runs in the middle of whatever the main thread does, be it writing to the log, which
    can't be entered twice: it only notes the signal. Another thread says so, however long a step
    takes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in _STOP_SIGNALS}
    asked: list[int] = []
    news: SimpleQueue[bool] = SimpleQueue()  # whose `put` may interrupt itself

    def ask(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        signal.signal(number, before[signal.Signals(number)])
        news.put(True)

    def tell() -> None:
        if news.get():
            log.warning("stopping: saving a checkpoint first")

    teller = threading.Thread(target=tell, name="textwright-stop", daemon=True)
    teller.start()
    for number in before:
        signal.signal(number, ask)
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        news.put(False)
        teller.join()


def check_finite(loss: float, step: int) -> None:
    """Raise a `DivergedError` with advice where the loss is not a number any more."""
    if not math.isfinite(loss):
        raise DivergedError(
            f"the loss is not finite at step {step}: training has diverged; halve the learning "
            "rates (--set training.learning_rate=…, --set training.matrix_learning_rate=…) and "
            "train anew; the best weights so far are kept in this run"
        )
