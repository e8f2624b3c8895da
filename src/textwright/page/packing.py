"""Packs a model for the page: the data that `web/runtime/writer.js` needs, and the weights' bytes.

What the run counted goes along, see `counts`.

Matrices are float16, or int8 with a scale per row; tensors of one dimension (norms, biases) are
small and stay float32.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from textwright.arrays import Floats
from textwright.companion.mixing import Companion
from textwright.configs import AttentionConfig, GPTConfig, RecurrentConfig, TransformerConfig
from textwright.errors import RequestError
from textwright.generation import load
from textwright.generation.options import end_token
from textwright.page import timelines
from textwright.page.counts import companion_data
from textwright.runs import Run
from textwright.runs.weights import read_weights
from textwright.tokenizers import Tokenizer
from textwright.tokenizers.chat import SPECIALS
from textwright.tokenizers.folding import folding_tables

Dtype: TypeAlias = Literal["float16", "int8"]
DTYPES: tuple[str, ...] = get_args(Dtype)

_MAX_FLOAT16 = 65504.0


@dataclass(frozen=True)
class Packed:
    """A packed model."""

    data: dict[str, Any]
    """All but the weights, as JSON holds it."""
    weights: bytes


def pack(run: Run, dtype: Dtype = "float16", companion: str = "auto") -> Packed:
    """Pack the model of `run`; with `companion="off"` without what it counted.

    Raises:
        RunError: there is no model, or a file of it is damaged.
        RequestError: the page can't run this family.
    """
    model = load(run, companion=companion)  # raises for damaged files
    config = run.config()
    if not isinstance(config, RecurrentConfig | GPTConfig | TransformerConfig):
        raise RequestError(
            f"run {run.name!r} is of the family {config.family}, which a page can't run; train one "
            "of gpt, transformer, lstm, gru or rnn"
        )
    index, weights = _pack_weights(read_weights(run.weights_file), dtype)
    defaults, tokenizer = model.defaults, model.tokenizer
    own_end = end_token(tokenizer)
    data = {
        "name": run.name,
        "config": page_config(config),
        "about": {
            "family": config.family,
            "parameters": config.parameter_count(),
            "tokenizer": tokenizer.kind,
            "vocab_size": config.vocab_size,
            "block_size": config.block_size if isinstance(config, AttentionConfig) else None,
            "talks": bool(tokenizer.chat),
            "beginnings": timelines.beginnings(run),
        },
        "dtype": dtype,
        "tensors": index,
        "tokenizer": tokenizer_data(tokenizer, run),
        "start": list(model.encode_prompt("").tokens),
        "ends": sorted(defaults.eos_ids.union(() if own_end is None else (own_end,))),
        "suppressed": sorted(
            token
            for token in defaults.suppress_tokens.union(tokenizer.suppress_tokens)
            if token < config.vocab_size
        ),
    }
    if companion == "auto" and run.companion_file.is_file():
        beside = Companion.read(run.companion_file, config.vocab_size, tokenizer.vocabulary)
        data["companion"] = companion_data(beside, config.vocab_size)
    return Packed(data, weights)


def rounded(tensor: Floats, dtype: Dtype) -> Floats:
    """`tensor` after packing and unpacking."""
    stored = _dtype(tensor, dtype)
    if stored == "int8":
        values, scales = _int8(tensor)
        return (values * scales[:, None]).reshape(tensor.shape)
    return tensor.astype(stored).astype(np.float32)


def _pack_weights(weights: dict[str, Floats], dtype: Dtype) -> tuple[dict[str, Any], bytes]:
    index: dict[str, Any] = {}
    parts: list[bytes] = []
    at = 0
    for name, tensor in sorted(weights.items()):  # sorted: the same model gives the same file
        stored = _dtype(tensor, dtype)
        if stored == "int8":
            values, scales = _int8(tensor)
            part = scales.astype("<f4").tobytes() + values.tobytes()
        else:
            part = tensor.astype({"float16": "<f2", "float32": "<f4"}[stored]).tobytes()
        index[name] = {"shape": list(tensor.shape), "dtype": stored, "at": at}
        parts.append(part)
        at += len(part)
    return index, b"".join(parts)


def _dtype(tensor: Floats, dtype: Dtype) -> str:
    if tensor.ndim < 2 or np.abs(tensor).max() > _MAX_FLOAT16:
        return "float32"
    return dtype


def _int8(tensor: Floats) -> tuple[np.ndarray[Any, np.dtype[np.int8]], Floats]:
    """Rows of values between −127 and 127, and the scale of each row."""
    rows = tensor.reshape(len(tensor), -1)
    scales = np.maximum(np.abs(rows).max(axis=1), np.finfo(np.float32).tiny) / np.float32(127)
    return np.rint(rows / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def page_config(config: RecurrentConfig | GPTConfig | TransformerConfig) -> dict[str, Any]:
    """The config as the page has it: all fields, and what follows from them."""
    data = config.model_dump()
    if isinstance(config, RecurrentConfig):
        return {**data, "layer_sizes": config.layer_sizes}
    return {**data, "head_size": config.head_size}


def tokenizer_data(tokenizer: Tokenizer, run: Run) -> dict[str, Any]:
    """What `web/runtime/tokenizer.js` needs of the tokenizer of `run`."""
    file = run.read_json(run.tokenizer_file)
    ids = range(tokenizer.vocab_size)
    splitting = file.get("pre_tokenizer") or {}
    merges = file["model"].get("merges") or []
    data: dict[str, Any] = {
        "kind": tokenizer.kind,
        "tokens": [tokenizer.backend.id_to_token(token) for token in ids],
        "texts": [tokenizer.token_text(token) for token in ids],
        "lowercase": tokenizer.lowercase,
        "unk": tokenizer.unk_id,
        **folding_tables(),
    }
    if tokenizer.chat:
        data["specials"] = SPECIALS
    if tokenizer.kind == "bpe":
        data["merges"] = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
    else:
        data["pieces"] = [tokenizer.decode([token]) for token in ids]
    if tokenizer.kind == "word" and splitting.get("type") == "Split":
        data["pattern"] = splitting["pattern"]["Regex"]
    return data


def script_json(data: Any) -> str:
    """JSON that is safe inside a `<script>` element, whatever it has."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
