"""Evaluation of chat models: what `textwright eval RUN conversations.jsonl` prints.

Perplexity and bits are over the tokens of the words and of the ends of turns, given as much of the
conversation as the context holds; role tokens don't count. Relevance is reply ranking: at a
thousand turns, how often the true reply has a higher mean log-likelihood a token than nine replies
of other conversations; `relevance_gain` ranks by how much the context raises it instead, which
doesn't reward replies that are likely anywhere. Ties count as losses.
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

from textwright.companion.counting import NGramModel, unigram_log_probabilities
from textwright.data.formats.conversations import Conversation
from textwright.data.prepared_conversations import ConversationPart
from textwright.generation.chat_template import Message
from textwright.generation.generator import Generator
from textwright.models import LanguageModel
from textwright.tokenizers import Tokenizer, check_role

CANDIDATES = 10
"""Replies that are ranked at each turn, the true one included."""
PLACES = 1000
REPLIES = 200
_SEED = 1
_MAX_REPLY = 64
"""Tokens of a reply that are scored, from its beginning."""


@dataclass(frozen=True)
class Metrics:
    """One row of the table; None where a metric doesn't apply."""

    perplexity: float | None = None
    bits_per_char: float | None = None
    relevance: float | None = None
    """Share of turns whose true reply has the highest mean log-likelihood."""
    relevance_gain: float | None = None
    """The same by log-likelihood with context less that without."""
    distinct_1: float | None = None
    """Distinct words over all words of the replies."""
    distinct_2: float | None = None
    """Distinct word bigrams over all bigrams."""
    repetition: float | None = None
    """Share of a reply's word trigrams that occur earlier in it, mean over the replies."""
    reply_words: float | None = None
    """Mean number of words of a reply."""


@dataclass(frozen=True)
class ConversationScore:
    """The metrics of a chat model and of its baselines, and the size of what they are over."""

    model_name: str
    conversations: int
    tokens: int
    """Predictions: the words of the turns and their `<eos>`."""
    characters: int
    bytes: int
    unknown: float
    """Share of the tokens that are `<unk>`, and of characters that were left out."""
    places: int
    """Turns at which replies were ranked."""
    replies: int
    """Replies that were generated."""
    rows: dict[str, Metrics] = field(default_factory=dict)
    """`model`, `5-gram`, `unigram`, `people`."""

    def record(self) -> dict[str, Any]:
        """As `eval --json` prints it: the model's own metrics at the top, beside its loss."""
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
class RankingItem:
    """One turn as token ids: its context, and the candidate replies, the true one first."""

    context: list[int]
    """The turns before, and the role token."""
    empty_context: list[int]
    """`<bos>` and the role token alone."""
    replies: list[list[int]]


def evaluate_chat(
    generator: Generator,
    model: LanguageModel,
    part: ConversationPart,
    training: ConversationPart | None,
    *,
    places: int = PLACES,
    replies: int = REPLIES,
) -> ConversationScore:
    """All metrics of `model` on `part`, and of n-gram models of `training` if there is any.

    Without replies of other conversations to draw from, relevance is None.
    """
    was_training = model.training
    model.eval()
    try:
        return _evaluate_chat(generator, model, part, training, places, replies)
    finally:
        model.train(was_training)


def _evaluate_chat(
    generator: Generator,
    model: LanguageModel,
    part: ConversationPart,
    training: ConversationPart | None,
    places: int,
    replies: int,
) -> ConversationScore:
    tokenizer = generator.tokenizer
    conversations = list(part.conversations())
    held_out = _TokenizedConversations(tokenizer, conversations)
    items = _ranking_items(tokenizer, conversations, places, generator)
    counted = held_out.counted
    turns = [f" {words}" for conversation in conversations for _, words in conversation]
    hidden_bits = tokenizer.hidden_bits(turns)
    log_probs = np.concatenate([_log_probs(model, one) for one in held_out.split()])
    rows = {
        "model": Metrics(
            **_loss(log_probs[counted], part.characters, hidden_bits),
            **(_relevance(*_model_scores(model, items)) if items else {}),
            **_reply_variety(generator, conversations, replies),
        )
    }
    if training is not None:
        learned = _TokenizedConversations(tokenizer, training.conversations())
        ngrams = NGramModel(learned.tokens, learned.starts, tokenizer.vocab_size)
        log_probs = ngrams.log_probabilities(held_out.tokens, held_out.starts)
        rows["5-gram"] = Metrics(
            **_loss(log_probs[counted], part.characters, hidden_bits),
            **(_relevance(*_ngram_scores(ngrams, items)) if items else {}),
        )
        unigrams = unigram_log_probabilities(learned.tokens, tokenizer.vocab_size)
        scores = np.array([[unigrams[one].mean() for one in item.replies] for item in items])
        rows["unigram"] = Metrics(
            **_loss(unigrams[held_out.tokens][counted], part.characters, hidden_bits),
            **(_relevance(scores, scores) if items else {}),
        )
    people = [conversations[i][turn][1] for i, turn in _sample_turns(conversations, replies)]
    rows["people"] = Metrics(**_variety(people))
    left_out = sum(tokenizer.unknown_characters(words).total() for words in turns)
    unknown = left_out
    if tokenizer.unk_id is not None:
        unknown += int((held_out.tokens[counted] == tokenizer.unk_id).sum())
    return ConversationScore(
        generator.name, len(conversations), int(counted.sum()), part.characters, part.text_bytes,
        unknown / (int(counted.sum()) + left_out), len(items), min(replies, len(people)), rows,
    )  # fmt: skip


class _TokenizedConversations:
    """Conversations as token ids, concatenated."""

    def __init__(self, tokenizer: Tokenizer, conversations: Iterable[Conversation]) -> None:
        chat = tokenizer.chat
        assert chat is not None
        self.tokens = tokenizer.encode_conversations(list(conversations))
        self.starts = np.flatnonzero(self.tokens == chat.bos_id)
        not_counted = (chat.bos_id, *chat.role_ids.values())
        self.counted: NDArray[np.bool_] = ~np.isin(self.tokens, not_counted)
        """Tokens that are words or end a turn, (tokens,)."""

    def split(self) -> list[NDArray[np.int64]]:
        """The tokens of each conversation."""
        return np.split(self.tokens, self.starts[1:])


def _loss(log_probs: NDArray[np.float64], characters: int, hidden_bits: float) -> dict[str, float]:
    return {
        "perplexity": math.exp(min(700.0, -log_probs.mean())),
        "bits_per_char": float((hidden_bits - log_probs.sum() / math.log(2)) / characters),
    }


@torch.inference_mode()
def _log_probs(model: LanguageModel, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """log p of each token given those before, (tokens,); 0 for the first, `<bos>`."""
    device = next(model.parameters()).device
    row = torch.from_numpy(tokens).to(device)[None]
    log_probs = [np.zeros(1)]
    state = None
    size = min(256, model.config.block_size)
    for start in range(0, len(tokens) - 1, size):
        chunk = row[:, start : start + size + 1]
        logits, state = model(chunk[:, :-1], state)
        log_probs.append(_log_probs_of(logits, chunk[:, 1:])[0].cpu().double().numpy())
    return np.concatenate(log_probs)


def _log_probs_of(logits: Tensor, targets: Tensor) -> Tensor:
    """log p of `targets` (B, T) under `logits` (B, T, V)."""
    log_probs = logits.float().log_softmax(dim=-1)
    return log_probs.gather(-1, targets[..., None])[..., 0]


def _sample_turns(conversations: Sequence[Conversation], count: int) -> list[tuple[int, int]]:
    """(conversation, turn) of up to `count` replies, in a fixed random order; no first turns."""
    turns = [
        (index, turn)
        for index, conversation in enumerate(conversations)
        for turn in range(1, len(conversation))
        if "system" not in (conversation[turn][0], conversation[turn - 1][0])
    ]
    order = np.random.Generator(np.random.Philox(_SEED)).permutation(len(turns))
    return [turns[index] for index in order[:count]]


def _ranking_items(
    tokenizer: Tokenizer,
    conversations: Sequence[Conversation],
    count: int,
    generator: Generator,
) -> list[RankingItem]:
    """None where there are fewer than `CANDIDATES` replies, or all of one conversation."""
    chat, block_size = tokenizer.chat, generator.runtime.block_size
    assert chat is not None
    pool = _sample_turns(conversations, sum(map(len, conversations)))
    if len({index for index, _ in pool}) < 2 or len(pool) < CANDIDATES:
        return []
    rng = np.random.Generator(np.random.Philox(_SEED + 1))

    def encode(index: int, turn: int) -> list[int]:
        words = conversations[index][turn][1]
        return [*tokenizer.encode_turns([words])[0], chat.eos_id][:_MAX_REPLY]

    items = []
    for index, turn in _sample_turns(conversations, count):
        candidates = [(index, turn)]
        while len(candidates) < CANDIDATES:
            other = pool[int(rng.integers(len(pool)))]
            if other[0] != index:
                candidates.append(other)
        replies = [encode(*candidate) for candidate in candidates]
        role = check_role(conversations[index][turn][0])
        prompt = generator.encode_messages(_history(conversations[index], turn), reply=role)
        context = list(prompt.tokens)
        if block_size is not None:  # recurrent models read the whole context
            context = context[-max(2, block_size - max(map(len, replies))) :]
        items.append(RankingItem(context, [chat.bos_id, chat.role_ids[role]], replies))
    return items


def _history(conversation: Conversation, turn: int) -> list[Message]:
    return [Message(check_role(role), words) for role, words in conversation[:turn]]


@torch.inference_mode()
def _model_scores(
    model: LanguageModel, items: Sequence[RankingItem]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean log-likelihood of each reply with and without its context, (items, candidates) each."""
    given = np.array([_mean_log_probs(model, one.context, one.replies) for one in items])
    alone = np.array([_mean_log_probs(model, one.empty_context, one.replies) for one in items])
    return given, alone


def _mean_log_probs(
    model: LanguageModel, context: Sequence[int], replies: Sequence[Sequence[int]]
) -> list[float]:
    """Mean log p a token of each reply; the context is read once for all."""
    device = next(model.parameters()).device
    prefix = torch.tensor([context[:-1]], device=device)
    _, state = (model if model.output_layer() is None else model.features)(prefix)
    state = {name: part.expand(len(replies), *part.shape[1:]) for name, part in state.items()}
    length = max(map(len, replies))
    rows = torch.zeros(len(replies), length + 1, dtype=torch.long, device=device)
    for row, reply in enumerate(replies):
        rows[row, 0] = context[-1]
        rows[row, 1 : len(reply) + 1] = torch.tensor(reply)
    log_probs = _log_probs_of(model(rows[:, :-1], state)[0], rows[:, 1:]).double().cpu().numpy()
    return [float(log_probs[row, : len(reply)].mean()) for row, reply in enumerate(replies)]


def _ngram_scores(
    ngrams: NGramModel, items: Sequence[RankingItem]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `_model_scores`."""
    given = [(one.context[-ngrams.order :], r) for one in items for r in one.replies]
    alone = [(one.empty_context, r) for one in items for r in one.replies]
    return _ngram_means(ngrams, given), _ngram_means(ngrams, alone)


def _ngram_means(
    ngrams: NGramModel, texts: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> NDArray[np.float64]:
    lengths = np.array([len(context) + len(reply) for context, reply in texts])
    starts = np.concatenate(([0], lengths.cumsum()[:-1]))
    tokens = np.array([token for context, reply in texts for token in (*context, *reply)], np.int64)
    log_probs = ngrams.log_probabilities(tokens, starts)
    means = [
        log_probs[end - len(reply) : end].mean()
        for end, (_, reply) in zip(starts + lengths, texts, strict=True)
    ]
    return np.array(means).reshape(-1, CANDIDATES)


def _relevance(given: NDArray[np.float64], alone: NDArray[np.float64]) -> dict[str, float]:
    """From mean log-likelihoods with and without context, (items, candidates) each."""
    return {"relevance": _win_rate(given), "relevance_gain": _win_rate(given - alone)}


def _win_rate(scores: NDArray[np.float64]) -> float:
    return float((scores[:, 0] > scores[:, 1:].max(axis=1)).mean())


def _reply_variety(
    generator: Generator, conversations: Sequence[Conversation], count: int
) -> dict[str, float]:
    """Variety of replies generated with the run's sampling settings and the seeds 0, 1 …"""
    texts = []
    for seed, (index, turn) in enumerate(_sample_turns(conversations, count)):
        role = check_role(conversations[index][turn][0])
        prompt = generator.encode_messages(_history(conversations[index], turn), reply=role)
        texts.append(generator.reply_to(prompt, seed=seed).text)
    return _variety(texts)


def _variety(texts: Sequence[str]) -> dict[str, float]:
    replies = [text.casefold().split() for text in texts]
    repeated = []
    for words in replies:
        trigrams = [tuple(words[i : i + 3]) for i in range(len(words) - 2)]
        repeated.append(1 - len(set(trigrams)) / len(trigrams) if trigrams else 0.0)
    return {
        "distinct_1": _distinct(replies, 1),
        "distinct_2": _distinct(replies, 2),
        "repetition": float(np.mean(repeated)) if repeated else 0.0,
        "reply_words": float(np.mean([len(words) for words in replies])) if replies else 0.0,
    }


def _distinct(replies: Sequence[Sequence[str]], n: int) -> float:
    """Li et al., "A Diversity-Promoting Objective Function" (2016), section 4.3."""
    ngrams = [tuple(one[i : i + n]) for one in replies for i in range(len(one) - n + 1)]
    return len(set(ngrams)) / len(ngrams) if ngrams else 0.0
