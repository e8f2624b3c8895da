"""The text of a training as tokens, with where it came from."""

from __future__ import annotations

from dataclasses import dataclass

from textwright.data.corpus import Corpus
from textwright.data.tokens import TokenFile
from textwright.tokenizers import Tokenizer


@dataclass(frozen=True)
class Dataset:
    """A corpus, its tokenizer, and its tokens: a file for training, another for validation."""

    corpus: Corpus
    tokenizer: Tokenizer
    train: TokenFile
    validation: TokenFile
