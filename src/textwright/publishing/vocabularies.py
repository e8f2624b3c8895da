"""Tokenizers of imported models, from a file or from a table of characters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import decoders, models

from textwright.errors import RequestError, TokenizerError
from textwright.publishing.checkpoints import read_plain
from textwright.tokenizers import Tokenizer
from textwright.tokenizers.characters import normalizer


def read_tokenizer(file: Path) -> Tokenizer:
    """Read a `tokenizer.json`, or the characters of a nanoGPT `meta.pkl`.

    Raises:
        RequestError: it can't be read, or is of a kind that textwright hasn't.
    """
    if file.suffix == ".pkl":
        meta = read_plain(file)
        characters = meta.get("stoi") if isinstance(meta, dict) else None
        if not isinstance(characters, dict):
            raise RequestError(f"{file} has no 'stoi', the table of characters; take another file")
        return character_tokenizer(characters)
    try:
        return Tokenizer(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(
            f"{file} can't be read ({error.strerror}); name a tokenizer.json"
        ) from error
    except (TokenizerError, ValueError) as error:
        raise RequestError(f"{file}: {error}") from error


def character_tokenizer(ids: Mapping[Any, Any]) -> Tokenizer:
    """A character tokenizer with these ids.

    Raises:
        RequestError: a key is no single character, or the ids aren't 0, 1, 2, …
    """
    if not all(isinstance(text, str) and len(text) == 1 for text in ids) or sorted(
        ids.values()
    ) != list(range(len(ids))):
        raise RequestError(
            "its table doesn't give each single character a number of its own, 0, 1, 2 …; take "
            "another file"
        )
    backend = tokenizers.Tokenizer(models.BPE(vocab=dict(ids), merges=[]))
    backend.normalizer = normalizer(False)
    backend.decoder = decoders.Fuse()
    return Tokenizer(backend.to_str(), "char")
