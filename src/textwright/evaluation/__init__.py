"""Evaluation of finished models: loss on any text, memorization, and conversations.

Begin with `scoring`, behind `textwright eval`; `memorization` compares what a model wrote with its
training text by `copied_spans`; `chat_eval` ranks replies beside n-gram models.
Nothing here trains or writes a file. `memorization` and what it
imports do without torch, so that a server can use it; hence names are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.evaluation.chat_eval import ConversationScore
    from textwright.evaluation.copied_spans import CopiedSpan, PassageOverlap, find_copied_spans
    from textwright.evaluation.memorization import Novelty, novelty
    from textwright.evaluation.scoring import CompanionScore, Score, evaluate_run, score
    from textwright.evaluation.substring_search import MIN_SPAN
    from textwright.training.loop.evaluation import Loss, evaluate

_HOMES = {
    "CompanionScore": "textwright.evaluation.scoring",
    "ConversationScore": "textwright.evaluation.chat_eval",
    "CopiedSpan": "textwright.evaluation.copied_spans",
    "Loss": "textwright.training.loop.evaluation",
    "MIN_SPAN": "textwright.evaluation.substring_search",
    "Novelty": "textwright.evaluation.memorization",
    "PassageOverlap": "textwright.evaluation.copied_spans",
    "Score": "textwright.evaluation.scoring",
    "evaluate": "textwright.training.loop.evaluation",
    "evaluate_run": "textwright.evaluation.scoring",
    "find_copied_spans": "textwright.evaluation.copied_spans",
    "novelty": "textwright.evaluation.memorization",
    "score": "textwright.evaluation.scoring",
}

__all__ = [
    "MIN_SPAN",
    "CompanionScore",
    "ConversationScore",
    "CopiedSpan",
    "Loss",
    "Novelty",
    "PassageOverlap",
    "Score",
    "evaluate",
    "evaluate_run",
    "find_copied_spans",
    "novelty",
    "score",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
