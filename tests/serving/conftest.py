"""Small models made by hand, and a server that has them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from servers import Process, Served

from small_models import TEXT, random_weights, small_config, write_run
from textwright.runs import Run
from textwright.tokenizers import train_tokenizer


@pytest.fixture(scope="session")
def make_model() -> Callable[..., Run]:
    """Write a model folder: `make_model(path, "gpt")`."""
    tokenizer = train_tokenizer("char", lambda: [TEXT])

    def make(path: Path, family: str = "gpt", seed: int = 0) -> Run:
        config = small_config(family, tokenizer.vocab_size)
        return write_run(path, config, random_weights(config, seed), tokenizer)

    return make


@pytest.fixture(scope="module")
def served(
    tmp_path_factory: pytest.TempPathFactory, make_model: Callable[..., Run]
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    server = Served([make_model(folder / "my-gpt"), make_model(folder / "lstm", "lstm")])
    yield server
    server.close()


@pytest.fixture
def folder(tmp_path: Path, make_model: Callable[..., Run]) -> Path:
    models = tmp_path / "models"
    make_model(models / "one")
    make_model(models / "two", "lstm")
    return models


@pytest.fixture
def process(folder: Path) -> Iterator[Process]:
    limits = ["--slots", "4", "--queue", "2", "--deadline", "200", "--max-length", "1000000"]
    served = Process("--models", str(folder), *limits)
    yield served
    served.stop()
