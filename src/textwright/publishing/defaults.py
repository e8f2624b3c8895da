"""What a model folder says to other programs of its own accord: lengths, and what pads.

Here a text may be longer than the context, which is encoded anew then; other programs go on beyond
it, and write noise. So what is exported or pushed ends where its context does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from textwright.configs import AttentionConfig
from textwright.runs import Run
from textwright.tokenizers import Tokenizer
from textwright.tokenizers.bytepairs import token_string

_NO_CHARACTER = token_string(b"\xff")
"""The token of a byte that no UTF-8 text has."""


def write_defaults(run: Run, folder: Path) -> None:
    """Change the defaults in `folder`, a copy of the files of `run`, for other programs."""
    copy, config, tokenizer = Run(folder), run.config(), Tokenizer.load(run)
    generation = _read(copy, copy.generation_config_file)
    reading = _read(copy, copy.tokenizer_config_file)
    if isinstance(config, AttentionConfig):
        generation.pop("max_new_tokens", None)
        generation["max_length"] = reading["model_max_length"] = config.block_size
    pad = _pad_id(tokenizer)
    if pad is not None:
        reading.setdefault("pad_token", tokenizer.backend.id_to_token(pad))
    reading["padding_side"] = "left"  # texts go on at their right
    # Of no matter to the text: the places that it fills are masked
    generation.setdefault("pad_token_id", 0 if pad is None else pad)
    copy.write_json(copy.generation_config_file, generation)
    copy.write_json(copy.tokenizer_config_file, reading)


def _read(run: Run, file: Path) -> dict[str, Any]:
    return run.read_json(file) if file.is_file() else {}


def _pad_id(tokenizer: Tokenizer) -> int | None:
    """The id that pads; None for characters, each of which a text may have: a program that leaves
    out special tokens would leave it out."""
    for token in (tokenizer.pad_id, tokenizer.eos_id):
        if token is not None:
            return token
    if tokenizer.kind == "bpe":
        found: int | None = tokenizer.backend.token_to_id(_NO_CHARACTER)
        return found
    return None
