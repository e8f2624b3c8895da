"""The text of a training as tokens, with where it came from."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from textwright.data.corpus import Corpus
from textwright.data.tokens import LossOn, TokenFile, prepare_tokens
from textwright.errors import CorpusError, counted
from textwright.reporting import numbers
from textwright.tokenizers import Tokenizer

log = logging.getLogger("textwright")


@dataclass(frozen=True)
class Dataset:
    """A corpus, its tokenizer, and its tokens: a file for training, another for validation."""

    corpus: Corpus
    tokenizer: Tokenizer
    train: TokenFile
    validation: TokenFile


def tokenize_corpus(corpus: Corpus, tokenizer: Tokenizer, loss_on: LossOn) -> Dataset:
    """The tokens of a corpus; says so where they hide some of the validation text."""
    validation = prepare_tokens(corpus.validation, tokenizer, loss_on=loss_on, hidden=True)
    train = prepare_tokens(corpus.train, tokenizer, loss_on=loss_on)
    for tokens, side in ((train, "training"), (validation, "validation")):
        if not tokens.counted:
            raise CorpusError(
                f"the {side} conversations have no words of the assistant to learn; leave "
                "--loss-on out"
            )
    if validation.unknown:
        count = sum(validation.unknown.values())
        first = list(validation.unknown)[:10]
        log.warning(
            "the training text lacks %s of the validation text (%d distinct, e.g. %s): the loss a "
            "token leaves them out, bits a character count them",
            counted(count, "character"),
            len(validation.unknown),
            " ".join(one if one.isprintable() and one != " " else ascii(one) for one in first),
        )
    if validation.unk_tokens:
        log.info(
            "%s of the validation tokens are <unk>, words that the vocabulary lacks: easy to "
            "predict, so the loss a token is low for it; bits a character count their spelling",
            numbers.share(validation.unknown_share),
        )
    return Dataset(corpus, tokenizer, train, validation)
