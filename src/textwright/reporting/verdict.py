"""A verdict on loss curves, in plain words for someone who has never read one.

A pure function of the evaluations and a few facts of the plan. Thresholds are relative to the loss,
so that they suit characters (about 1.5 nats) and words (about 4.5) alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

MIN_EVALUATIONS = 3
"""Evaluations that a verdict needs, without that of the untrained model at step 0."""

LATE_SHARE = 0.25
"""The share of the steps, at the end, over which the late gain is measured."""

GAIN = 0.01
"""A late gain of more than this share of the loss means still improving. Less is what the learning
rate's decay alone brings: no reason to train as long again."""

LEVEL_SPREAD = 0.05
"""A loss that fell by more than this share in the second half of the steps has not levelled off,
whatever its last quarter did: there a schedule's small rates hold it still."""

MIN_STEPS = 100
"""Steps below which a curve is no reason to call anything level."""

RISE = 0.01
"""A validation loss that ends more than this share above its best has turned: evaluations read
the same text each time, so their noise is a few thousandths only."""

DIVERGED = 0.3
"""A *training* loss that ends more than this share above its best has diverged. When a model
overfits, its training loss keeps falling, which tells the two apart."""

Kind = Literal[
    "improving", "overfitting", "levelled off", "diverged", "interrupted", "running", "too few"
]

_ENDED: tuple[Kind, ...] = ("improving", "overfitting", "levelled off", "too few")
"""After these a better beginning is worth a word."""


@dataclass(frozen=True)
class Verdict:
    """What happened, why it is judged so, and what to do; `str` gives what happened."""

    kind: Kind
    text: str
    """One line, e.g. `began to overfit at step 1,500; kept that one`."""
    grounds: str = ""
    """The numbers behind it, a sentence."""
    advice: str = ""
    """What to try next, a sentence; may be empty."""

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class _Curve:
    """The evaluations with a finite validation loss, in order of step."""

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
    whole_loss: float | None = None,
    base_bits: float | None = None,
) -> Verdict:
    """The verdict on the curves of a training.

    Args:
        metrics: the evaluations, as `Run.metrics` gives them; losses in nats a token.
        status: how the training ended: `finished`, `stopped early`, `interrupted`, `running`,
            `diverged`, or None if unknown.
        steps: steps planned.
        minutes: time budget, if one was set.
        epochs: passes over the text planned; fewer than one leave text unread.
        continued: whether it started from a trained model, which may remain the best.
        whole_loss: where evaluations read a part of the validation text, the loss of the weights
            that were kept on all of it.
        base_bits: bits a character at which `--from english` would have begun, if it reads the
            text; what it gives is the best advice there is.
    """
    judged = _verdict(metrics, status, steps, minutes, epochs, continued, whole_loss)
    if base_bits is not None and not continued and judged.kind in _ENDED:
        begin = (
            f"--from english reads this text at {base_bits:.2f} bits a character before any step."
        )
        judged = replace(judged, advice=f"{judged.advice} {begin}".strip())
    if whole_loss is None or not judged.grounds:
        return judged
    part = (
        "These are losses on a part of the validation text; on all of it the model that was kept "
        f"has {whole_loss:.4f}."
    )
    return replace(judged, grounds=f"{judged.grounds} {part}")


def _verdict(
    metrics: Sequence[Mapping[str, Any]],
    status: str | None,
    steps: int | None,
    minutes: float | None,
    epochs: float | None,
    continued: bool,
    whole_loss: float | None,
) -> Verdict:
    curve = _read(metrics)
    if status == "diverged" or _diverged(metrics, curve, continued):
        return _diverged_verdict(curve, continued)
    done = max((int(record["step"]) for record in metrics), default=0)
    if status in ("interrupted", "running"):
        return _unfinished_verdict(status, curve, done, steps)
    count = sum(step > 0 for step in curve.steps)
    if count < MIN_EVALUATIONS:
        return Verdict(
            "too few",
            "too few evaluations to tell",
            f"A curve needs {MIN_EVALUATIONS} evaluations to have a shape; this run has "
            f"{count or 'none'}.",
            "Train for longer, or evaluate more often with --eval-every.",
        )
    stopped = status == "stopped early"
    if _overfitted(curve):
        return _overfitting_verdict(curve, stopped)
    if stopped:
        return _plateau_verdict(curve, True, 0.0, whole_loss)
    return _ending_verdict(curve, done, minutes, epochs, whole_loss)


def _read(metrics: Sequence[Mapping[str, Any]]) -> _Curve:
    losses = {
        int(record["step"]): (float(record["val_loss"]), _finite(record.get("train_loss")))
        for record in metrics
        if _finite(record.get("val_loss")) is not None
    }
    steps = sorted(losses)
    return _Curve(steps, [losses[step][0] for step in steps], [losses[step][1] for step in steps])


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
    never_better = len(curve.steps) > MIN_EVALUATIONS and curve.best == 0 and curve.steps[0] == 0
    if never_better and not continued:
        return True  # no step was better than the untrained model
    training = [loss for loss in curve.training if loss is not None]
    if len(training) < 2 or curve.training[-1] is None:
        return False
    # Both must have turned: with a falling validation loss it isn't divergence
    return training[-1] > min(training) * (1 + DIVERGED) and curve.validation[-1] > min(
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


def _unfinished_verdict(status: str, curve: _Curve, done: int, steps: int | None) -> Verdict:
    progress = f"step {done:,}" + (f" of {steps:,}" if steps else "")
    grounds = ""
    if curve.steps:
        best = curve.best
        grounds = (
            f"The best validation loss so far is {curve.validation[best]:.4f}, "
            f"at step {curve.steps[best]:,}."
        )
    if status == "running":
        return Verdict("running", f"still training: {progress}", grounds)
    return Verdict(
        "interrupted", f"interrupted at {progress}; --resume goes on from there", grounds,
        "What is kept so far generates already." if curve.steps else "",
    )  # fmt: skip


def _overfitted(curve: _Curve) -> bool:
    best = curve.best
    if curve.validation[-1] <= curve.validation[best] * (1 + RISE):
        return False
    at_best, at_end = curve.training[best], curve.training[-1]
    return at_best is None or at_end is None or at_end < at_best


def _overfitting_verdict(curve: _Curve, stopped: bool) -> Verdict:
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


def _ending_verdict(
    curve: _Curve,
    done: int,
    minutes: float | None,
    epochs: float | None,
    whole_loss: float | None,
) -> Verdict:
    """Of a training that came to its end: whether the loss still fell there."""
    gain = _gain_since(curve, 1 - LATE_SHARE)
    if gain > GAIN:
        return Verdict(
            "improving",
            f"still improving when it ended: give it more time, e.g. {_longer(done, minutes)}",
            f"The last quarter of the steps still lowered the validation loss by {gain:.1%}, "
            f"to {curve.validation[-1]:.4f}.",
            _unread_text(epochs),
        )
    if done < MIN_STEPS or _gain_since(curve, 0.5) > LEVEL_SPREAD:
        return Verdict(
            "improving",
            f"{'too short to tell' if done < MIN_STEPS else 'still falling in its second half'}: "
            f"give it more time, e.g. {_longer(done, minutes)}",
            f"After {done:,} steps the validation loss is {curve.validation[-1]:.4f}; the second "
            f"half of them lowered it by {max(0.0, _gain_since(curve, 0.5)):.1%}.",
            _unread_text(epochs),
        )
    return _plateau_verdict(curve, False, gain, whole_loss)


def _gain_since(curve: _Curve, share: float) -> float:
    """The relative decrease of the best validation loss since that share of the steps."""
    last_early = curve.steps[-1] * share
    early = [
        loss for step, loss in zip(curve.steps, curve.validation, strict=True) if step <= last_early
    ]
    before = min(early) if early else curve.validation[0]
    return (before - min(curve.validation)) / before if before > 0 else 0.0


def _plateau_verdict(
    curve: _Curve, stopped: bool, gain: float, whole_loss: float | None
) -> Verdict:
    best = curve.best
    loss, step = curve.validation[best], f"{curve.steps[best]:,}"
    shown = loss if whole_loss is None else whole_loss
    text = f"levelled off at a validation loss of {shown:.4f}"
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
    """As much again, which goes on from what is there."""
    return f"--resume --minutes +{minutes:g}" if minutes else f"--resume --steps {2 * done}"


def _unread_text(epochs: float | None) -> str:
    if epochs is not None and epochs < 1:
        return f"It has read {epochs:.0%} of the text only: there is new text to learn from."
    return ""
