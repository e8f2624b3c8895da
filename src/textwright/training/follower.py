"""What every rank but 0 does: it follows the messages of rank 0 until there is a result.

Rank 0 reads the request, prepares, plans and writes, as a process by itself does; see
`loop.distributed` for the messages.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from textwright.configs import CorpusSettings, TrainingSettings, model_config
from textwright.data.corpus import open_corpus
from textwright.errors import CorpusError
from textwright.models.device import use_threads
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.training.loop import distributed
from textwright.training.loop.dataset import Dataset, tokenize_corpus
from textwright.training.loop.learner import Learner
from textwright.training.loop.recipe import Recipe
from textwright.training.loop.stopping import stop_signals
from textwright.training.loop.trainer import Trainer


def run_follower(sources: Sequence[str]) -> Any:
    """Take part in what rank 0 does.

    Args:
        sources: the text as it was named to this worker; else that of rank 0.

    Returns:
        What `distributed.broadcast_result` was given.
    """
    dataset: Dataset | None = None
    while "over" not in (message := distributed.broadcast()):
        if "text" in message:
            dataset = _open_dataset(message["text"], sources)
            continue
        assert dataset is not None, "the text is broadcast first"
        if "measure" in message:
            _take_part_in_benchmark(message["measure"], dataset)
        else:
            _train(message["train"], dataset)
    return message["over"]


def _open_dataset(message: dict[str, Any], sources: Sequence[str]) -> Dataset:
    split = CorpusSettings(**message["corpus"])
    corpus = open_corpus(
        list(sources) or split.sources,
        validation=split.validation,
        validation_fraction=split.validation_fraction,
        **split.reading(),
    )
    if corpus.sha256 != message["sha256"]:
        raise CorpusError(
            f"worker {distributed.rank()} ({platform.node()}) has another text than the first one: "
            "copy the same files to every machine"
        )
    return tokenize_corpus(corpus, Tokenizer(message["tokenizer"]), message["loss_on"])


def _take_part_in_benchmark(message: dict[str, Any], dataset: Dataset) -> None:
    torch.set_num_threads(message["threads"])
    settings = TrainingSettings(**message["settings"])
    learner = Learner(
        model_config(message["model"]), settings, dataset.train.array(), [(0, 10_000)]
    )
    while (number := distributed.broadcast()) is not None:
        learner.step(number)


def _train(message: dict[str, Any], dataset: Dataset) -> None:
    recipe = Recipe.from_record(message["recipe"])
    use_threads(recipe.training.threads)
    with stop_signals() as stop_requested:
        Trainer(Run(Path(message["run"])), recipe, dataset).train(stop_requested)
