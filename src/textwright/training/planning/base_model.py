"""The loss of a trained model on a text before any step: whether to begin with its weights.

`english` comes with the package. Training begins with random weights unless `--from` is given; plan
and verdict say at which loss `--from english` would begin, and where a parent is no better than
letter frequencies, as on another script or on DNA.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import cache

import numpy as np

from textwright import runs
from textwright.errors import TextwrightError
from textwright.generation.generator import Generator
from textwright.generation.loading import load
from textwright.runs import Run
from textwright.training.loop.dataset import Dataset

BASE = "english"

LIKE_ENGLISH = 2.6
"""Bits a character up to which a text is taken for English. `english` has 1.6 to 2.1 on novels that
it never saw, 2.4 on Shakespeare's verse, above 3 on source code or German."""
_READ = 1024
"""Tokens of the validation text that are scored, in a third of a second on one core."""


def base_bits(dataset: Dataset) -> float | None:
    """Bits a character of `--from english` before any step; None for a text unlike English, for
    conversations and for tokens other than characters."""
    if dataset.corpus.conversations or dataset.tokenizer.kind != "char":
        return None
    try:
        run = runs.find(BASE)
    except TextwrightError:  # this package was built without it
        return None
    bits = bits_before(run, _beginning(dataset))
    return bits if bits is not None and bits <= LIKE_ENGLISH else None


NO_HELP = 2.0
"""A parent's bits over those of letter frequencies from which on it does harm: on source code (1.2)
training still ends better from `english` than from random weights, on genes (4) worse."""


def unlikeness(run: Run, dataset: Dataset) -> float:
    """A parent's bits a character over the entropy of the text's characters; 0 for conversations.

    From 1 on the parent was trained on nothing like the text.
    """
    if dataset.corpus.conversations:
        return 0.0
    text = _beginning(dataset)
    bits = bits_before(run, text)
    return 0.0 if bits is None else bits / max(1e-9, _entropy(text))


def bits_before(run: Run, text: str) -> float | None:
    """Bits a character of `text` by the weights of `run`; None where there is too little to tell.

    A character that its tokenizer lacks costs as much as one of all that Unicode has.
    """
    model = _loaded(run)
    tokens = model.tokenizer.encode(text)[:_READ]
    if len(tokens) < 2 or model.tokenizer.kind == "word":
        return None
    # By the runtime of generation: one thread, which a busy neighbour doesn't stop
    read = np.concatenate([piece.probabilities for piece in model.score(tokens, top=0)])
    known = -np.log2(np.maximum(read, np.finfo(np.float64).tiny)).sum()
    unknown = sum(model.tokenizer.unknown_characters(text).values())
    return float(known + unknown * math.log2(0x110000)) / len(text)


@cache
def _loaded(run: Run) -> Generator:
    return load(run, companion="off")  # training begins with the network's weights alone


def _beginning(dataset: Dataset) -> str:
    tokens = dataset.validation.array()[:_READ]
    return dataset.tokenizer.decode([int(token) for token in tokens])


def _entropy(text: str) -> float:
    counts = np.array(list(Counter(text).values())) / max(1, len(text))
    return float(-(counts * np.log2(counts)).sum())
