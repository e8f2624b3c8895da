"""Learning, in torch: `train` a run, `plan_training` to see what it would do, `sweep` to try many.

`planning` decides what will be trained, `loop` learns it, `optim` is the update of one step.
Names are imported when first used, so that the parts without torch answer at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.training.loop.callbacks import Evaluation, Observer, Progress, Result, Sample
    from textwright.training.loop.recipe import Plan
    from textwright.training.pipeline import plan_training, train
    from textwright.training.sweeping import sweep

_HOMES = {
    "Evaluation": "textwright.training.loop.callbacks",
    "Observer": "textwright.training.loop.callbacks",
    "Plan": "textwright.training.loop.recipe",
    "Progress": "textwright.training.loop.callbacks",
    "Result": "textwright.training.loop.callbacks",
    "Sample": "textwright.training.loop.callbacks",
    "plan_training": "textwright.training.pipeline",
    "sweep": "textwright.training.sweeping",
    "train": "textwright.training.pipeline",
}

__all__ = [
    "Evaluation",
    "Observer",
    "Plan",
    "Progress",
    "Result",
    "Sample",
    "plan_training",
    "sweep",
    "train",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
