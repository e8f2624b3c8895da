"""What every worker but the first does: as it is told, until it is over.

The first worker reads the request, prepares, plans and writes, as a process by itself does, and
gives the others their `orders`. See `workers` for who they are.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from textwright.configs import CorpusSettings, ModelConfig, TrainingSettings, model_config
from textwright.data import open_corpus
from textwright.errors import CorpusError
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.training.loop import distributed
from textwright.training.loop.learner import Learner
from textwright.training.loop.plan import Plan
from textwright.training.loop.trainer import Trainer
from textwright.training.planning.prepare import Prepared, tokenized


def follow(sources: Sequence[str]) -> Any:
    """Do as the first worker says.

    Args:
        sources: the text as it was named to this worker; else the first one's.

    Returns:
        What `orders.tell_over` was given.
    """
    text: Prepared | None = None
    while "over" not in (order := distributed.told()):
        if "text" in order:
            text = _open(order["text"], sources)
            continue
        assert text is not None, "the text is told first"
        if "measure" in order:
            _measure(order["measure"], text)
        else:
            _train(order["train"], text)
    return order["over"]


def _told_recipe(told: dict[str, Any]) -> tuple[ModelConfig, TrainingSettings]:
    torch.set_num_threads(told["threads"])
    return model_config(told["model"]), TrainingSettings(**told["settings"])


def _open(told: dict[str, Any], sources: Sequence[str]) -> Prepared:
    split = CorpusSettings(**told["corpus"])
    corpus = open_corpus(
        list(sources) or split.sources,
        validation=split.validation,
        validation_fraction=split.validation_fraction,
        form=split.form,
    )
    if corpus.sha256 != told["sha256"]:
        raise CorpusError(
            f"worker {distributed.rank()} ({platform.node()}) has another text than the first one: "
            "copy the same files to every machine"
        )
    return tokenized(corpus, Tokenizer(told["tokenizer"]), told["loss_on"])


def _measure(told: dict[str, Any], text: Prepared) -> None:
    learner = Learner(*_told_recipe(told), text.train.array(), steps=10_000)
    while (number := distributed.told()) is not None:
        learner.step(number)


def _train(told: dict[str, Any], text: Prepared) -> None:
    config, settings = _told_recipe(told)
    run, plan = Run(Path(told["run"])), Plan.from_record(told["plan"])
    Trainer(run, config, settings, plan, text.data, text.tokenizer).train()
