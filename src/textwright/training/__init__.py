"""Learning, in torch: `train` a run, `plan_training` to see what it would do, `evaluate` a model.

The names are imported when first used, so that the parts without torch (`presets`, `request`)
answer at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.training.comparing import Novelty, novelty
    from textwright.training.conversing import ConversationScore
    from textwright.training.evaluation import Loss, evaluate
    from textwright.training.events import Evaluation, Observer, Progress, Result, Sample
    from textwright.training.plan import Plan
    from textwright.training.scoring import Score, evaluate_run, score
    from textwright.training.session import plan_training, train

_HOMES = {
    "ConversationScore": "conversing",
    "Evaluation": "events",
    "Loss": "evaluation",
    "Novelty": "comparing",
    "Observer": "events",
    "Plan": "plan",
    "Progress": "events",
    "Result": "events",
    "Sample": "events",
    "Score": "scoring",
    "evaluate": "evaluation",
    "evaluate_run": "scoring",
    "novelty": "comparing",
    "plan_training": "session",
    "score": "scoring",
    "train": "session",
}

__all__ = [
    "ConversationScore",
    "Evaluation",
    "Loss",
    "Novelty",
    "Observer",
    "Plan",
    "Progress",
    "Result",
    "Sample",
    "Score",
    "evaluate",
    "evaluate_run",
    "novelty",
    "plan_training",
    "score",
    "train",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
