"""Memorization: how much of a model's text is verbatim in its training text. No torch.

Text that the model never saw also shares phrases with the training text, and some sources repeat
whole pages. So the copied share is reported beside that of held-out text from the same source, cut
into passages of the same length: only what exceeds that baseline is memorized.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from textwright.data.corpus import Corpus
from textwright.data.prepared_conversations import ConversationPart
from textwright.data.text import TextPart
from textwright.data.training_corpus import find_training_corpus
from textwright.errors import RequestError
from textwright.evaluation.copied_spans import PassageOverlap, find_copied_spans
from textwright.evaluation.substring_search import MIN_SPAN
from textwright.runs import Run
from textwright.tokenizers import Tokenizer

MINIMUM = 40
"""Characters of the shortest span that counts; of held-out prose they cover about 1 %."""

HELD_OUT = 40_000
"""Characters of held-out text that are searched, at most."""

_MIN_PASSAGE = 200  # characters of a held-out passage; shorter ones have little room for spans


@dataclass(frozen=True)
class Share:
    """The overlap of several passages with the training text, summed."""

    share: float
    """The fraction of characters that spans cover, 0 to 1."""
    longest: int
    """Characters of the longest span; 0 if there is none."""
    copied: int
    """Characters covered by spans."""
    characters: int
    """All characters."""


@dataclass(frozen=True)
class Novelty:
    """How much of some passages is copied from the training text of a model."""

    model_name: str
    corpus: str
    """The name of the training text."""
    unit: Literal["line", "conversation"]
    """What `CopiedSpan.line` counts."""
    minimum: int
    """Characters of the shortest span that counts."""
    passages: tuple[PassageOverlap, ...]
    whole: Share
    """All passages together."""
    held_out: Share
    """The baseline: the same for held-out text of the same source."""
    complete: bool
    """Whether the search was complete; else there may be more spans."""

    def record(self) -> dict[str, Any]:
        """As JSON; a source that is a file is named without its folder."""
        return {
            "model_name": self.model_name,
            "corpus": self.corpus,
            "unit": self.unit,
            "minimum": self.minimum,
            **asdict(self.whole),
            "held_out": asdict(self.held_out),
            "complete": self.complete,
            "passages": [
                {
                    "share": passage.share,
                    "characters": passage.characters,
                    "copied": passage.copied,
                    "stretches": [
                        {**asdict(one), "source": Path(one.source).name or self.corpus}
                        for one in passage.stretches
                    ],
                }
                for passage in self.passages
            ],
        }


def novelty(
    run: Run,
    passages: Sequence[str],
    *,
    minimum: int = MINIMUM,
    corpus: Corpus | None = None,
) -> Novelty:
    """The overlap of `passages` with the text that `run` was trained on.

    Args:
        run: the model; nothing is generated here.
        passages: each is searched for by itself.
        minimum: characters of the shortest span that counts, at least 16.
        corpus: the training text, from `find_training_corpus`; None opens that of the run.

    Raises:
        RunError: the run doesn't say what it was trained on, or that has changed.
        CorpusError, DownloadError: the text is gone, or can't be read.
        RequestError: `minimum` is too small.
    """
    corpus = find_training_corpus(run) if corpus is None else corpus
    lengths = [len(passage) for passage in passages]
    held_out = sample_passages(corpus.validation, max([_MIN_PASSAGE, *lengths]))
    overlaps, complete = find_copied_spans(
        [*passages, *held_out],
        corpus.train,
        minimum=minimum,
        origins=corpus.origins,
        lower=Tokenizer.load(run).lowercase,
    )
    return Novelty(
        run.name,
        corpus.name,
        "conversation" if corpus.conversations else "line",
        minimum,
        tuple(overlaps[: len(passages)]),
        _share(overlaps[: len(passages)]),
        _share(overlaps[len(passages) :]),
        complete,
    )


def check_min_length(minimum: int) -> int:
    """`minimum` itself.

    Raises:
        RequestError: spans that short can't be found.
    """
    if minimum < MIN_SPAN:
        raise RequestError(
            f"a stretch that counts has at least {MIN_SPAN} characters, not {minimum}"
        )
    return minimum


def sample_passages(part: TextPart, length: int) -> list[str]:
    """Passages of `length` characters, at even distances, `HELD_OUT` characters in all."""
    if isinstance(part, ConversationPart):
        texts = ("\n".join(words for _, words in turns) for turns in part.conversations())
        return _first_passages(texts, length)
    count = max(1, min(HELD_OUT, part.characters) // length)
    step = max(length, part.characters // count)
    passages: list[str] = []
    buffer, offset = "", 0  # `offset`: characters of the text before the buffer
    for chunk in part.chunks():
        buffer += chunk
        while len(passages) < count and (start := len(passages) * step - offset) + length <= len(
            buffer
        ):
            passages.append(buffer[start : start + length])
        consumed = max(0, min(len(buffer), len(passages) * step - offset))
        buffer, offset = buffer[consumed:], offset + consumed
    return passages or [buffer[:HELD_OUT]]


def _first_passages(texts: Iterable[str], length: int) -> list[str]:
    """The first texts, truncated to `length`: conversations are shuffled, so a fair sample."""
    passages: list[str] = []
    size = 0
    for text in texts:
        passages.append(text[:length])
        size += len(passages[-1])
        if size >= HELD_OUT:
            break
    return passages


def _share(overlaps: Sequence[PassageOverlap]) -> Share:
    characters = sum(one.characters for one in overlaps)
    copied = sum(one.copied for one in overlaps)
    lengths = [span.length for one in overlaps for span in one.stretches]
    return Share(copied / max(1, characters), max(lengths, default=0), copied, characters)
