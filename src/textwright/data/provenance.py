"""The corpus that a run was trained on: `run.toml` records its sources and sha256. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textwright.configs import CorpusSettings
from textwright.data.corpus import Corpus, open_corpus
from textwright.data.sources.builtin import BUILT_INS
from textwright.errors import RunError
from textwright.runs import Run, resume_command

STANDARD_INPUT = "-"


def absolute_source(source: str) -> str:
    """`source` as it resolves from any working directory: files and globs as absolute paths."""
    is_remote = "://" in source or source.startswith("hf:") or source == STANDARD_INPUT
    if is_remote or source.split(":", maxsplit=1)[0] in BUILT_INS:  # `resolve` looks here first
        return source
    return str(Path(source).expanduser().absolute())


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
        list(sources) or settings.sources,
        validation=settings.validation,
        validation_fraction=settings.validation_fraction,
        form=settings.form,
    )
    if corpus.sha256 != recorded.get("data", {}).get("sha256"):
        raise RunError(
            f"the text of run {run.name!r} has changed since it began (or its source has): begin "
            "a new run on the new text, or name a file to evaluate on"
        )
    return corpus
