"""What a finished model is worth: how well it predicts, how new what it writes is, how it talks.

Names are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.evaluation.chat_eval import ConversationScore
    from textwright.evaluation.copied_spans import Copies, Stretch, copied
    from textwright.evaluation.memorization import Novelty, novelty
    from textwright.evaluation.scoring import Score, evaluate_run, score
    from textwright.evaluation.substring_search import LEAST
    from textwright.training.loop.loss import Loss, evaluate

_HOMES = {
    "ConversationScore": "textwright.evaluation.chat_eval",
    "Copies": "textwright.evaluation.copied_spans",
    "LEAST": "textwright.evaluation.substring_search",
    "Loss": "textwright.training.loop.loss",
    "Novelty": "textwright.evaluation.memorization",
    "Score": "textwright.evaluation.scoring",
    "Stretch": "textwright.evaluation.copied_spans",
    "copied": "textwright.evaluation.copied_spans",
    "evaluate": "textwright.training.loop.loss",
    "evaluate_run": "textwright.evaluation.scoring",
    "novelty": "textwright.evaluation.memorization",
    "score": "textwright.evaluation.scoring",
}

__all__ = [
    "LEAST",
    "ConversationScore",
    "Copies",
    "Loss",
    "Novelty",
    "Score",
    "Stretch",
    "copied",
    "evaluate",
    "evaluate_run",
    "novelty",
    "score",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
