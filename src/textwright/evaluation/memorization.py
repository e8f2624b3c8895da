"""Copied or invented: what of a model's text stands word for word in the text it learned from.

Text that the model never saw has common phrases too, and in some sources whole pages twice. So the
share that is copied stands beside that of held-out text from the same source, cut into pieces of
the same length: what goes beyond that, the model knows by heart. It needs no torch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from textwright.configs import CorpusSettings
from textwright.data import BUILT_INS, ConversationPart, Corpus, TextPart, open_corpus
from textwright.data.provenance import open_training_corpus
from textwright.errors import CorpusError, DownloadError, RequestError, RunError
from textwright.evaluation.copied_spans import Copies, copied
from textwright.evaluation.substring_search import LEAST
from textwright.runs import Run
from textwright.tokenizers import Tokenizer

MINIMUM = 40
"""Characters of a stretch that counts; of prose kept apart, about 1 % lies in such stretches."""

HELD_OUT = 40_000
"""Characters of held-out text that are looked at, at most."""

_FEWEST = 200  # characters of a piece of held-out text; shorter ones have little room for copies

log = logging.getLogger("textwright")


@dataclass(frozen=True)
class Share:
    """What of some text stands in the training text."""

    share: float
    """Of its characters, 0 to 1."""
    longest: int
    """Characters of the longest stretch; 0 where there is none."""
    copied: int
    """Characters in stretches."""
    characters: int
    """In all."""


@dataclass(frozen=True)
class Novelty:
    """What of a model's text, or of any other, is copied."""

    model_name: str
    corpus: str
    """The name of the training text."""
    unit: Literal["line", "conversation"]
    """What the places in it are counted in."""
    minimum: int
    """Characters of a stretch that counts."""
    passages: tuple[Copies, ...]
    whole: Share
    """All passages together."""
    held_out: Share
    """What the same measure gives for text of the same source that was kept apart."""
    complete: bool
    """Whether every place was compared; else there may be more."""

    def record(self) -> dict[str, Any]:
        """As JSON holds it; a source that is a file by its name alone."""
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
    """What of `passages` stands in the text that `run` was trained on.

    Args:
        run: the model; nothing is generated here.
        passages: each is looked at by itself.
        minimum: characters of a stretch that counts, at least 16.
        corpus: the training text, from `text_of`; None opens that of the run.

    Raises:
        RunError: the run doesn't say what it was trained on, or that has changed.
        CorpusError, DownloadError: the text is gone, or can't be read.
        RequestError: `minimum` is too small.
    """
    corpus = text_of(run) if corpus is None else corpus
    lengths = [len(passage) for passage in passages]
    held_out = pieces_of(corpus.validation, max([_FEWEST, *lengths]))
    found, complete = copied(
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
        tuple(found[: len(passages)]),
        _share(found[: len(passages)]),
        _share(found[len(passages) :]),
        complete,
    )


def check_minimum(minimum: int) -> int:
    """`minimum`, which is enough characters for a stretch that counts.

    Raises:
        RequestError: it is not.
    """
    if minimum < LEAST:
        raise RequestError(f"a stretch that counts has at least {LEAST} characters, not {minimum}")
    return minimum


def text_of(run: Run, sources: Sequence[str] = ()) -> Corpus:
    """What `run` was trained on; of a model that comes with the package, the text of its recipe.

    Args:
        run: the model.
        sources: the text, where the run doesn't say it, or it lies elsewhere now.

    Raises:
        RunError: the run doesn't say, or the text has changed or is gone.
        DownloadError: it can't be downloaded.
    """
    if sources:
        return _named(run, sources)
    recorded = run.settings()
    if not recorded.get("corpus") and not run.is_shipped:
        raise RunError(
            f"run {run.name!r} doesn't say what it was trained on; name that text: "
            f"textwright eval {run.name} FILE --novelty"
        )
    try:
        return open_training_corpus(run) if recorded else open_corpus([_of_the_package(run)])
    except RunError:
        raise
    except (CorpusError, DownloadError) as error:
        what = f"the text that {run.name!r} was trained on"
        if isinstance(error, DownloadError):
            raise DownloadError(f"{what} is not here: {error}") from error
        raise RunError(f"{what} is gone: {error}") from error


def _of_the_package(run: Run) -> str:
    """The built-in text that the card of a model in the package names."""
    from huggingface_hub import ModelCard

    results = ModelCard.load(run.card_file).data.eval_results or []
    name = results[0].dataset_type if results else ""
    if name not in BUILT_INS:
        raise RunError(f"the card of {run.name!r} names no text that it was trained on")
    return name


def _named(run: Run, sources: Sequence[str]) -> Corpus:
    """A text that is named, split as that of the run was; says so where it is another."""
    settings = CorpusSettings.model_validate(run.settings().get("corpus", {"sources": []}))
    corpus = open_corpus(
        list(sources),
        validation_fraction=settings.validation_fraction,
        form=settings.form,
    )
    known = run.settings().get("data", {}).get("sha256")
    if known is not None and settings.validation is None and corpus.sha256 != known:
        log.warning("%s is not the text that %r was trained on", " ".join(sources), run.name)
    return corpus


def pieces_of(part: TextPart, length: int) -> list[str]:
    """Pieces of held-out text, spread evenly."""
    if isinstance(part, ConversationPart):
        turns = ("\n".join(words for _, words in talk) for talk in part.conversations())
        return _first(turns, length)
    pieces = max(1, min(HELD_OUT, part.characters) // length)
    step = max(length, part.characters // pieces)
    found: list[str] = []
    held, passed = "", 0
    for chunk in part.chunks():
        held += chunk
        while len(found) < pieces and (begin := len(found) * step - passed) + length <= len(held):
            found.append(held[begin : begin + length])
        gone = max(0, min(len(held), len(found) * step - passed))
        held, passed = held[gone:], passed + gone
    return found or [held[:HELD_OUT]]


def _first(texts: Iterable[str], length: int) -> list[str]:
    """The first ones, which of conversations are a fair sample, cut to the same length."""
    found: list[str] = []
    size = 0
    for text in texts:
        found.append(text[:length])
        size += len(found[-1])
        if size >= HELD_OUT:
            break
    return found


def _share(found: Sequence[Copies]) -> Share:
    characters = sum(one.characters for one in found)
    inside = sum(one.copied for one in found)
    lengths = [stretch.length for one in found for stretch in one.stretches]
    return Share(inside / max(1, characters), max(lengths, default=0), inside, characters)
