"""The text of a training as tokens, with where it came from."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from textwright.configs import Settings
from textwright.data.corpus import Corpus, open_corpus
from textwright.data.tokens import LossOn, TokenFile, prepare_tokens
from textwright.errors import CorpusError, RequestError, counted
from textwright.reporting import numbers
from textwright.tokenizers import Tokenizer, extend_tokenizer, train_tokenizer

log = logging.getLogger("textwright")


@dataclass(frozen=True)
class Dataset:
    """A corpus, its tokenizer, and its tokens: a file for training, another for validation."""

    corpus: Corpus
    tokenizer: Tokenizer
    train: TokenFile
    validation: TokenFile


def prepare(sources: Sequence[str], settings: Settings, parent: Tokenizer | None = None) -> Dataset:
    """Open the corpus, train the tokenizer on its training text, and make tokens of all of it.

    The tokenizer of a parent, grown by what the text needs or `tokenizer.vocab_size` asks for,
    takes the place of a new one.
    """
    corpus = open_corpus(
        list(sources) or None,
        validation=settings.corpus.validation,
        validation_fraction=settings.corpus.validation_fraction,
        **settings.corpus.reading(),
    )
    loss_on = settings.training.loss_on
    if loss_on != "both" and not corpus.conversations:
        raise RequestError(
            f"--loss-on {loss_on}: {corpus.name} is running text, in which nobody takes turns; "
            "leave it out"
        )
    if parent is None:
        tokenizer = train_tokenizer(
            settings.tokenizer.kind,
            corpus.train.chunks,
            vocab_size=settings.tokenizer.vocab_size,
            lowercase=settings.tokenizer.lowercase,
            word_form=corpus.word_form,
            conversations=corpus.conversations,
        )
        return tokenize_corpus(corpus, tokenizer, loss_on)
    grown = extend_tokenizer(
        parent,
        corpus.train.chunks,
        vocab_size=settings.tokenizer.vocab_size,
        conversations=corpus.conversations,
    )
    return tokenize_corpus(corpus, grown, loss_on)


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
