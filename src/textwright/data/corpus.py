"""Opening a corpus: sources → prepared text → parts for training, validation and test."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal, TypeAlias

from textwright.data.formats.conversations import check_not_empty
from textwright.data.formats.files import (
    CONVERSATIONS,
    Form,
    InspectedFile,
    Reading,
    SourceFile,
    inspect_file,
)
from textwright.data.formats.findings import likewise
from textwright.data.prepared_conversations import (
    ConversationPart,
    PreparedConversations,
    prepare_conversations,
)
from textwright.data.sources import builtin
from textwright.data.sources.addresses import without_secrets
from textwright.data.sources.builtin import BUILT_INS
from textwright.data.sources.cache import cache_folder
from textwright.data.sources.resolve import ResolvedSource, resolve
from textwright.data.text import Origin, PreparedText, TextPart, prepare_text
from textwright.errors import (
    CorpusError,
    DownloadError,
    MissingPackageError,
    RequestError,
    counted,
)
from textwright.runs import is_model_folder

DEFAULT = "shakespeare"
STANDARD_INPUT = "-"
MIN_CHARACTERS = 2
"""Of a part: one to read and one to predict."""

_logger = logging.getLogger("textwright")

Prepared: TypeAlias = PreparedText | PreparedConversations


@dataclass(frozen=True)
class Source:
    """The record of one file that a corpus is made of."""

    address: str
    sha256: str
    """Of its bytes, of a .gz decompressed."""
    bytes: int
    encoding: str
    """Empty for formats that declare their own."""
    licence: str | None
    known_edition: bool | None
    """Whether the sha256 is a known one of the built-in; None for other files."""


@dataclass(frozen=True)
class Corpus:
    """Prepared text, split. For conversations the parts are `ConversationPart`s of whole ones."""

    name: str
    train: TextPart
    validation: TextPart
    test: TextPart | None
    sha256: str
    """Of the prepared text; where the parts are separate texts, of their sha256s, a line each."""
    sources: tuple[Source, ...]
    licence: str | None
    word_form: Literal["text", "whitespace"]
    """How the word tokenizer splits: words and punctuation, or at white space as benchmarks do."""
    warnings: tuple[str, ...]
    origins: tuple[Origin, ...] = ()
    """The sources of the training text, in order; empty for conversations."""

    @property
    def conversations(self) -> bool:
        """Whether it holds conversations, not running text."""
        return isinstance(self.train, ConversationPart)


def open_corpus(
    sources: Sequence[str] | None = None,
    *,
    validation: str | None = None,
    validation_fraction: float = 0.1,
    form: Form = "auto",
    encoding: str | None = None,
    field: str | None = None,
    assistant: str | None = None,
    cache: Path | None = None,
) -> Corpus:
    """Resolve, prepare and split `sources`.

    Args:
        sources: files, folders, globs, URLs, `-`, built-ins, `hf:owner/dataset`; none means
            `shakespeare`, or `python-docs` where that can't be downloaded.
        validation: a source to validate on, instead of a published split or the text's end.
        validation_fraction: the share of characters held out at the end otherwise: training takes
            the first int(n × (1 - fraction)), computed exactly. Of conversations, the share of
            whole ones, chosen by their hashes.
        form: `text` or `conversations`, instead of detecting it.
        encoding: of files that don't declare their own, instead of detecting it.
        field: the field or column of records that holds the text, instead of finding it.
        assistant: of chats as messengers export them, whom the model is to speak as.
        cache: instead of `cache_folder()`.

    Raises:
        CorpusError: a source does not exist, can't be read, or there is too little text.
        DownloadError: a download failed.
        MissingPackageError: a format needs an extra.
    """
    if not 0 < validation_fraction < 1:
        raise RequestError(
            f"the validation fraction must be between 0 and 1, not {validation_fraction}"
        )
    with ExitStack() as stack:
        how = Reading(form, encoding, field, assistant)
        builder = _CorpusBuilder(cache or cache_folder(), stack, how)
        resolved = builder.resolve_all(sources) if sources else [builder.default()]
        held_out = builder.resolve_all([validation]) if validation else []
        return _build(builder, resolved, held_out, validation_fraction)


def open_text(
    sources: Sequence[str],
    *,
    form: Form = "auto",
    encoding: str | None = None,
    field: str | None = None,
    assistant: str | None = None,
    cache: Path | None = None,
) -> TextPart:
    """The text of `sources` as one part, unsplit, to evaluate on; of conversations, as a
    `ConversationPart`. Of a source with a published split, its test part if it has one.

    Raises:
        CorpusError, DownloadError, MissingPackageError: as `open_corpus`.
    """
    if not sources:
        raise CorpusError("no text named; give a file")
    with ExitStack() as stack:
        how = Reading(form, encoding, field, assistant)
        builder = _CorpusBuilder(cache or cache_folder(), stack, how)
        files: list[SourceFile] = []
        for resolved in builder.resolve_all(sources):
            tests = _with_role(resolved, "test")
            files += tests if resolved.split and tests else resolved.files
        return _whole(builder.prepare(files, without_secrets(" ".join(sources))))


class _CorpusBuilder:
    """The state of one `open_corpus`: sources and warnings so far."""

    def __init__(self, cache: Path, stack: ExitStack, how: Reading) -> None:
        self.cache = cache
        self.stack = stack
        self.how = how
        self.warnings: list[str] = []
        self.sources: list[Source] = []
        self._warnings: list[str] = []
        self._notes: list[str] = []
        self._labels: set[str] = set()

    def warn(self, line: str) -> None:
        self.warnings.append(line)
        _logger.warning(line)

    def _log_collected(self) -> None:
        """Log the warnings and notes about files, similar lines once."""
        for lines, log in ((self._warnings, self.warn), (self._notes, _logger.info)):
            if lines:
                for line in likewise(lines, self._labels):
                    log(line)
                lines.clear()

    def resolve_all(self, sources: Sequence[str]) -> list[ResolvedSource]:
        resolved = [resolve(source, self.cache, self.stack, is_model_folder) for source in sources]
        for line in dict.fromkeys(line for one in resolved for line in one.left_out):
            self._labels.add(line.partition(": ")[0])
            self._warnings.append(f"skipped {line}")
        return resolved

    def default(self) -> ResolvedSource:
        """The built-in for a call without sources."""
        try:
            return resolve(DEFAULT, self.cache, self.stack)
        except DownloadError as error:
            reason = str(error).split("; ")[0]
            self.warn(f"{reason}; taking {builtin.PYTHON_DOCS} in place of {DEFAULT}")
            return resolve(builtin.PYTHON_DOCS, self.cache, self.stack)

    def prepare(self, files: Sequence[SourceFile], label: str) -> Prepared:
        """One prepared text of `files`; unusable ones that weren't named are skipped."""
        self._labels.update(file.label for file in files)
        try:
            return self._prepare(files, label)
        finally:  # they may say why there is nothing to read
            self._log_collected()

    def _prepare(self, files: Sequence[SourceFile], label: str) -> Prepared:
        inspected = self._inspect_all(files)
        if not inspected:
            raise CorpusError(f"{label} holds no usable text; give a file of text")
        text = self._prepare_inspected(inspected)
        self._warnings += text.warnings
        self._notes += text.notes
        for index, one in enumerate(inspected):
            if index not in text.skipped:
                self._record(one)
        if isinstance(text, PreparedConversations):
            check_not_empty(text.count, label)
        elif not text.characters:
            raise CorpusError(f"{label} holds no usable text; give a file of text")
        return text

    def _inspect_all(self, files: Sequence[SourceFile]) -> list[InspectedFile]:
        inspected: list[InspectedFile] = []
        seen: set[Path] = set()
        for file in files:
            if file.path:  # a file named twice, or beside its folder, counts once
                path = file.path.resolve()
                if path in seen:
                    continue
                seen.add(path)
            try:
                inspected.append(inspect_file(file, self.how))
            except (CorpusError, MissingPackageError) as error:
                if file.explicit:
                    raise
                self._warnings.append(f"skipped {error}")
        return inspected

    def _prepare_inspected(self, files: Sequence[InspectedFile]) -> Prepared:
        if self.how.assistant and not any(file.kind == "chat-export" for file in files):
            self.warn(
                "assistant says who speaks in a chat that WhatsApp, Telegram or Discord exported, "
                f"and {files[0].source.label} is none"
            )
        chats = [file.source.label for file in files if file.kind in CONVERSATIONS]
        texts = [file.source.label for file in files if file.kind not in CONVERSATIONS]
        if not chats:
            return prepare_text(files, self.cache)
        if texts:
            raise CorpusError(
                f"{_some(chats)} holds conversations and {_some(texts)} running text; name or keep "
                "the files of one kind alone, or take both for text: --set corpus.form=text"
            )
        return prepare_conversations(files, self.cache)

    def _record(self, file: InspectedFile) -> None:
        source, sha256, size = file.source, file.inspection.sha256, file.inspection.size
        known = sha256 in source.editions if source.editions else None
        lines = self._notes if known else self._warnings  # the damage of a known file is known
        lines += file.warnings
        self._notes += file.notes
        if known is False:
            self.warn(
                f"{source.label} is an edition that textwright does not know (sha256 "
                f"{sha256[:12]}…); results may differ from published ones"
            )
        has_encoding = file.kind not in ("epub", "docx", "pdf", "parquet")
        encoding = file.inspection.encoding if has_encoding else ""
        self.sources.append(Source(source.label, sha256, size, encoding, source.licence, known))


def _some(labels: list[str]) -> str:
    """The first of some files, and how many more there are."""
    return labels[0] + (f" (like {counted(len(labels) - 1, 'other')})" if labels[1:] else "")


def _build(
    builder: _CorpusBuilder,
    resolved: list[ResolvedSource],
    held_out: list[ResolvedSource],
    fraction: float,
) -> Corpus:
    label = " ".join(item.name for item in resolved)
    is_published_split = len(resolved) == 1 and resolved[0].split
    files: list[SourceFile] = []
    for item in resolved:
        files += _with_role(item, "train") if item.split else item.files
    if held_out:
        excluded = {file.path.resolve() for item in held_out for file in item.files if file.path}
        files = [file for file in files if not (file.path and file.path.resolve() in excluded)]
        if not files:
            raise CorpusError(f"{label} is the validation text itself; give another to train on")
    text = builder.prepare(files, label)

    validation_files: list[SourceFile] = []
    test_files = _with_role(resolved[0], "test") if is_published_split else []
    if held_out:
        for item in held_out:
            own = _with_role(item, "validation")
            validation_files += own if item.split and own else item.files
    elif is_published_split:
        validation_files = _with_role(resolved[0], "validation")

    if validation_files:
        train = _whole(text)
        validation = _whole(builder.prepare(validation_files, "the validation text"))
    else:
        train, validation = _split(text, fraction, label)
    test = None
    if test_files:
        test = _whole(builder.prepare(test_files, "the test text"))
    _check_parts(train, validation, label)
    hashes = list(dict.fromkeys(part.sha256 for part in (train, validation, test) if part))
    combined = hashlib.sha256("\n".join(hashes).encode()).hexdigest()
    whitespace_words = all(item.word_form == "whitespace" for item in resolved)
    licences = list(dict.fromkeys(source.licence for source in builder.sources if source.licence))
    return Corpus(
        name=resolved[0].name + ("-and-more" if len(resolved) > 1 else ""),
        train=train,
        validation=validation,
        test=test,
        sha256=hashes[0] if len(hashes) == 1 else combined,
        sources=tuple(builder.sources),
        licence=" and ".join(licences) or None,
        word_form="whitespace" if whitespace_words else "text",
        warnings=tuple(builder.warnings),
        origins=text.origins if isinstance(text, PreparedText) else (),
    )


def _split(text: Prepared, fraction: float, label: str) -> tuple[TextPart, TextPart]:
    """(training, validation)."""
    if isinstance(text, PreparedText):
        cut = int(text.characters * (1 - Fraction(str(fraction))))
        return text.part(0, cut), text.part(cut, text.characters)
    cut = text.split_index(fraction)
    if cut >= text.count:
        raise CorpusError(
            f"{label} has too few different conversations ({text.count - len(text.duplicates)}) to "
            "learn from some and be judged by others; give more, or a file of their own for "
            "validation (--val FILE), or read it as running text (--set corpus.form=text)"
        )
    return text.part(cut, text.count), text.part(0, cut)


def _check_parts(train: TextPart, validation: TextPart, label: str) -> None:
    """Raises `CorpusError`: the parts are of different kinds, or too short."""
    if isinstance(train, ConversationPart) != isinstance(validation, ConversationPart):
        kinds = ("conversations", "running text")
        one, two = kinds if isinstance(train, ConversationPart) else kinds[::-1]
        raise CorpusError(f"{label} holds {one} and the validation text {two}; give the same kind")
    for part, name in ((train, "train"), (validation, "validate")):
        if part.characters < MIN_CHARACTERS:
            count = counted(train.characters + validation.characters, "character")
            raise CorpusError(
                f"{label} has {count}, too few to {name} on; give a longer text, or a file "
                "of its own for validation (--val FILE)"
            )


def _whole(text: Prepared) -> TextPart:
    return text.part(0, text.count if isinstance(text, PreparedConversations) else text.characters)


def _with_role(resolved: ResolvedSource, role: str) -> list[SourceFile]:
    return [file for file in resolved.files if file.role == role]


def recorded_source(source: str) -> str:
    """`source` as a run records it: absolute, and without the secret part of an address."""
    return without_secrets(absolute_source(source))


def absolute_source(source: str) -> str:
    """`source` as it resolves from any working directory: files and globs as absolute paths."""
    is_remote = "://" in source or source.startswith("hf:") or source == STANDARD_INPUT
    if is_remote or source.split(":", maxsplit=1)[0] in BUILT_INS:  # `resolve` looks here first
        return source
    return str(Path(source).expanduser().absolute())
