"""The text of a training as tokens: opened, split, tokenized."""

from __future__ import annotations

import logging

from textwright.data.corpus import Corpus, open_corpus
from textwright.data.tokens import LossOn, prepare_tokens
from textwright.errors import CorpusError, RequestError
from textwright.tokenizers import Tokenizer, extend_tokenizer, train_tokenizer
from textwright.training.loop.dataset import Dataset
from textwright.training.planning.request import Request

log = logging.getLogger("textwright")


def prepare(request: Request) -> Dataset:
    """Open the corpus, train the tokenizer on its training text, and make tokens of all of it.

    With a parent its tokenizer, grown by what the text needs or `tokenizer.vocab_size` asks for,
    takes the place of a new one.
    """
    settings, parent = request.settings(), request.parent
    corpus = open_corpus(
        list(request.sources) or None,
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
    if parent is not None:
        grown = extend_tokenizer(
            parent.tokenizer,
            corpus.train.chunks,
            vocab_size=settings.tokenizer.vocab_size,
            conversations=corpus.conversations,
        )
        dataset = tokenize_corpus(corpus, grown, loss_on)
        if dataset.validation.unk_tokens:
            log.info(
                "the vocabulary is that of %s; --vocab-size, with more than %d, adds the most "
                "frequent words that it lacks",
                parent.name, grown.vocab_size,
            )  # fmt: skip
        return dataset
    tokenizer = train_tokenizer(
        settings.tokenizer.kind,
        corpus.train.chunks,
        vocab_size=settings.tokenizer.vocab_size,
        lowercase=settings.tokenizer.lowercase,
        word_form=corpus.word_form,
        conversations=corpus.conversations,
    )
    return tokenize_corpus(corpus, tokenizer, loss_on)


def tokenize_corpus(corpus: Corpus, tokenizer: Tokenizer, loss_on: LossOn) -> Dataset:
    """The tokens of a corpus; says so where they hide some of the validation text."""
    validation = prepare_tokens(corpus.validation, tokenizer, loss_on=loss_on, hidden=True)
    train = prepare_tokens(corpus.train, tokenizer, loss_on=loss_on)
    for tokens, side in ((train, "training"), (validation, "validation")):
        if not tokens.counted:
            raise CorpusError(f"the {side} conversations have no words of the assistant to learn")
    if validation.unknown:
        count = sum(validation.unknown.values())
        shown = " ".join(list(validation.unknown)[:10])
        log.warning(
            "%d characters of the validation text (%d distinct, e.g. %s) never occur in the "
            "training text and are left out of the loss a token; bits a character count them",
            count, len(validation.unknown), shown,
        )  # fmt: skip
    if validation.unk_tokens:
        log.info(
            "%.1f %% of the validation tokens are <unk>, words that the vocabulary lacks: easy to "
            "predict, so the loss a token is low for it; bits a character count their spelling",
            100 * validation.unknown_share,
        )
    return Dataset(corpus, tokenizer, train, validation)
