"""What a training reports while it runs: a few records, the protocol of observers, and those of
`--log tensorboard`, `--log csv` and `--log live`."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from textwright import atomic
from textwright.configs import nearest
from textwright.errors import MissingPackageError, RequestError, TextwrightError
from textwright.runs import Run
from textwright.training.loop.recipe import Plan

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


@dataclass(frozen=True)
class Progress:
    """The progress of a training between evaluations."""

    step: int
    steps: int
    train_loss: float | None
    """Mean since the last evaluation, nats a token; None where no step came since."""
    tokens_per_second: float
    seconds: float
    seconds_left: float
    write: Callable[[int], Sample] | None = None
    """Generates a sample of so many tokens with the current weights; training waits meanwhile, and
    is not changed."""


@dataclass(frozen=True)
class Evaluation:
    """One line of `metrics.jsonl`."""

    step: int
    epoch: float
    tokens: int
    seconds: float
    train_loss: float | None
    """Mean since the evaluation before, nats a token; None where no step came between."""
    val_loss: float
    val_bits_per_char: float
    """Including what the tokens hide, such as unknown words; comparable between tokenizers."""
    val_unknown: float
    """Share of the validation text that the vocabulary lacks: `<unk>`, and left-out characters."""
    lr: float
    """AdamW's learning rate at this step."""
    tokens_per_second: float
    best: bool

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Sample:
    """One line of `samples.jsonl`: what the model wrote at an evaluation."""

    step: int
    prompt: str
    text: str

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Result:
    """How a training ended."""

    status: str
    """`finished`, `stopped early`, `interrupted` or `diverged`."""
    steps: int
    seconds: float
    best_step: int
    val_loss: float | None
    """Of the weights that are kept."""
    val_bits_per_char: float | None
    verdict: str
    eval_tokens: int = 0
    """Validation tokens that `val_loss` was measured on; 0: all."""
    protocol: str = ""
    """How they were read, in words."""


class Observer:
    """The base of all observers: override the methods that you need."""

    def started(self, run: Run, plan: Plan, step: int) -> None:
        """Training begins, or resumes, at `step`."""

    def progressed(self, progress: Progress) -> None:
        """After a step; at most a few times a second."""

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        """After an evaluation is written."""

    def finished(self, run: Run, result: Result) -> None:
        """After the result is written, also that of an interrupted training."""

    def closed(self) -> None:
        """Called last, always, however training ended."""


class CSVLog(Observer):
    """`metrics.csv`: the lines of `metrics.jsonl` as a table, whole after every evaluation."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        table = io.StringIO(newline="")
        writer = csv.DictWriter(table, list(evaluation.record()), lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.run.metrics())
        atomic.write_text(self.run.metrics_csv_file, table.getvalue())


class LiveLog(Observer):
    """`live.json`, while training runs: the loss by step, and what the model writes just now.

    It is written at most every `EVERY` seconds, a sample at most every `PAUSE`, and so seldom that
    it takes at most one part in `SHARE` of the time. Training doesn't end for a lack of it.
    """

    EVERY = 1.0
    PAUSE = 3.0
    SHARE = 50
    TOKENS = 120
    POINTS = 400
    """Of the loss; where there are more, every second one goes."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._points: list[tuple[int, float]] = []
        self._sample: Sample | None = None
        self._before = (0, 0.0)  # steps since the last evaluation, and the sum of their losses
        self._evaluated = 0
        self._due = self._written = 0.0

    def started(self, run: Run, plan: Plan, step: int) -> None:
        self._evaluated = max((row["step"] for row in run.metrics()), default=0)

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        self._evaluated, self._before = evaluation.step, (0, 0.0)
        self._due = time.monotonic() + self.PAUSE

    def progressed(self, progress: Progress) -> None:
        steps = progress.step - self._evaluated
        count = steps - self._before[0]
        if progress.train_loss is None or count <= 0:
            return
        total = progress.train_loss * steps
        self._points.append((progress.step, round((total - self._before[1]) / count, 4)))
        self._before = (steps, total)
        if len(self._points) > self.POINTS:
            self._points = self._points[::2]
        now = time.monotonic()
        if now < self._written + self.EVERY:
            return
        if progress.write is not None and now >= self._due:
            begun = time.thread_time()  # what it takes from training, however busy the machine
            self._sample = progress.write(self.TOKENS)
            taken = time.thread_time() - begun
            self._due = now + max(self.PAUSE, self.SHARE * taken)
        sample = None if self._sample is None else self._sample.record()
        content = {"step": progress.step, "losses": self._points, "sample": sample}
        with suppress(TextwrightError):
            atomic.write_text(self.run.live_file, json.dumps(content))
        self._written = now

    def closed(self) -> None:
        with suppress(OSError):
            self.run.live_file.unlink(missing_ok=True)


class TensorBoardLog(Observer):
    """Event files in the run's `tensorboard` folder: losses, rates and samples by step."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._writer: SummaryWriter | None = None

    def started(self, run: Run, plan: Plan, step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        # What a killed run wrote past its checkpoint, of step `step`, is hidden.
        purge = step + 1 if step else 0
        self._writer = SummaryWriter(str(run.tensorboard_folder), purge_step=purge)

    def progressed(self, progress: Progress) -> None:
        if progress.train_loss is not None:
            self._scalar("loss/train_running", progress.train_loss, progress.step)

    def evaluated(self, evaluation: Evaluation, sample: Sample) -> None:
        for name, value in evaluation.record().items():
            if name not in ("step", "best") and value is not None:
                tag = f"loss/{name}" if "loss" in name else name
                self._scalar(tag, value, evaluation.step)
        if self._writer is not None:
            # Indented by four, so that TensorBoard's Markdown shows it as it stands.
            text = "".join(f"    {line}\n" for line in sample.text.split("\n"))
            self._writer.add_text("sample", text, sample.step)
            self._writer.flush()

    def closed(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def _scalar(self, tag: str, value: float, step: int) -> None:
        if self._writer is not None:
            self._writer.add_scalar(tag, value, step)


def log_observers(names: Sequence[str], run: Run | None) -> list[Observer]:
    """The observers for `--log`; with no run, only checks that they can be had.

    Raises:
        RequestError: a name is unknown.
        MissingPackageError: tensorboard is not installed.
    """
    kinds = {"tensorboard": TensorBoardLog, "csv": CSVLog, "live": LiveLog}
    for name in names:
        if name not in kinds:
            raise RequestError(f"--log {name}: no such log{nearest(name, list(kinds))}")
    if "tensorboard" in names:
        try:
            import tensorboard  # noqa: F401
        except ImportError:
            raise MissingPackageError(
                "--log tensorboard needs a package; pip install 'textwright[tensorboard]'"
            ) from None
    return [] if run is None else [kinds[name](run) for name in names]
