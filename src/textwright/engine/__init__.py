"""Many texts at once with many models, without torch: continuous batching for a server.

`Engine` runs jobs on worker threads, `ModelPool` has models loaded within a memory budget. Begin
with `engine.py`; `scheduler.py` decides which jobs run next, `step.py` runs them, `job.py` is one
text, `scoring.py` how likely one is. Nothing here knows HTTP; how a text is sampled and where it
ends is `generation`'s matter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textwright.engine.engine import Engine
    from textwright.engine.job import Job, Work
    from textwright.engine.model_pool import ModelPool, ModelStatus
    from textwright.engine.scoring import Scoring

_HOMES = {
    "Engine": "textwright.engine.engine",
    "Job": "textwright.engine.job",
    "ModelPool": "textwright.engine.model_pool",
    "ModelStatus": "textwright.engine.model_pool",
    "Scoring": "textwright.engine.scoring",
    "Work": "textwright.engine.job",
}

__all__ = [
    "Engine",
    "Job",
    "ModelPool",
    "ModelStatus",
    "Scoring",
    "Work",
]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
