"""The loss of a run on a text, in every unit in use: what `textwright eval` prints."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from textwright.companion.mixing import Companion
from textwright.configs import check_companion
from textwright.data.corpus import open_text
from textwright.data.prepared_conversations import ConversationPart
from textwright.data.text import TextPart
from textwright.data.tokens import prepare_tokens
from textwright.data.training_corpus import open_training_corpus
from textwright.errors import CorpusError, DownloadError, RequestError, RunError
from textwright.evaluation.chat_eval import ConversationScore, evaluate_chat
from textwright.evaluation.runtime_model import as_torch_model
from textwright.generation.loading import load
from textwright.models import LanguageModel
from textwright.models.base import load_model
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.training.loop.evaluation import CompanionModel, evaluate

log = logging.getLogger("textwright")

_IN_TORCH = ("auto", "float32")
"""Precisions that torch computes in, stored weights widened; others are those of the runtimes."""


@dataclass(frozen=True)
class CompanionScore:
    """What the network says to a text alone, without what was counted beside it."""

    network_loss: float
    """Nats a token."""
    network_bits_per_char: float
    unfitted: tuple[float, float] | None
    """Bits a character without and with it, as training measured them on the second half of its
    validation text: the weights were fitted on the first half. None on other texts, on which
    nothing was fitted."""


@dataclass(frozen=True)
class Score:
    """The loss of a model on a text, by every measure in use."""

    model_name: str
    loss: float
    """Nats a token."""
    bits_per_char: float
    """With those that tell what the tokens hide, so that any two tokenizers compare."""
    bits_per_byte: float
    """As `bits_per_char`."""
    hidden_bits_per_char: float
    """The part of `bits_per_char` that tells unknown words, left-out characters, and capitals."""
    perplexity: float
    """A token."""
    tokens: int
    """Predictions: every token of the text but the first."""
    characters: int
    """Of the text."""
    bytes: int
    unk_tokens: int
    """Words that are not in the vocabulary."""
    unknown_characters: int
    """Characters that are not in the vocabulary; left out."""
    unknown: float
    """Share of both."""
    protocol: str
    companion: CompanionScore | None = None
    """What the run's companion is worth on this text; None without one."""

    def record(self) -> dict[str, Any]:
        """As `eval --json` prints it."""
        return asdict(self)


def score(
    run: Run,
    sources: Sequence[str] = (),
    *,
    window: int | None = None,
    stride: int | None = None,
    device: str = "auto",
    precision: str = "float32",
    encoding: str | None = None,
    field: str | None = None,
    companion: str = "auto",
) -> Score:
    """Evaluate `run` on the text of `sources`, or on its own validation text where none is named.

    Args:
        run: any with weights.
        sources: a corpus, as `train` takes it.
        window, stride: those of `textwright.training.loop.evaluation.evaluate`.
        device: where torch computes.
        precision: `float16` and `int8` evaluate the compiled runtime in that precision instead.
        encoding, field: of `sources`, as `open_text` takes them.
        companion: `off` evaluates the network alone, also where the run has one.

    Raises:
        RunError: the run is damaged, or its own text can't be opened or has changed.
        CorpusError: the text can't be read.
        RequestError: `window` or `stride` is out of range, or int8 can't be had here.
    """
    tokenizer = Tokenizer.load(run)
    model = _model(run, tokenizer, device, precision, companion)
    part = _part(run, sources, encoding, field)
    return _score(run, model, tokenizer, part, window, stride, own=not sources)


def _part(run: Run, sources: Sequence[str], encoding: str | None, field: str | None) -> TextPart:
    if sources:
        assistant = run.settings().get("corpus", {}).get("assistant")
        return open_text(list(sources), encoding=encoding, field=field, assistant=assistant)
    if encoding or field:
        raise RequestError("--encoding and --field are of a text that is named; name a file")
    return open_training_corpus(run).validation


def evaluate_run(
    run: Run,
    sources: Sequence[str] = (),
    *,
    window: int | None = None,
    stride: int | None = None,
    device: str = "auto",
    precision: str = "float32",
    encoding: str | None = None,
    field: str | None = None,
    companion: str = "auto",
) -> Score | ConversationScore:
    """As `score`; or, for a chat model on conversations, a `ConversationScore`, with n-gram models
    of the run's training text as baselines where that text can still be opened.
    With `window`, `stride`, float16 or int8 the loss alone is computed.

    Raises:
        RequestError: a model of running text is to be evaluated on conversations.
        RunError, CorpusError: as `score`.
    """
    tokenizer = Tokenizer.load(run)
    model = _model(run, tokenizer, device, precision, companion)
    part = _part(run, sources, encoding, field)
    loss_only = window is not None or stride is not None or precision not in _IN_TORCH
    if loss_only or not isinstance(part, ConversationPart):
        return _score(run, model, tokenizer, part, window, stride, own=not sources)
    if tokenizer.chat is None:
        raise RequestError(
            f"run {run.name!r} learned running text, and {' '.join(sources)} holds conversations; "
            "name a file of text"
        )
    try:
        training = open_training_corpus(run).train
    except (RunError, CorpusError, DownloadError) as error:
        log.warning("no n-gram models to compare with: %s", str(error).split("; ")[0])
        training = None
    baseline = training if isinstance(training, ConversationPart) else None
    return evaluate_chat(load(run, companion=companion), model, part, baseline)


def _model(
    run: Run, tokenizer: Tokenizer, device: str, precision: str, companion: str
) -> LanguageModel:
    check_companion(companion)
    network = load_model(run, device) if precision in _IN_TORCH else as_torch_model(run, precision)
    if companion == "off" or not run.companion_file.is_file():
        return network
    try:
        beside = Companion.read(run.companion_file, network.config.vocab_size, tokenizer.vocabulary)
    except RunError as error:
        raise RunError(f"run {run.name!r}: {error}") from error
    return CompanionModel(network, beside)


def _score(
    run: Run,
    model: LanguageModel,
    tokenizer: Tokenizer,
    part: TextPart,
    window: int | None,
    stride: int | None,
    *,
    own: bool,
) -> Score:
    if isinstance(part, ConversationPart) and tokenizer.chat is None:
        raise RequestError(
            f"run {run.name!r} learned running text, not conversations; name a file of text"
        )
    training = run.settings().get("training", {})
    loss_on = training.get("loss_on", "both")
    tokens = prepare_tokens(part, tokenizer, loss_on=loss_on, hidden=True)
    assert tokens.hidden_bits is not None
    result = evaluate(model, tokens.array(), window=window, stride=stride)
    companion = None
    if isinstance(model, CompanionModel):
        alone = evaluate(model.network, tokens.array(), window=window, stride=stride)
        gained = run.settings().get("companion", {}) if own else {}
        companion = CompanionScore(
            network_loss=alone.loss,
            network_bits_per_char=tokens.bits_per_char(alone.loss),
            unfitted=(gained["network_bits_per_char"], gained["bits_per_char"]) if gained else None,
        )
    return Score(
        model_name=run.name,
        loss=result.loss,
        bits_per_char=tokens.bits_per_char(result.loss),
        bits_per_byte=tokens.bits_per_byte(result.loss),
        hidden_bits_per_char=tokens.hidden_bits / tokens.characters,
        perplexity=result.perplexity,
        tokens=result.tokens,
        characters=tokens.characters,
        bytes=tokens.bytes,
        unk_tokens=tokens.unk_tokens,
        unknown_characters=tokens.unknown_characters,
        unknown=tokens.unknown_share,
        protocol=result.protocol,
        companion=companion,
    )
