"""Conversion of dialogue datasets, as their authors publish them, to JSON Lines.

    {"id": "…", "turns": [{"agent": "agent_1", "text": "…"}, {"agent": "agent_2", "text": "…"}]}

White space in a turn is collapsed to single spaces; empty turns and conversations of fewer than two
turns are left out, and so is everything but the words: worker ids, ratings, sources.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

from textwright import atomic
from textwright.errors import CorpusError

FORMAT = 1
"""Part of every cache key; raised when the same dataset would be converted differently."""

Record: TypeAlias = dict[str, Any]

_SENTENCE = re.compile(r"Answer\.sentence(\d+)")
_MAX_FIELD = 1 << 20
"""Characters of one field of a table."""


def convert(name: str, original: Path, role: str, converted: Path) -> None:
    """Write the conversations of `role` (`train`, `validation`, `test`).

    Args:
        name: `self-dialogue` or `topical-chat`.
        original: the downloaded file.
        role: a part of the split; a file of `topical-chat` is one part already.
        converted: the file to write, whole or not at all.

    Raises:
        CorpusError: `original` is damaged, or in another format.
        TextwrightError: `converted` can't be written.
    """
    try:
        records = _self_dialogue(original, role) if name == "self-dialogue" else _topical(original)
        lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, csv.Error,
            zipfile.BadZipFile) as error:  # fmt: skip
        raise CorpusError(
            f"{original} is not {name} as its authors publish it ({error}); delete it, or "
            "download it anew: textwright corpora fetch --again"
        ) from error
    if not lines:
        raise CorpusError(
            f"{original} holds no {role} conversations of {name}; get it anew: "
            "textwright corpora fetch --again"
        )
    atomic.write_text(converted, "".join(lines))


def _self_dialogue(archive: Path, role: str) -> Iterator[Record]:
    """The Self-dialogue Corpus (Fainberg et al., 2018): tables of Mechanical Turk in a ZIP.

    Rejected answers and those of blocked workers are left out. It has no published split, so the
    SHA-256 of a conversation's id decides: 5 % validation, 5 % test.
    """
    records: dict[str, Record] = {}
    with zipfile.ZipFile(archive) as files:
        names = files.namelist()
        blocked: set[str] = set()
        for name in names:
            if PurePosixPath(name).name == "blocked_workers.txt":
                blocked.update(files.read(name).decode("utf-8", "replace").split())
        for name in names:
            path = PurePosixPath(name)
            if path.suffix != ".csv" or path.parent.parent.name != "corpus":
                continue
            with files.open(name) as file:
                for row in _rows(io.TextIOWrapper(file, "utf-8", "replace", newline="")):
                    if row["WorkerId"] not in blocked and not (row.get("Reject") or "").strip():
                        record = _answers(row, path.parent.name)
                        if _role_of(record["id"]) == role and len(record["turns"]) > 1:
                            records[record["id"]] = record
    return (records[name] for name in sorted(records))


def _rows(table: Iterable[str]) -> Iterator[dict[str, str]]:
    previous = csv.field_size_limit(_MAX_FIELD)  # global to the csv module; restored below
    try:
        yield from csv.DictReader(table)
    finally:
        csv.field_size_limit(previous)


def _answers(row: dict[str, str], topic: str) -> Record:
    numbered = sorted(
        (int(match[1]), words)
        for column, words in row.items()
        if column and (match := _SENTENCE.fullmatch(column))
    )
    digest = hashlib.sha1(row["AssignmentId"].encode()).hexdigest()  # an id, not a secret
    sentences = [
        sentence for _, words in numbered if (sentence := _collapse(words)) not in ("", "{}")
    ]
    return {
        "id": f"{topic}/{digest[:12]}",
        "topic": topic,
        "turns": [
            {"agent": f"agent_{1 + number % 2}", "text": sentence}
            for number, sentence in enumerate(sentences)
        ],
    }


def _role_of(name: str) -> str:
    bucket = int(hashlib.sha256(name.encode()).hexdigest(), 16) % 100
    return "validation" if bucket < 5 else "test" if bucket < 10 else "train"


def _topical(file: Path) -> Iterator[Record]:
    """Topical-Chat (Gopalakrishnan et al., 2019): one JSON object of conversations by id."""
    data = json.loads(file.read_text(encoding="utf-8"))
    for name, conversation in data.items():
        turns = [
            {"agent": turn["agent"], "text": words}
            for turn in conversation["content"]
            if (words := _collapse(turn["message"]))
        ]
        if len(turns) > 1:
            yield {"id": name, "turns": turns}


def _collapse(words: str | None) -> str:
    return " ".join((words or "").split())
