"""The text that a run was trained on, opened again: where it came from, and whether it is the same.

It needs no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textwright.configs import CorpusSettings
from textwright.data.corpus import Corpus, open_corpus
from textwright.data.sources.builtin import BUILT_INS
from textwright.errors import RunError
from textwright.runs import Run, resume_command

STANDARD_INPUT = "-"


def from_anywhere(source: str) -> str:
    """A source as it can be opened from any folder: files and globs by their whole path."""
    elsewhere = "://" in source or source.startswith("hf:") or source == STANDARD_INPUT
    if elsewhere or source.split(":", maxsplit=1)[0] in BUILT_INS:  # as the sources are looked up
        return source
    return str(Path(source).expanduser().absolute())


def reopened(run: Run, sources: Sequence[str] = ()) -> Corpus:
    """The corpus that `run` was trained on, from `sources` or from where it came.

    Raises:
        RunError: the run doesn't say where, it was standard input, or the text has changed.
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
