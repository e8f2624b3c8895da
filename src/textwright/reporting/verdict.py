"""What a training's curves mean, in plain words for someone who has never read one.

One pure function of the evaluations and a few facts of the plan. The thresholds are shares of a
loss, so that they hold for characters (about 1.5 nats) and for words (about 4.5) alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

FEWEST = 3
"""Evaluations of a trained model below which a curve has no shape; the untrained one's at step 0
doesn't count."""

LAST_STRETCH = 0.25
"""The share of the steps, at the end, that is asked whether the loss was still falling."""

GAIN = 0.01
"""A last stretch that gains more than this share of the loss is still improving. Less is within
what the falling learning rate alone brings: no reason to wait as long again."""

RISE = 0.01
"""A validation loss that ends more than this share above its best has turned: evaluations read
the same text each time, so that they waver by a few thousandths only."""

DIVERGED = 0.3
"""A *training* loss that ends more than this share above its best has diverged. When a model
overfits, its training loss goes on falling: that tells the two apart."""

Kind = Literal[
    "improving", "overfitting", "levelled off", "diverged", "interrupted", "running", "too few"
]


@dataclass(frozen=True)
class Verdict:
    """What happened, on what grounds, and what to do about it; `str` of it is what happened."""

    kind: Kind
    text: str
    """One line, e.g. `began to overfit at step 1,500; kept that one`."""
    grounds: str = ""
    """The numbers it rests on, a sentence."""
    advice: str = ""
    """What to try next, a sentence; empty where there is nothing to advise."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _Curve:
    """The evaluations that can be read, in order of step."""

    steps: list[int]
    validation: list[float]
    training: list[float | None]

    @property
    def best(self) -> int:
        """Index of the lowest validation loss, the first where several are equal."""
        return self.validation.index(min(self.validation))


def verdict(
    metrics: Sequence[Mapping[str, Any]],
    *,
    status: str | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    epochs: float | None = None,
    continued: bool = False,
) -> Verdict:
    """Say what the curves show.

    Args:
        metrics: the evaluations, as `Run.metrics` gives them; losses in nats a token.
        status: how the training ended: `finished`, `stopped early`, `interrupted`, `running`,
            `diverged`, or None where that is not known.
        steps: how many steps were planned.
        minutes: the time that was asked for, where it was.
        epochs: the passes over the text that were planned: whether there was text to spare.
        continued: it began with a trained model, which may well stay the best.
    """
    curve = _read(metrics)
    if status == "diverged" or _diverged(metrics, curve, continued):
        return _diverged_verdict(curve, continued)
    done = max((int(record["step"]) for record in metrics), default=0)
    if status in ("interrupted", "running"):
        return _unfinished(status, curve, done, steps)
    seen = sum(step > 0 for step in curve.steps)
    if seen < FEWEST:
        return Verdict(
            "too few",
            "too few evaluations to tell",
            f"A curve needs {FEWEST} evaluations to have a shape; this run has {seen or 'none'}.",
            "Train for longer, or evaluate more often with --eval-every.",
        )
    stopped = status == "stopped early"
    if _overfitted(curve):
        return _overfitting(curve, stopped)
    gain = _late_gain(curve)
    if gain > GAIN and not stopped:
        return Verdict(
            "improving",
            f"still improving when it ended: give it more time, e.g. {_longer(done, minutes)}",
            f"The last quarter of the steps still lowered the validation loss by {gain:.1%}, "
            f"to {curve.validation[-1]:.4f}.",
            _many_passes(epochs),
        )
    return _levelled_off(curve, stopped, gain)


def _read(metrics: Sequence[Mapping[str, Any]]) -> _Curve:
    readable = {
        int(record["step"]): (float(record["val_loss"]), _finite(record.get("train_loss")))
        for record in metrics
        if _finite(record.get("val_loss")) is not None
    }
    ordered = sorted(readable)
    return _Curve(
        ordered, [readable[step][0] for step in ordered], [readable[step][1] for step in ordered]
    )


def _finite(value: Any) -> float | None:
    if isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    return None


def _diverged(metrics: Sequence[Mapping[str, Any]], curve: _Curve, continued: bool) -> bool:
    if metrics:
        last = metrics[-1]
        losses = [last[name] for name in ("train_loss", "val_loss") if name in last]
        if any(isinstance(loss, float) and not math.isfinite(loss) for loss in losses):
            return True
    never_better = len(curve.steps) > FEWEST and curve.best == 0 and curve.steps[0] == 0
    if never_better and not continued:
        return True  # no step was better than the untrained model
    known = [loss for loss in curve.training if loss is not None]
    if len(known) < 2 or curve.training[-1] is None:
        return False
    # Both must have turned: a validation loss that goes on falling is no divergence.
    return known[-1] > min(known) * (1 + DIVERGED) and curve.validation[-1] > min(
        curve.validation
    ) * (1 + RISE)


def _diverged_verdict(curve: _Curve, continued: bool) -> Verdict:
    advice = (
        "Lower the learning rates (training.learning_rate and training.matrix_learning_rate), "
        "e.g. to half, or lengthen the warm-up (training.warmup)."
    )
    if not curve.steps:
        return Verdict("diverged", "diverged before its first evaluation", "", advice)
    if curve.steps[curve.best] == 0:
        first = "model it began with" if continued else "untrained model"
        return Verdict(
            "diverged",
            f"diverged from the start: no evaluation was better than the {first}",
            f"The validation loss of the {first} was {curve.validation[curve.best]:.4f}.",
            advice,
        )
    step = f"{curve.steps[curve.best]:,}"
    return Verdict(
        "diverged",
        f"diverged after step {step}; kept that one",
        f"After step {step} the loss on the training text itself rose or was no number any more.",
        advice,
    )


def _unfinished(status: str, curve: _Curve, done: int, steps: int | None) -> Verdict:
    place = f"step {done:,}" + (f" of {steps:,}" if steps else "")
    grounds = ""
    if curve.steps:
        best = curve.best
        grounds = (
            f"The best validation loss so far is {curve.validation[best]:.4f}, "
            f"at step {curve.steps[best]:,}."
        )
    if status == "running":
        return Verdict("running", f"still training: {place}", grounds)
    return Verdict(
        "interrupted", f"interrupted at {place}; --resume goes on from there", grounds,
        "What is kept so far generates already." if curve.steps else "",
    )  # fmt: skip


def _overfitted(curve: _Curve) -> bool:
    best = curve.best
    if curve.validation[-1] <= curve.validation[best] * (1 + RISE):
        return False
    at_best, at_end = curve.training[best], curve.training[-1]
    return at_best is None or at_end is None or at_end < at_best


def _overfitting(curve: _Curve, stopped: bool) -> Verdict:
    best = curve.best
    step = f"{curve.steps[best]:,}"
    kept = "stopped early and kept that one" if stopped else "kept that one"
    return Verdict(
        "overfitting",
        f"began to overfit at step {step}; {kept}",
        f"From step {step} on it learned the training text by heart: the validation loss rose "
        f"from {curve.validation[best]:.4f} to {curve.validation[-1]:.4f} "
        "while the training loss went on falling.",
        "More text, a smaller --size or more dropout (e.g. --set model.dropout=0.2) goes lower.",
    )


def _late_gain(curve: _Curve) -> float:
    """The share by which the last stretch lowered the best validation loss there was before it."""
    edge = curve.steps[-1] * (1 - LAST_STRETCH)
    before = [
        loss for step, loss in zip(curve.steps, curve.validation, strict=True) if step <= edge
    ]
    earlier = min(before) if before else curve.validation[0]
    return (earlier - min(curve.validation)) / earlier if earlier > 0 else 0.0


def _levelled_off(curve: _Curve, stopped: bool, gain: float) -> Verdict:
    best = curve.best
    loss, step = curve.validation[best], f"{curve.steps[best]:,}"
    text = f"levelled off at a validation loss of {loss:.4f}"
    if stopped:
        text += f"; stopped early and kept step {step}"
        grounds = f"No evaluation after step {step} was better."
    else:
        grounds = (
            "The last quarter of the steps lowered the validation loss by "
            f"{max(gain, 0.0):.1%} only: more time alone won't change much."
        )
    at_best = curve.training[best]
    gap = at_best is not None and at_best < loss * 0.9
    advice = (
        "The training loss is well below it, so more text or more dropout helps most."
        if gap
        else "The training loss is close to it, so a larger --size is the next thing to try."
    )
    return Verdict("levelled off", text, grounds, advice)


def _longer(done: int, minutes: float | None) -> str:
    return f"--minutes {2 * minutes:g}" if minutes else f"--steps {2 * done}"


def _many_passes(epochs: float | None) -> str:
    if epochs is not None and epochs < 1:
        return f"It has read {epochs:.0%} of the text only: there is new text to learn from."
    return ""
