"""The text that a model was trained on, found again by what its run, or its card, says of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from textwright.configs import CorpusSettings
from textwright.data.corpus import STANDARD_INPUT, Corpus, open_corpus
from textwright.data.prepared_conversations import ConversationPart
from textwright.data.sources.builtin import BUILT_INS
from textwright.data.text import TextPart
from textwright.errors import CorpusError, DownloadError, RunError
from textwright.runs import Run, resume_command

log = logging.getLogger("textwright")


def find_training_corpus(run: Run, sources: Sequence[str] = ()) -> Corpus:
    """The corpus that `run` was trained on; for a shipped model, the built-in of its recipe.

    Args:
        run: the model.
        sources: the text, where the run doesn't record it, or the file was moved.

    Raises:
        RunError: the run doesn't record it, or the text has changed or is gone.
        DownloadError: it can't be downloaded.
    """
    if sources:
        return _open_sources(run, sources)
    recorded = run.settings()
    if not recorded.get("corpus") and not run.is_shipped:
        raise RunError(
            f"run {run.name!r} doesn't say what it was trained on; name that text: "
            f"textwright eval {run.name} FILE --novelty"
        )
    try:
        return open_training_corpus(run) if recorded else open_corpus([_builtin_of_card(run)])
    except RunError:
        raise
    except (CorpusError, DownloadError) as error:
        what = f"the text that {run.name!r} was trained on"
        if isinstance(error, DownloadError):
            raise DownloadError(f"{what} is not here: {error}") from error
        raise RunError(f"{what} is gone: {error}") from error


def sources_of(run: Run, settings: CorpusSettings) -> list[str]:
    """What `run` was trained on, from any folder; `settings` are its own."""
    brought = run.text_file.absolute()
    return [
        str(brought) if source == brought.name and brought.is_file() else source
        for source in settings.sources
    ]


def open_training_corpus(run: Run, sources: Sequence[str] = ()) -> Corpus:
    """The corpus that `run` was trained on, from `sources`, or from those that it recorded.

    Raises:
        RunError: it recorded none, they were standard input, or the text's sha256 has changed.
    """
    recorded = run.settings()
    settings = CorpusSettings.model_validate(recorded.get("corpus", {"sources": []}))
    if not settings.sources:
        raise RunError(f"run {run.name!r} doesn't say what it was trained on; name a file")
    if not sources and STANDARD_INPUT in (*settings.sources, settings.validation):
        raise RunError(
            f"run {run.name!r} read its text from standard input, which is gone; give it again: "
            f"{resume_command(run, STANDARD_INPUT)} < FILE, or name a file to evaluate on"
        )
    corpus = open_corpus(
        list(sources) or sources_of(run, settings),
        validation=settings.validation,
        validation_fraction=settings.validation_fraction,
        **settings.reading(),
    )
    if corpus.sha256 != recorded.get("data", {}).get("sha256"):
        raise RunError(
            f"the text of run {run.name!r} has changed since it began, or this is another: begin "
            "a new run on the new text, or name a file to evaluate on"
        )
    return corpus


def _builtin_of_card(run: Run) -> str:
    """The built-in corpus that the card of a shipped model names."""
    from huggingface_hub import ModelCard

    results = ModelCard.load(run.card_file).data.eval_results or []
    name = results[0].dataset_type if results else ""
    if name not in BUILT_INS:
        raise RunError(
            f"the text that {run.name!r} was trained on doesn't come with the package; name that "
            f"text: textwright eval {run.name} FILE --novelty"
        )
    return name


def _open_sources(run: Run, sources: Sequence[str]) -> Corpus:
    """`sources`, split as the run's corpus was; logs a warning if the sha256 differs."""
    settings = CorpusSettings.model_validate(run.settings().get("corpus", {"sources": []}))
    corpus = open_corpus(
        list(sources),
        validation_fraction=settings.validation_fraction,
        **settings.reading(),
    )
    recorded = run.settings().get("data", {}).get("sha256")
    if recorded is not None and settings.validation is None and corpus.sha256 != recorded:
        log.warning("%s is not the text that %r was trained on", " ".join(sources), run.name)
    return corpus


def pieces(part: TextPart, between: str) -> Iterator[str]:
    """The text of a part in pieces; of conversations each turn, and `between` after it."""
    if isinstance(part, ConversationPart):
        for conversation in part.conversations():
            for _, words in conversation:
                yield words + between
    else:
        yield from part.chunks()
