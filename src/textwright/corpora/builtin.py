"""Texts that have a name: where they are found, what is known of them.

`$TEXTWRIGHT_CORPORA` names a folder that is searched before any download, so a classroom or a
machine without internet access needs a copy of the files and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from textwright.corpora import downloads
from textwright.corpora.decoding import BLOCK
from textwright.corpora.rawtext import RawText, Role, from_path
from textwright.errors import DownloadError

CORPORA_VARIABLE = "TEXTWRIGHT_CORPORA"
PYTHON_DOCS = "python-docs"
_PYTHON_DOCS_SIZE = 465_000


@dataclass(frozen=True)
class Edition:
    """One known content of a file."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class BuiltInFile:
    """A file of a built-in; several are its published split."""

    role: Role
    path: str
    """Where it is guessed to lie in `$TEXTWRIGHT_CORPORA`, as it is or with `.gz`."""
    addresses: tuple[str, ...]
    """Where it can be downloaded; the first that has it is taken."""
    editions: tuple[Edition, ...]


@dataclass(frozen=True)
class BuiltIn:
    """A corpus by name."""

    name: str
    title: str
    licence: str
    files: tuple[BuiltInFile, ...]
    whitespace_words: bool = False
    """Words are what white space separates, as the benchmark counts them."""

    @property
    def size(self) -> int:
        """Bytes of text, about."""
        return sum(file.editions[0].bytes for file in self.files) or _PYTHON_DOCS_SIZE

    def file(self, role: Role) -> BuiltInFile | None:
        """The file of one role of the published split."""
        return next((file for file in self.files if file.role == role), None)


def _book(name: str, title: str, number: int, sha256: str, size: int) -> BuiltIn:
    site = "https://www.gutenberg.org"
    file = BuiltInFile(
        "whole",
        f"gutenberg/{number}-0.txt",
        (
            f"{site}/cache/epub/{number}/pg{number}.txt",
            f"{site}/files/{number}/{number}-0.txt",
        ),
        (Edition(sha256, size),),
    )
    return BuiltIn(name, title, "public domain in the USA", (file,))


def _wikitext(role: Role, name: str, *editions: Edition) -> BuiltInFile:
    folder = "https://raw.githubusercontent.com/pytorch/examples/main/word_language_model/data"
    return BuiltInFile(
        role, f"wikitext-2/{name}.txt", (f"{folder}/wikitext-2/{name}.txt",), editions
    )


BUILT_INS: dict[str, BuiltIn] = {
    built_in.name: built_in
    for built_in in (
        BuiltIn(
            "shakespeare",
            "Tiny Shakespeare (A. Karpathy's char-rnn)",
            "public domain",
            (
                BuiltInFile(
                    "whole",
                    "tinyshakespeare.txt",
                    (
                        "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/"
                        "tinyshakespeare/input.txt",
                    ),
                    (
                        Edition(
                            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                            1_115_394,
                        ),
                    ),
                ),
            ),
        ),
        _book(
            "pride-and-prejudice",
            "Jane Austen, Pride and Prejudice",
            1342,
            "703b3708a0d233b603e383124c2d0690c0bec23f1cc829fbda9df03aaee9c857",
            724_723,
        ),
        _book(
            "frankenstein",
            "Mary Shelley, Frankenstein",
            84,
            "8f39f084255741ac5dd42abac0f426dded1ed5d427013ece6906a9947034b33b",
            450_781,
        ),
        _book(
            "sherlock-holmes",
            "Arthur Conan Doyle, The Adventures of Sherlock Holmes",
            1661,
            "ca8a64f36e248b08917422a8dec2f9c958328747656246e2ed1bb9e5c31544e7",
            607_781,
        ),
        BuiltIn(
            "wikitext-2",
            "WikiText-2, words (Merity et al., 2016)",
            "CC BY-SA 3.0",
            (
                _wikitext(
                    "train",
                    "train",
                    # The articles in another order than the original's, which no one lists.
                    Edition(
                        "728c77e87e176af4730f9a80fc6008bcaff421a7202c1c048877c0eec3685f89",
                        10_797_148,
                    ),
                ),
                _wikitext(
                    "validation",
                    "valid",
                    Edition(
                        "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
                        1_121_681,
                    ),
                ),
                _wikitext(
                    "test",
                    "test",
                    Edition(
                        "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
                        1_256_449,
                    ),
                ),
            ),
            whitespace_words=True,
        ),
        BuiltIn(PYTHON_DOCS, "Python's own help topics (pydoc_data)", "PSF-2.0", ()),
    )
}
"""Every built-in by name."""


def find(name: str) -> BuiltIn | None:
    """The built-in called `name`; case and `_` or `-` do not matter."""
    return BUILT_INS.get(name.lower().replace("_", "-"))


def raw_texts(built_in: BuiltIn, cache: Path, *, again: bool = False) -> list[RawText]:
    """The files of a built-in: from `$TEXTWRIGHT_CORPORA`, the cache, or downloaded now.

    Raises:
        DownloadError: it is nowhere here and can't be downloaded; the message says what to do.
    """
    if built_in.name == PYTHON_DOCS:
        return [_python_docs()]
    return [
        replace(
            _obtain(file, cache, again),
            role=file.role,
            licence=built_in.licence,
            editions=frozenset(edition.sha256 for edition in file.editions),
        )
        for file in built_in.files
    ]


def whereabouts(built_in: BuiltIn, cache: Path) -> str:
    """Where a built-in would come from: "here", "$TEXTWRIGHT_CORPORA", "cache" or "download"."""
    if built_in.name == PYTHON_DOCS:
        return "here"
    places = set()
    for file in built_in.files:
        if _guess(file):
            places.add(f"${CORPORA_VARIABLE}")
        elif any(downloads.cached(address, cache) for address in file.addresses):
            places.add("cache")
        else:
            return "download"
    return " and ".join(sorted(places))


def _obtain(file: BuiltInFile, cache: Path, again: bool) -> RawText:
    if found := _search(file):
        return found
    failure: DownloadError | None = None
    for address in file.addresses:
        try:
            return from_path(downloads.download(address, cache, again=again).path, address)
        except downloads.UnreachableError as error:
            failure = error
            break  # the next address is at the same host
        except DownloadError as error:
            failure = error
    raise DownloadError(
        f"{failure}; or put it into a folder as {file.path} and set ${CORPORA_VARIABLE} to that"
    )


def _search(file: BuiltInFile) -> RawText | None:
    """The file in `$TEXTWRIGHT_CORPORA`: by hash, where its name says, anywhere; else by name."""
    guess = _guess(file)
    known = {edition.sha256 for edition in file.editions}
    if guess and _sha256(guess) in known:
        return from_path(guess)
    sizes = {edition.bytes for edition in file.editions}
    for path in _files():
        if path != guess and _may_be(path, sizes) and _sha256(path) in known:
            return from_path(path)
    return from_path(guess) if guess else None


def _guess(file: BuiltInFile) -> Path | None:
    folder = os.environ.get(CORPORA_VARIABLE)
    if not folder:
        return None
    candidates = (Path(folder) / file.path, Path(folder) / f"{file.path}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _files() -> Iterator[Path]:
    folder = os.environ.get(CORPORA_VARIABLE)
    for root, folders, names in os.walk(folder or os.devnull):
        folders.sort()
        for name in sorted(names):
            yield Path(root, name)


def _may_be(path: Path, sizes: set[int]) -> bool:
    """Whether a file has one of the sizes, or, packed, could."""
    try:
        size = path.stat().st_size
    except OSError:
        return False
    if path.name.endswith(".gz"):
        # Text packs to between a fifth and a half; each candidate costs a full read.
        return any(wanted / 6 < size < wanted for wanted in sizes)
    return size in sizes


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with from_path(path).open() as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except (OSError, EOFError):
        return ""
    return digest.hexdigest()


def _python_docs() -> RawText:
    """The prose that every Python carries; it differs a little between Python versions."""
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name].strip() for name in sorted(topics)) + "\n"
    data = text.encode("utf-8")
    return RawText(PYTHON_DOCS, f"{PYTHON_DOCS}.txt", partial(io.BytesIO, data), licence="PSF-2.0")
