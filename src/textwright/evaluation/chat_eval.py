"""How good a model of conversations is: what `textwright eval RUN conversations.jsonl` tells.

Perplexity and bits are over the tokens of the turns' words and of their ends, each given what was
said before as far as the context reaches; whose turn it is is not counted. Relevance asks of a
thousand places whether the model prefers what was really said there to nine replies from elsewhere,
by their mean log-likelihood a token; and again by how much the context raises it, which doesn't
reward replies that are likely anywhere. Only a true reply above all nine counts: ties lose.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textwright.data import Conversation, ConversationPart
from textwright.errors import CorpusError
from textwright.evaluation.ngram import NGramModel, unigram_log_probabilities
from textwright.generation import Generator, Message
from textwright.models import LanguageModel
from textwright.tokenizers import Tokenizer, check_role

CHOICES = 10
PLACES = 1000
REPLIES = 200
_SEED = 1
_LONGEST_REPLY = 64
"""Tokens of a reply that relevance looks at, the first ones."""


@dataclass(frozen=True)
class Measures:
    """One row of the table; None where a measure doesn't apply."""

    perplexity: float | None = None
    bits_per_char: float | None = None
    relevance: float | None = None
    """Share of places where the true reply wins by mean log-likelihood."""
    relevance_gain: float | None = None
    """The same by how much the context raises it."""
    distinct_1: float | None = None
    """Different words, over all words of the replies."""
    distinct_2: float | None = None
    """The same of pairs of words."""
    repetition: float | None = None
    """Share of a reply's triples of words that it had before, mean over the replies."""
    reply_words: float | None = None
    """Mean words of a reply."""


@dataclass(frozen=True)
class ConversationScore:
    """A model of conversations, what it is compared with, and what all was measured on."""

    model_name: str
    conversations: int
    tokens: int
    """Predictions: words of the turns and their ends."""
    characters: int
    bytes: int
    unknown: float
    """Share of the tokens that are `<unk>`."""
    places: int
    replies: int
    rows: dict[str, Measures] = field(default_factory=dict)
    """`model`, `5-gram`, `unigram`, `people`."""

    def record(self) -> dict[str, Any]:
        """As `eval --json` prints it: the model's own measures at the top, with those of text."""
        data = asdict(self)
        rows = data.pop("rows")
        bits = self.rows["model"].bits_per_char
        perplexity = self.rows["model"].perplexity
        assert bits is not None and perplexity is not None
        return {
            **data,
            "loss": math.log(perplexity),
            "bits_per_byte": bits * self.characters / self.bytes,
            **rows["model"],
            "compared": rows,
        }


@dataclass(frozen=True)
class Choice:
    """A place, as tokens: what was said before, and replies, the true one first."""

    before: list[int]
    """With the token of whose turn it is."""
    opening: list[int]
    """The same without anything said."""
    replies: list[list[int]]


def measure(
    generator: Generator,
    model: LanguageModel,
    part: ConversationPart,
    training: ConversationPart | None,
    *,
    places: int = PLACES,
    replies: int = REPLIES,
) -> ConversationScore:
    """All measures of `model` on `part`; the n-gram models' too, where there is `training` text.

    Raises:
        CorpusError: there are too few conversations to choose replies from.
    """
    tokenizer = generator.tokenizer
    talks = list(part.conversations())
    held_out = _Framed(tokenizer, talks)
    choices = _choices(tokenizer, talks, places, generator)
    counted = held_out.counted
    logs = np.concatenate([_model_logs(model, one) for one in held_out.texts()])
    rows = {
        "model": Measures(
            **_loss(logs[counted], part.characters),
            **_relevance(choices, *_model_choices(model, choices)),
            **_model_replies(generator, talks, replies),
        )
    }
    if training is not None:
        learned = _Framed(tokenizer, training.conversations())
        grams = NGramModel(learned.tokens, learned.starts, tokenizer.vocab_size)
        rows["5-gram"] = Measures(
            **_loss(grams.log_probabilities(held_out.tokens, held_out.starts)[counted],
                    part.characters),
            **_relevance(choices, *_gram_choices(grams, choices)),
        )  # fmt: skip
        table = unigram_log_probabilities(learned.tokens, tokenizer.vocab_size)
        alone = np.array([[table[one].mean() for one in c.replies] for c in choices])
        rows["unigram"] = Measures(
            **_loss(table[held_out.tokens][counted], part.characters),
            **_relevance(choices, alone, alone),
        )
    people = [talks[index][turn][1] for index, turn in _some_places(talks, replies)]
    rows["people"] = Measures(**_variety(people))
    unknown = held_out.tokens[counted] == (-1 if tokenizer.unk_id is None else tokenizer.unk_id)
    return ConversationScore(
        generator.name, len(talks), int(counted.sum()), part.characters, part.text_bytes,
        float(unknown.mean()), len(choices), min(replies, len(people)), rows,
    )  # fmt: skip


class _Framed:
    """Conversations as tokens, one after another."""

    def __init__(self, tokenizer: Tokenizer, talks: Iterable[Conversation]) -> None:
        chat = tokenizer.chat
        assert chat is not None
        self.tokens = tokenizer.encode_conversations(list(talks))
        self.starts = np.flatnonzero(self.tokens == chat.bos_id)
        frame = (chat.bos_id, *chat.role_ids.values())
        self.counted: NDArray[np.bool_] = ~np.isin(self.tokens, frame)
        """Which tokens are words, or end a turn."""

    def texts(self) -> list[NDArray[np.int64]]:
        """Each conversation by itself."""
        return np.split(self.tokens, self.starts[1:])


def _loss(logs: NDArray[np.float64], characters: int) -> dict[str, float]:
    return {
        "perplexity": math.exp(min(700.0, -logs.mean())),
        "bits_per_char": float(-logs.sum() / math.log(2) / characters),
    }


@torch.inference_mode()
def _model_logs(model: LanguageModel, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """Log-probability of each token given those before; 0 for the first, which begins all."""
    device = next(model.parameters()).device
    row = torch.from_numpy(tokens).to(device)[None]
    found = [np.zeros(1)]
    state = None
    piece = min(256, model.config.block_size)
    for first in range(0, len(tokens) - 1, piece):
        part = row[:, first : first + piece + 1]
        logits, state = model(part[:, :-1], state)
        found.append(_picked(logits, part[:, 1:])[0].cpu().double().numpy())
    return np.concatenate(found)


def _picked(logits: Tensor, targets: Tensor) -> Tensor:
    logs = logits.float().log_softmax(dim=-1)
    return logs.gather(-1, targets[..., None])[..., 0]


def _some_places(talks: Sequence[Conversation], count: int) -> list[tuple[int, int]]:
    """(conversation, turn) of replies, never a first turn; the same each time."""
    there = [
        (index, turn)
        for index, talk in enumerate(talks)
        for turn in range(1, len(talk))
        if talk[turn][0] != "system" and talk[turn - 1][0] != "system"
    ]
    order = np.random.Generator(np.random.Philox(_SEED)).permutation(len(there))
    return [there[index] for index in order[:count]]


def _choices(
    tokenizer: Tokenizer,
    talks: Sequence[Conversation],
    count: int,
    generator: Generator,
) -> list[Choice]:
    chat, block_size = tokenizer.chat, generator.runtime.block_size
    assert chat is not None
    chosen = _some_places(talks, count)
    pool = _some_places(talks, sum(map(len, talks)))
    if len({index for index, _ in pool}) < 2 or len(pool) < CHOICES:
        raise CorpusError(
            f"relevance needs replies from at least two conversations and {CHOICES} in all; give "
            "more conversations to evaluate on"
        )
    draw = np.random.Generator(np.random.Philox(_SEED + 1))

    def encoded(place: tuple[int, int]) -> list[int]:
        words = talks[place[0]][place[1]][1]
        return [*tokenizer.encode_turns([words])[0], chat.eos_id][:_LONGEST_REPLY]

    choices = []
    for index, turn in chosen:
        others: list[tuple[int, int]] = []
        while len(others) < CHOICES - 1:
            other = pool[int(draw.integers(len(pool)))]
            if other[0] != index:
                others.append(other)
        role = check_role(talks[index][turn][0])
        said = [Message(check_role(who), words) for who, words in talks[index][:turn]]
        before = generator.encode_messages(said, reply=role).tokens
        replies = [encoded(place) for place in ((index, turn), *others)]
        if block_size is not None:  # a recurrent model reads all of it
            before = before[-max(2, block_size - max(map(len, replies))) :]
        choices.append(Choice(before, [chat.bos_id, chat.role_ids[role]], replies))
    return choices


@torch.inference_mode()
def _model_choices(
    model: LanguageModel, choices: Sequence[Choice]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean log-likelihood of each reply with and without its context, (places, choices) each."""
    given = np.array([_read_after(model, one.before, one.replies) for one in choices])
    alone = np.array([_read_after(model, one.opening, one.replies) for one in choices])
    return given, alone


def _read_after(
    model: LanguageModel, before: Sequence[int], replies: Sequence[Sequence[int]]
) -> list[float]:
    device = next(model.parameters()).device
    context = torch.tensor([before], device=device)
    _, state = (model if model.output_layer() is None else model.features)(context[:, :-1])
    state = {name: part.expand(len(replies), *part.shape[1:]) for name, part in state.items()}
    length = max(map(len, replies))
    rows = torch.zeros(len(replies), length + 1, dtype=torch.long, device=device)
    for row, reply in enumerate(replies):
        rows[row, 0] = before[-1]
        rows[row, 1 : len(reply) + 1] = torch.tensor(reply)
    logs = _picked(model(rows[:, :-1], state)[0], rows[:, 1:]).double().cpu().numpy()
    return [float(logs[row, : len(reply)].mean()) for row, reply in enumerate(replies)]


def _gram_choices(
    grams: NGramModel, choices: Sequence[Choice]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (
        _gram_means(
            grams, [(one.before[-grams.order :], r) for one in choices for r in one.replies]
        ),
        _gram_means(grams, [(one.opening, r) for one in choices for r in one.replies]),
    )


def _gram_means(
    grams: NGramModel, texts: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> NDArray[np.float64]:
    lengths = np.array([len(before) + len(reply) for before, reply in texts])
    starts = np.concatenate(([0], lengths.cumsum()[:-1]))
    tokens = np.array([token for before, reply in texts for token in (*before, *reply)], np.int64)
    logs = grams.log_probabilities(tokens, starts)
    ends = starts + lengths
    means = [
        logs[end - len(reply) : end].mean() for end, (_, reply) in zip(ends, texts, strict=True)
    ]
    return np.array(means).reshape(-1, CHOICES)


def _relevance(
    choices: Sequence[Choice], given: NDArray[np.float64], alone: NDArray[np.float64]
) -> dict[str, float]:
    assert given.shape == (len(choices), CHOICES)
    return {"relevance": _wins(given), "relevance_gain": _wins(given - alone)}


def _wins(scores: NDArray[np.float64]) -> float:
    return float((scores[:, 0] > scores[:, 1:].max(axis=1)).mean())


def _model_replies(
    generator: Generator, talks: Sequence[Conversation], count: int
) -> dict[str, float]:
    """Variety of the model's replies, by the run's own settings, with the seeds 0, 1 …"""
    texts = []
    for seed, (index, turn) in enumerate(_some_places(talks, count)):
        said = [Message(check_role(who), words) for who, words in talks[index][:turn]]
        reply = check_role(talks[index][turn][0])
        prompt = generator.encode_messages(said, reply=reply)
        texts.append(generator.reply_to(prompt, seed=seed).text)
    return _variety(texts)


def _variety(texts: Sequence[str]) -> dict[str, float]:
    replies = [text.casefold().split() for text in texts]
    repeated = []
    for words in replies:
        triples = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
        repeated.append(1 - len(set(triples)) / len(triples) if triples else 0.0)
    return {
        "distinct_1": _distinct(replies, 1),
        "distinct_2": _distinct(replies, 2),
        "repetition": float(np.mean(repeated)) if repeated else 0.0,
        "reply_words": float(np.mean([len(words) for words in replies])) if replies else 0.0,
    }


def _distinct(replies: Sequence[Sequence[str]], size: int) -> float:
    """Li et al., "A Diversity-Promoting Objective Function" (2016), section 4.3."""
    pieces = [tuple(one[i : i + size]) for one in replies for i in range(len(one) - size + 1)]
    return len(set(pieces)) / len(pieces) if pieces else 0.0
