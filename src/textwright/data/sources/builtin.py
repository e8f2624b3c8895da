"""The built-in corpora: where their files are found, and which contents are known.

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

from textwright.data.formats.encodings import BLOCK
from textwright.data.formats.files import Role, SourceFile, local_file
from textwright.data.sources import dialogue_datasets, downloads
from textwright.data.sources.cache import cache_key
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
    """Expected path below `$TEXTWRIGHT_CORPORA`, as it is or with `.gz`."""
    addresses: tuple[str, ...]
    """URLs to try in order."""
    editions: tuple[Edition, ...]
    """Known contents, uncompressed; empty if none is known."""
    dataset: str | None = None
    """Of conversations: the dataset in whose own format the download is, to be converted."""
    approximate_bytes: int = 0
    """Where no edition is known."""

    @property
    def size(self) -> int:
        """Bytes, approximately."""
        return self.editions[0].bytes if self.editions else self.approximate_bytes


@dataclass(frozen=True)
class BuiltIn:
    """A corpus by name."""

    name: str
    title: str
    licence: str
    files: tuple[BuiltInFile, ...]
    whitespace_words: bool = False
    """Words are split at white space alone, as the benchmark counts them."""

    @property
    def size(self) -> int:
        """Bytes of text, approximately."""
        return sum(file.size for file in self.files) or _PYTHON_DOCS_SIZE

    def part(self, role: Role) -> tuple[BuiltInFile, ...]:
        """The files of one role of the published split."""
        return tuple(file for file in self.files if file.role == role)


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


def _self_dialogue(role: Role, name: str, sha256: str, size: int) -> BuiltInFile:
    site = "https://github.com/jfainberg/self_dialogue_corpus/archive/refs/heads"
    return BuiltInFile(
        role,
        f"conversations/self-dialogue/{name}.jsonl",
        (f"{site}/main.zip", f"{site}/master.zip"),
        (Edition(sha256, size),),
        dataset="self-dialogue",
    )


def _topical_chat(role: Role, name: str, *editions: Edition, size: int = 0) -> BuiltInFile:
    site = "https://raw.githubusercontent.com/alexa/Topical-Chat/master/conversations"
    return BuiltInFile(
        role,
        f"conversations/topical-chat/{name}.jsonl",
        (f"{site}/{name}.json",),
        editions,
        dataset="topical-chat",
        approximate_bytes=size,
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
                    # The articles are in another order than the original's.
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
        BuiltIn(
            "self-dialogue",
            "Conversations about films, music and sport (Fainberg et al., 2018)",
            "BSD-3-Clause",
            (
                _self_dialogue(
                    "train",
                    "train",
                    "e72ed575416b21e153a89f909cab3622e6cd833ae5dc37615cac87b2f0803517",
                    29_481_190,
                ),
                _self_dialogue(
                    "validation",
                    "valid",
                    "530031829e3502d93a5dd63ca4f007aa71024e4359007ce7d90da89e11b51578",
                    1_648_054,
                ),
                _self_dialogue(
                    "test",
                    "test",
                    "12b2c8e3ea0f9d832363c1cf34fab513b93727a8d1008292d6c4bca9df04a1ec",
                    1_668_982,
                ),
            ),
        ),
        BuiltIn(
            "topical-chat",
            "Conversations about eight topics (Gopalakrishnan et al., 2019)",
            "CDLA-Sharing-1.0",
            (
                _topical_chat("train", "train", size=26_000_000),
                _topical_chat(
                    "validation",
                    "valid_freq",
                    Edition(
                        "d5e4d33867db92c1db310382c86786fa9a9d7cab88ccab3fb01eb333f8e123a2",
                        1_645_151,
                    ),
                ),
                _topical_chat(
                    "validation",
                    "valid_rare",
                    Edition(
                        "eca4c092de5666b7aab7119913aef5276f8d86aba1d4b7aad4c4b53064bc58b5",
                        1_639_087,
                    ),
                ),
                _topical_chat(
                    "test",
                    "test_freq",
                    Edition(
                        "6c6042d6bbe3d22d3a4ca5ae2a01d37d296b065aec4ab0acefd663bf1381b606",
                        1_634_037,
                    ),
                ),
                _topical_chat(
                    "test",
                    "test_rare",
                    Edition(
                        "3e30c3422b14da3b723ce72d51df7deb36cf868387e3395ce2542aa5bbf7ed37",
                        1_636_776,
                    ),
                ),
            ),
        ),
        BuiltIn(PYTHON_DOCS, "Python's own help topics (pydoc_data)", "PSF-2.0", ()),
    )
}
"""Every built-in by name."""


def find(name: str) -> BuiltIn | None:
    """The built-in called `name`; case and `_` or `-` do not matter."""
    return BUILT_INS.get(name.lower().replace("_", "-"))


def source_files(built_in: BuiltIn, cache: Path, *, again: bool = False) -> list[SourceFile]:
    """The files of a built-in: from `$TEXTWRIGHT_CORPORA`, the cache, or downloaded now.

    Raises:
        DownloadError: it isn't here and can't be downloaded; the message says what to do.
    """
    if built_in.name == PYTHON_DOCS:
        return [_python_docs()]
    files = []
    fetched: set[tuple[str, ...]] = set()  # one archive may hold several files
    for file in built_in.files:
        source = _fetch(file, cache, again and file.addresses not in fetched)
        fetched.add(file.addresses)
        files.append(
            replace(
                source,
                role=file.role,
                licence=built_in.licence,
                editions=frozenset(edition.sha256 for edition in file.editions) or None,
            )
        )
    return files


def locate(built_in: BuiltIn, cache: Path) -> str:
    """Where its files would be read from: "here", "$TEXTWRIGHT_CORPORA", "cache" or "download"."""
    if built_in.name == PYTHON_DOCS:
        return "here"
    locations = set()
    for file in built_in.files:
        if _expected_path(file):
            locations.add(f"${CORPORA_VARIABLE}")
        elif any(downloads.cached(address, cache) for address in file.addresses):
            locations.add("cache")
        else:
            return "download"
    return " and ".join(sorted(locations))


def _fetch(file: BuiltInFile, cache: Path, again: bool) -> SourceFile:
    if local := _find_local(file):
        return local
    failure: DownloadError | None = None
    for address in file.addresses:
        try:
            download = downloads.download(address, cache, again=again)
            if file.dataset is None:
                return local_file(download.path, address)
            return _convert(file, file.dataset, download, address, cache)
        except downloads.UnreachableError as error:
            failure = error
            break  # the next address is at the same host
        except DownloadError as error:
            failure = error
    raise DownloadError(
        f"{failure}; or put it into a folder as {file.path} and set ${CORPORA_VARIABLE} to that"
    )


def _convert(
    file: BuiltInFile, dataset: str, download: downloads.Download, address: str, cache: Path
) -> SourceFile:
    """The conversations of a downloaded dataset, converted unless they are in the cache."""
    key = cache_key("original", dialogue_datasets.FORMAT, dataset, file.role, download.sha256)
    path = cache / "texts" / key / Path(file.path).name
    if not path.is_file():
        dialogue_datasets.convert(dataset, download.path, file.role, path)
    return replace(local_file(path, address), path=None)


def _find_local(file: BuiltInFile) -> SourceFile | None:
    """The file in `$TEXTWRIGHT_CORPORA`: by hash, at its path or anywhere; else by path alone."""
    expected = _expected_path(file)
    known = {edition.sha256 for edition in file.editions}
    if expected and _sha256(expected) in known:
        return local_file(expected)
    sizes = {edition.bytes for edition in file.editions}
    for path in _files():
        if path != expected and _is_candidate(path, sizes) and _sha256(path) in known:
            return local_file(path)
    return local_file(expected) if expected else None


def _expected_path(file: BuiltInFile) -> Path | None:
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


def _is_candidate(path: Path, sizes: set[int]) -> bool:
    """Whether a file has one of the sizes, or could have once decompressed."""
    try:
        size = path.stat().st_size
    except OSError:
        return False
    if path.name.endswith(".gz"):
        # Text compresses to between a fifth and a half; each candidate costs a full read.
        return any(unpacked / 6 < size < unpacked for unpacked in sizes)
    return size in sizes


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with local_file(path).open() as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except (OSError, EOFError):
        return ""
    return digest.hexdigest()


def _python_docs() -> SourceFile:
    """The help topics of the running Python; they differ a little between versions."""
    from pydoc_data.topics import topics

    text = "\n\n".join(topics[name].strip() for name in sorted(topics)) + "\n"
    data = text.encode("utf-8")
    return SourceFile(
        PYTHON_DOCS, f"{PYTHON_DOCS}.txt", partial(io.BytesIO, data), licence="PSF-2.0"
    )
