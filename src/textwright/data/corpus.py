"""Opening a corpus: sources → prepared text → the parts to train, validate and test on."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from textwright.data.formats.files import CONVERSATIONS, Form, KnownText, RawText, look_at
from textwright.data.prepared_conversations import (
    ConversationPart,
    PreparedTalks,
    check_some,
    prepare_talks,
)
from textwright.data.prepared_text import PreparedText, prepare
from textwright.data.sources import builtin
from textwright.data.sources.cache import cache_folder
from textwright.data.sources.resolve import Found, find
from textwright.data.text import Origin, TextPart
from textwright.errors import CorpusError, DownloadError, RequestError

DEFAULT = "shakespeare"
SHORTEST = 2
"""Characters of a part: one to read and one to predict."""

_MOST_WARNINGS = 10
_logger = logging.getLogger("textwright")


@dataclass(frozen=True)
class Source:
    """One file that a corpus is made of, as it came."""

    address: str
    sha256: str
    """Of its bytes (unpacked, for a .gz)."""
    bytes: int
    encoding: str
    """Empty for formats that say it themselves."""
    licence: str | None
    known_edition: bool | None
    """Whether a built-in's hash is a known one; None where there are none to know."""


@dataclass(frozen=True)
class Corpus:
    """A source of text, prepared and split.

    Its parts are `ConversationPart`s where it is of conversations, and hold whole ones.
    """

    name: str
    train: TextPart
    validation: TextPart
    test: TextPart | None
    sha256: str
    """Of the prepared text; where the parts are texts of their own, of their hashes' lines."""
    sources: tuple[Source, ...]
    licence: str | None
    word_form: Literal["text", "whitespace"]
    """How the word tokenizer splits: as text reads, or at white space as a benchmark counts."""
    warnings: tuple[str, ...]
    origins: tuple[Origin, ...] = ()
    """What the training text is made of, in order; nothing where it is of conversations."""

    @property
    def conversations(self) -> bool:
        """Whether it is of conversations, and not running text."""
        return isinstance(self.train, ConversationPart)


def open_corpus(
    sources: Sequence[str] | None = None,
    *,
    validation: str | None = None,
    validation_fraction: float = 0.1,
    form: Form = "auto",
    cache: Path | None = None,
) -> Corpus:
    """The text that `sources` mean, ready to train on.

    Args:
        sources: files, folders, globs, addresses, `-`, built-ins, `hf:owner/dataset`; none means
            `shakespeare`, or `python-docs` where that can't be downloaded.
        validation: a source to validate on, in place of a published split or the text's end.
        validation_fraction: the share of characters at the end that is kept for validation
            otherwise: training takes the first int(n × (1 - fraction)), computed exactly. Of
            conversations it is that share of them, whole ones, as their hashes choose.
        form: `text` or `conversations`, whatever the files look like.
        cache: in place of `cache_folder()`.

    Raises:
        CorpusError: a source does not exist, can't be read, or there is too little text.
        DownloadError: a download failed.
        MissingPackageError: a format needs an extra.
    """
    if not 0 < validation_fraction < 1:
        raise RequestError(
            f"the validation fraction must be between 0 and 1, not {validation_fraction}"
        )
    with ExitStack() as until:
        opening = _Opening(cache or cache_folder(), until, form)
        found = opening.find_all(sources) if sources else [opening.default()]
        held_out = opening.find_all([validation]) if validation else []
        return _split(opening, found, held_out, validation_fraction)


def open_text(
    sources: Sequence[str], *, form: Form = "auto", cache: Path | None = None
) -> TextPart:
    """The text that `sources` mean as one part, unsplit: to evaluate on.

    A `ConversationPart` where they hold conversations.

    Of a source with a published split it is the test part, where there is one.

    Raises:
        CorpusError, DownloadError, MissingPackageError: as `open_corpus`.
    """
    if not sources:
        raise CorpusError("no text named; give a file")
    with ExitStack() as until:
        opening = _Opening(cache or cache_folder(), until, form)
        files: list[RawText] = []
        for found in opening.find_all(sources):
            tests = _with_role(found, "test")
            files += tests if found.split and tests else found.files
        text = opening.prepare(files, " ".join(sources))
        return _whole(text)


class _Opening:
    """One call: where things are kept, what was found, what there is to warn about."""

    def __init__(self, cache: Path, until: ExitStack, form: Form) -> None:
        self.cache = cache
        self.until = until
        self.form = form
        self.warnings: list[str] = []
        self.sources: list[Source] = []
        self._quiet = 0

    def warn(self, line: str) -> None:
        self.warnings.append(line)
        _logger.warning(line)

    def skip(self, line: str) -> None:
        """A warning of which a folder may give thousands."""
        if sum(warning.startswith("skipped ") for warning in self.warnings) < _MOST_WARNINGS:
            self.warn(line)
        else:
            self._quiet += 1

    def find_all(self, sources: Sequence[str]) -> list[Found]:
        return [find(source, self.cache, self.until) for source in sources]

    def default(self) -> Found:
        """The built-in that is taken where no corpus is named."""
        try:
            return find(DEFAULT, self.cache, self.until)
        except DownloadError as error:
            reason = str(error).split("; ")[0]
            self.warn(f"{reason}; taking {builtin.PYTHON_DOCS} in place of {DEFAULT}")
            return find(builtin.PYTHON_DOCS, self.cache, self.until)

    def prepare(self, files: Sequence[RawText], label: str) -> PreparedText | PreparedTalks:
        """One prepared text of `files`; what is unusable in a folder is left out by name."""
        known: list[KnownText] = []
        seen: set[Path] = set()
        for raw in files:
            if raw.path:  # a file named twice, or named beside its folder, counts once
                resolved = raw.path.resolve()
                if resolved in seen:
                    continue
                seen.add(resolved)
            try:
                known.append(look_at(raw, self.form))
            except CorpusError as error:
                if raw.listed:
                    raise
                self.skip(f"skipped {error}")
        if not known:
            raise CorpusError(f"{label} holds no usable text; give a file of text")
        text = self._prepare_known(known)
        for line in text.warnings:
            self.skip(line)
        if self._quiet:
            self.warn(f"{self._quiet} more files were skipped")
            self._quiet = 0
        if isinstance(text, PreparedTalks):
            check_some(text.count, label)
        elif not text.characters:
            raise CorpusError(f"{label} holds no usable text; give a file of text")
        for index, item in enumerate(known):
            if index not in text.skipped:
                self._record(item)
        return text

    def _prepare_known(self, known: Sequence[KnownText]) -> PreparedText | PreparedTalks:
        talks = [item for item in known if item.kind in CONVERSATIONS]
        if not talks:
            return prepare(known, self.cache)
        if len(talks) < len(known):
            other = next(item for item in known if item.kind not in CONVERSATIONS)
            raise CorpusError(
                f"{talks[0].raw.label} holds conversations and {other.raw.label} running text; "
                "train on one kind, or take both for text: --set corpus.form=text"
            )
        return prepare_talks(known, self.cache)

    def _record(self, item: KnownText) -> None:
        raw, inspection = item.raw, item.inspection
        for note in item.notes:
            self.warn(note)
        is_known = inspection.sha256 in raw.editions if raw.editions else None
        if is_known is False:
            self.warn(
                f"{raw.label} is an edition that textwright does not know (sha256 "
                f"{inspection.sha256[:12]}…); results may differ from published ones"
            )
        encoding = "" if item.kind in ("html", "epub", "docx", "parquet") else inspection.encoding
        self.sources.append(
            Source(raw.label, inspection.sha256, inspection.size, encoding, raw.licence, is_known)
        )


def _split(opening: _Opening, found: list[Found], held_out: list[Found], fraction: float) -> Corpus:
    label = " ".join(item.name for item in found)
    published = len(found) == 1 and found[0].split
    files: list[RawText] = []
    for item in found:
        files += _with_role(item, "train") if item.split else item.files
    if held_out:
        apart = {file.path.resolve() for item in held_out for file in item.files if file.path}
        files = [raw for raw in files if not (raw.path and raw.path.resolve() in apart)]
        if not files:
            raise CorpusError(f"{label} is the validation text itself; give another to train on")
    text = opening.prepare(files, label)

    validation_files: list[RawText] = []
    test_files = _with_role(found[0], "test") if published else []
    if held_out:
        for item in held_out:
            own = _with_role(item, "validation")
            validation_files += own if item.split and own else item.files
    elif published:
        validation_files = _with_role(found[0], "validation")

    if validation_files:
        train = _whole(text)
        validation = _whole(opening.prepare(validation_files, "the validation text"))
    else:
        train, validation = _cut(text, fraction, label)
    test = None
    if test_files:
        test = _whole(opening.prepare(test_files, "the test text"))
    _check(train, validation, label)
    hashes = list(dict.fromkeys(part.sha256 for part in (train, validation, test) if part))
    licences = list(dict.fromkeys(source.licence for source in opening.sources if source.licence))
    return Corpus(
        name=found[0].name + ("-and-more" if len(found) > 1 else ""),
        train=train,
        validation=validation,
        test=test,
        sha256=hashes[0]
        if len(hashes) == 1
        else hashlib.sha256("\n".join(hashes).encode()).hexdigest(),
        sources=tuple(opening.sources),
        licence=" and ".join(licences) or None,
        word_form="whitespace" if all(item.word_form == "whitespace" for item in found) else "text",
        warnings=tuple(opening.warnings),
        origins=text.origins if isinstance(text, PreparedText) else (),
    )


def _cut(
    text: PreparedText | PreparedTalks, fraction: float, label: str
) -> tuple[TextPart, TextPart]:
    """The part to train on and the part to validate on."""
    if isinstance(text, PreparedText):
        cut = int(text.characters * (1 - Fraction(str(fraction))))
        return text.part(0, cut), text.part(cut, text.characters)
    cut = text.share(fraction)
    if cut >= text.count:
        raise CorpusError(
            f"{label} has too few different conversations ({text.count - len(text.equal)}) to "
            "learn from some and be judged by others; give more, or a file of their own for "
            "validation (--val FILE)"
        )
    return text.part(cut, text.count), text.part(0, cut)


def _check(train: TextPart, validation: TextPart, label: str) -> None:
    """Raises `CorpusError`: the parts can't be trained and validated on."""
    if isinstance(train, ConversationPart) != isinstance(validation, ConversationPart):
        kinds = ("conversations", "running text")
        one, two = kinds if isinstance(train, ConversationPart) else kinds[::-1]
        raise CorpusError(f"{label} holds {one} and the validation text {two}; give the same kind")
    for part, name in ((train, "train"), (validation, "validate")):
        if part.characters < SHORTEST:
            raise CorpusError(
                f"{label} has {train.characters + validation.characters} characters, too few to "
                f"{name} on; give a longer text, or a file of its own for validation (--val FILE)"
            )


def _whole(text: PreparedText | PreparedTalks) -> TextPart:
    return text.part(0, text.count if isinstance(text, PreparedTalks) else text.characters)


def _with_role(found: Found, role: str) -> list[RawText]:
    return [file for file in found.files if file.role == role]


__all__ = ["Corpus", "Source", "open_corpus", "open_text"]
