"""Models for the tests."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from small_models import TEXT, random_weights, small_config, write_run
from textwright.configs import RecurrentConfig
from textwright.generation import Generator, load
from textwright.runs import Run
from textwright.tokenizers import Tokenizer, train_tokenizer


@pytest.fixture(scope="session")
def tokenizers() -> dict[str, Tokenizer]:
    return {kind: train_tokenizer(kind, lambda: [TEXT]) for kind in ("char", "word", "bpe")}


@pytest.fixture(scope="session")
def make_run(
    tmp_path_factory: pytest.TempPathFactory, tokenizers: dict[str, Tokenizer]
) -> Callable[..., Run]:
    """A fresh run folder of random weights: `make_run("gpt", "char")`."""

    def make(family: str, kind: str = "char", name: str = "model", **fields: object) -> Run:
        tokenizer = tokenizers[kind]
        config = small_config(family, tokenizer.vocab_size, **fields)
        folder = tmp_path_factory.mktemp("runs") / name
        return write_run(folder, config, random_weights(config), tokenizer)

    return make


@pytest.fixture(scope="session")
def make_chain(
    tmp_path_factory: pytest.TempPathFactory, tokenizers: dict[str, Tokenizer]
) -> Callable[..., Run]:
    """A run whose model is known by heart: `make_chain(text)` goes round in `text`.

    Each token is followed by the one after it in `text`, so every token may be there only once.
    """

    def make(text: str | list[int], kind: str = "char", name: str = "chain") -> Run:
        tokenizer = tokenizers[kind]
        ids = tokenizer.encode(text) if isinstance(text, str) else text
        assert len(set(ids)) == len(ids), "a token is there twice"
        assert isinstance(text, list) or tokenizer.decode(ids) == text, "not in the vocabulary"
        size = tokenizer.vocab_size
        config = RecurrentConfig(
            family="rnn", vocab_size=size, block_size=8, num_layers=1, hidden_size=size,
            embedding_size=size,
        )  # fmt: skip
        identity = np.eye(size, dtype=np.float32)
        following = np.zeros((size, size), np.float32)
        for now, then in pairwise([*ids, ids[0]]):
            following[then, now] = 100
        zeros = np.zeros(size, np.float32)
        weights = {
            "embedding.weight": identity,
            "layers.0.weight_ih": 9 * identity,
            "layers.0.weight_hh": 0 * identity,
            "layers.0.bias_ih": zeros,
            "layers.0.bias_hh": zeros.copy(),
            "output.weight": following,
            "output.bias": zeros.copy(),
        }
        return write_run(tmp_path_factory.mktemp("runs") / name, config, weights, tokenizer)

    return make


@pytest.fixture(scope="session")
def chain(make_chain: Callable[..., Run]) -> Generator:
    """Goes round in `bestofwihdr,` with characters."""
    return load(make_chain("bestofwihdr,"))


@pytest.fixture(scope="session")
def gpt(make_run: Callable[..., Run]) -> Generator:
    return load(make_run("gpt"))
