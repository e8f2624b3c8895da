"""What a run's folder says of its training: how it began, and how it ended."""

from __future__ import annotations

import logging
import platform
import shlex
import sys
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np
import torch

from textwright.data import ConversationPart, Corpus
from textwright.errors import MissingPackageError
from textwright.generation import write_generation_config
from textwright.models.device import choose_device
from textwright.reporting import write_card, write_report
from textwright.runs import Run
from textwright.training.loop.callbacks import Result
from textwright.training.loop.dataset import Dataset
from textwright.training.loop.recipe import Recipe
from textwright.training.planning.parent import Parent
from textwright.version import VERSION

log = logging.getLogger("textwright")


def write_start(
    run: Run, recipe: Recipe, dataset: Dataset, parent: Parent | None, command: str | None
) -> None:
    """All that resuming needs, before the first step."""
    corpus = dataset.corpus
    config, settings = recipe.model, recipe.settings
    device = choose_device(settings.training.device, config.family)
    dataset.tokenizer.save(run)
    write_generation_config(run, settings.sampling, dataset.tokenizer)
    run.write_json(run.config_file, config.to_json())
    run.write_settings(  # last: where it stands, the run can go on
        {
            **settings.model_dump(),
            "model": config.model_dump(),
            "run": {
                "name": run.name,
                "command": command or shlex.join(sys.argv),
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "textwright": VERSION,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
                "platform": platform.platform(),
                "threads": torch.get_num_threads(),
                "device": device.type,
                "precision": settings.training.precision,
            },
            "data": {
                "name": corpus.name,
                "sha256": corpus.sha256,
                "licence": corpus.licence,
                "train_tokens": dataset.train.tokens,
                "validation_tokens": dataset.validation.tokens,
                "train_characters": corpus.train.characters,
                "validation_characters": corpus.validation.characters,
                **_conversations(corpus),
                "vocab_size": dataset.tokenizer.vocab_size,
                "sources": [asdict(source) for source in corpus.sources],
                "warnings": list(corpus.warnings),
            },
            "parent": None if parent is None else parent.record(),
            "plan": recipe.plan.record(),
            "result": {"status": "running"},
        }
    )


def write_result(run: Run, result: Result) -> None:
    """How it ended, the card and the report."""
    run.write_settings({**run.settings(), "result": asdict(result)})
    write_card(run)
    try:
        write_report(run)
    except MissingPackageError as error:  # the model is there; how it came to be can wait
        log.warning("%s", error)


def _conversations(corpus: Corpus) -> dict[str, int]:
    """How many conversations a corpus of them has."""
    parts = {"train": corpus.train, "validation": corpus.validation}
    return {
        f"{name}_conversations": part.count
        for name, part in parts.items()
        if isinstance(part, ConversationPart)
    }
