"""Datasets of the Hugging Face Hub: `hf:owner/dataset`, of which text files are taken.

`hf:owner/dataset:part` takes one configuration (a folder) or one file, `hf:owner/dataset@revision`
one revision. huggingface_hub downloads the files into its own cache.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from textwright.data.formats.files import Role, SourceFile, local_file
from textwright.errors import CorpusError, DownloadError

PREFIX = "hf:"
MAX_BYTES = 1 << 35
"""Of all files of a dataset."""

_EXTENSIONS = (".txt", ".jsonl", ".json", ".csv", ".parquet", ".txt.gz", ".jsonl.gz", ".csv.gz")
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
class HubDataset:
    """The downloaded text files of a dataset."""

    name: str
    files: list[SourceFile]
    split: bool
    """Whether the files' roles are the published split."""


def open_dataset(reference: str) -> HubDataset:
    """Download what `hf:…` names.

    Raises:
        CorpusError: the reference is malformed, or the dataset has no (or several) texts.
        DownloadError: the Hub can't be reached, or has no such dataset.
    """
    match = _REFERENCE.fullmatch(reference.removeprefix(PREFIX))
    if not match:
        raise CorpusError(f"{reference} names no data set; write hf:owner/dataset")
    repository, revision, part = match.groups()
    from huggingface_hub import HfApi, hf_hub_download

    # The library reads it when it is imported, which may be earlier
    endpoint = os.environ.get("HF_ENDPOINT") or None
    try:
        info = HfApi(endpoint=endpoint).dataset_info(
            repository, revision=revision, files_metadata=True
        )
        sizes = {file.rfilename: file.size or 0 for file in info.siblings or []}
        chosen = _choose(reference, list(sizes), part)
        total = sum(sizes[name] for name in chosen)
        if total > MAX_BYTES:
            raise CorpusError(
                f"{reference} has {total:,} bytes of text; choose a part of it: {PREFIX}"
                f"{repository}:FILE"
            )
        card: Any = info.card_data or {}
        licence = card.get("license")
        files = []
        for name, role in chosen.items():
            path = hf_hub_download(
                repository, name, repo_type="dataset", revision=info.sha, endpoint=endpoint
            )
            files.append(
                SourceFile(
                    f"{PREFIX}{repository}/{name}",
                    PurePosixPath(name).name.removesuffix(".gz"),
                    local_file(Path(path)).open,
                    role=role,
                    licence=str(licence) if licence else None,
                    records_only=True,
                )
            )
    except CorpusError:
        raise
    except Exception as error:
        # The library raises many types: HTTP statuses, names it refuses, its transport's errors.
        raise DownloadError(
            f"{reference} could not be downloaded ({_reason(error)}); check the name and the "
            "connection, and log in with `hf auth login` if it is gated"
        ) from error
    split = any(file.role == "train" for file in files)
    return HubDataset(repository.split("/")[1], files, split)


def _choose(reference: str, names: list[str], part: str | None) -> dict[str, Role]:
    """The files to download, in order, and their roles."""
    texts = sorted(
        name
        for name in names
        if name.lower().endswith(_EXTENSIONS)
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
    training = [name for name, role in roles.items() if role == "train"]
    configurations = sorted({str(PurePosixPath(name).parent) for name in training})
    if len(configurations) > 1:
        raise CorpusError(
            f"{reference} has several configurations; choose one: "
            + ", ".join(f"{reference}:{name}" for name in configurations[:8])
        )
    if training:
        return {name: role for name, role in roles.items() if role != "whole"}
    return dict.fromkeys(texts, "whole")


def _role(name: str) -> Role:
    """The split of a file by its name, as the Hub's viewer reads it: `test-00000-of-…`."""
    for piece in reversed(PurePosixPath(name).parts):
        for word in re.split(r"[^a-z]+", piece.lower()):
            if word in _SPLITS:
                return _SPLITS[word]
    return "whole"


def _reason(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error).split("\n", 1)[0])[:200] or type(error).__name__
