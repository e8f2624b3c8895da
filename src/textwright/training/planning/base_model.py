"""What a trained model makes of a text before any step: whether to begin with it.

`english` comes with the package. Offered, not imposed: a training begins knowing nothing unless
`--from` says otherwise, and the plan and the verdict say where `--from english` would begin. Where
a parent is no better than counting letters, as on another script or on DNA, they say that too.
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
"""Bits a character up to which a text is taken for English. `english` reads novels that it never
saw at 1.6 to 2.1, Shakespeare's verse at 2.4, source code, or German, above 3."""
_READ = 1024
"""Tokens of the validation text that are looked at: a third of a second on one core."""


def base_bits(dataset: Dataset) -> float | None:
    """Bits a character at which `--from english` would begin; None for what isn't like English.

    Conversations have a model of their own, and words a vocabulary that `english` lacks.
    """
    if dataset.corpus.conversations or dataset.tokenizer.kind != "char":
        return None
    try:
        run = runs.find(BASE)
    except TextwrightError:  # this package was built without it
        return None
    bits = bits_before(run, _beginning(dataset))
    return bits if bits is not None and bits <= LIKE_ENGLISH else None


NO_HELP = 2.0
"""How many times the bits of counting letters a parent may need before it is in the way: source
code (1.2 times) still ends better from `english` than from nothing, letters of genes (4) worse."""


def unlikeness(run: Run, dataset: Dataset) -> float:
    """A parent's bits a character over those of the frequencies of the text's own characters.

    From 1 on it has read nothing like the text. Of conversations 0.
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
    return load(run, companion="off")  # its weights alone are what is gone on from


def _beginning(dataset: Dataset) -> str:
    tokens = dataset.validation.array()[:_READ]
    return dataset.tokenizer.decode([int(token) for token in tokens])


def _entropy(text: str) -> float:
    counts = np.array(list(Counter(text).values())) / max(1, len(text))
    return float(-(counts * np.log2(counts)).sum())
