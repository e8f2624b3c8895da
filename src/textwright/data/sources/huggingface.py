"""Data sets of the Hugging Face Hub: `hf:owner/dataset`, its files of text.

`hf:owner/dataset:part` takes one configuration (a folder) or one file of it, and `@revision`
after the name one revision. Files are downloaded by huggingface_hub into its own cache.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from textwright.data.formats.files import RawText, Role, from_path
from textwright.errors import CorpusError, DownloadError

PREFIX = "hf:"
LARGEST = 1 << 35
"""Bytes of all files of a data set that is taken."""

_ENDINGS = (".txt", ".jsonl", ".json", ".csv", ".parquet", ".txt.gz", ".jsonl.gz", ".csv.gz")
_NOT_TEXT = {"dataset_infos.json", "dataset_info.json", "config.json", "requirements.txt"}
_REFERENCE = re.compile(r"([\w.-]+/[\w.-]+)(?:@([\w./-]+))?(?::(.+))?")
_SPLITS: dict[str, Role] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


@dataclass(frozen=True)
class DataSet:
    """The files of a data set that are text, downloaded."""

    name: str
    files: list[RawText]
    split: bool
    """The files' roles are the published split."""


def open_data_set(reference: str) -> DataSet:
    """Download what `hf:…` names.

    Raises:
        CorpusError: the reference is malformed, or the data set has no (or several) texts.
        DownloadError: the Hub can't be reached, or has no such data set.
    """
    match = _REFERENCE.fullmatch(reference.removeprefix(PREFIX))
    if not match:
        raise CorpusError(f"{reference} names no data set; write hf:owner/dataset")
    repository, revision, part = match.groups()
    from huggingface_hub import HfApi, hf_hub_download

    # Read now, not when the library was imported.
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        about = HfApi(endpoint=endpoint).dataset_info(
            repository, revision=revision, files_metadata=True
        )
        sizes = {file.rfilename: file.size or 0 for file in about.siblings or []}
        chosen = _choose(reference, list(sizes), part)
        total = sum(sizes[name] for name in chosen)
        if total > LARGEST:
            raise CorpusError(
                f"{reference} has {total:,} bytes of text; choose a part of it: {PREFIX}"
                f"{repository}:FILE"
            )
        card: Any = about.card_data or {}
        licence = card.get("license")
        files = []
        for name, role in chosen.items():
            path = hf_hub_download(
                repository, name, repo_type="dataset", revision=about.sha, endpoint=endpoint
            )
            files.append(
                RawText(
                    f"{PREFIX}{repository}/{name}",
                    PurePosixPath(name).name.removesuffix(".gz"),
                    from_path(Path(path)).open,
                    role=role,
                    licence=str(licence) if licence else None,
                    records_only=True,
                )
            )
    except CorpusError:
        raise
    except Exception as error:
        # The library lets many kinds through: HTTP statuses, names it refuses, its transport's.
        raise DownloadError(
            f"{reference} could not be downloaded ({_reason(error)}); check the name and the "
            "connection, and log in with `hf auth login` if it is gated"
        ) from error
    split = any(file.role == "train" for file in files)
    return DataSet(repository.split("/")[1], files, split)


def _choose(reference: str, names: list[str], part: str | None) -> dict[str, Role]:
    """The files to take, in order, and their roles."""
    texts = sorted(
        name
        for name in names
        if name.lower().endswith(_ENDINGS)
        and not name.startswith(".")
        and PurePosixPath(name).name not in _NOT_TEXT
    )
    if part:
        texts = [name for name in texts if name == part or name.startswith(part.rstrip("/") + "/")]
    if not texts:
        raise CorpusError(
            f"{reference} has no text, JSON, CSV or Parquet files"
            + (f" in {part}" if part else "; give the address of another file of it as a URL")
        )
    roles = {name: _role(name) for name in texts}
    trained = [name for name, role in roles.items() if role == "train"]
    configurations = sorted({str(PurePosixPath(name).parent) for name in trained})
    if len(configurations) > 1:
        raise CorpusError(
            f"{reference} has several configurations; choose one: "
            + ", ".join(f"{reference}:{name}" for name in configurations[:8])
        )
    if trained:
        return {name: role for name, role in roles.items() if role != "whole"}
    return dict.fromkeys(texts, "whole")


def _role(name: str) -> Role:
    """The split a file belongs to, as the Hub's viewer reads it from names: `test-00000-of-…`."""
    for piece in reversed(PurePosixPath(name).parts):
        for word in re.split(r"[^a-z]+", piece.lower()):
            if word in _SPLITS:
                return _SPLITS[word]
    return "whole"


def _reason(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error).split("\n", 1)[0])[:200] or type(error).__name__
