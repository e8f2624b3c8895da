"""What the first worker tells the others, four things in all; see `following` for what they do.

In a process by itself nobody listens, and nothing is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from textwright.configs import CorpusSettings, ModelConfig, TrainingSettings
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.training import workers


def tell_text(corpus: CorpusSettings, sha256: str, tokenizer: Tokenizer, loss_on: str) -> None:
    """Have the others open the text that the first worker has prepared.

    Args:
        corpus: where it comes from (a worker that was given sources itself takes its own), and
            how it is split.
        sha256: what the text must be.
        tokenizer: that of the first worker.
        loss_on: as in `TrainingSettings`.
    """
    text = {
        "corpus": corpus.model_dump(),
        "sha256": sha256,
        "tokenizer": tokenizer.file,
        "loss_on": loss_on,
    }
    workers.told({"text": text})


def tell_training(
    run: Run, config: ModelConfig, settings: TrainingSettings, plan: Mapping[str, Any]
) -> None:
    """Have the others train with the first worker; `plan` is `Plan.record`'s."""
    recipe = _recipe(config, settings)
    workers.told({"train": {"run": str(run.path), **recipe, "plan": dict(plan)}})


def tell_measuring(config: ModelConfig, settings: TrainingSettings) -> None:
    """Have the others take part in measuring; each step is told before it is taken."""
    workers.told({"measure": _recipe(config, settings)})


def tell_over(outcome: Any) -> None:
    """Let the others go, with what came of it; anything JSON holds."""
    workers.told({"over": outcome})


def _recipe(config: ModelConfig, settings: TrainingSettings) -> dict[str, Any]:
    return {
        "model": config.to_json(),
        "settings": settings.model_dump(),
        "threads": torch.get_num_threads(),
    }
