"""`--to gguf`: one file for llama.cpp and everything built on it, of a `gpt`.

The tensors are those of llama.cpp's `qwen3`, in float32, and the tokenizer is in the byte-level
form, which it calls `gpt2` (see `byte_level`). llama.cpp doesn't normalise text: decomposed
characters (NFD), and capitals where the tokenizer folds them, get other tokens than here.
"""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from textwright import atomic
from textwright.arrays import Floats
from textwright.configs import GPTConfig
from textwright.errors import MissingPackageError, RequestError
from textwright.publishing.byte_level import byte_level
from textwright.publishing.suppression import suppress_tokens
from textwright.runs import Run
from textwright.runs.weights import read_weights
from textwright.tokenizers import Tokenizer

END = "<|endoftext|>"
"""The end token of models without one: llama.cpp takes token 11 where none is set."""

_LAYER = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""llama.cpp's names of a layer's tensors, and ours."""


def export(run: Run, out: Path) -> Path:
    """Write the file `out`, or, where that doesn't end in `.gguf`, a file in it, named by the run.

    Raises:
        RequestError: the model is no `gpt`, or its tokenizer has no byte-level form.
        MissingPackageError: `gguf` isn't installed.
    """
    config = run.config()
    if not isinstance(config, GPTConfig):
        raise RequestError(
            f"a {config.family} can't be written as GGUF: llama.cpp has no such model; "
            "train with --model gpt, or export --to onnx"
        )
    tokenizer = Tokenizer.load(run)
    tokens, merges = byte_level(tokenizer)  # raises before anything is loaded
    try:
        import gguf
    except ImportError as error:
        raise MissingPackageError(
            "the export to GGUF needs gguf; pip install 'textwright[export]'"
        ) from error
    file = out if out.suffix == ".gguf" else out / f"{run.name}.gguf"
    if file.is_dir():
        raise RequestError(f"{file} is a folder; name a file to write with --out")
    suppressed = set(tokenizer.suppress_tokens)
    if tokenizer.eos_id is None:
        suppressed.add(len(tokens))
        tokens = [*tokens, END]
    weights = read_weights(run.weights_file)
    weights, epsilon = suppress_tokens(config, weights, len(tokens), suppressed)
    with atomic.replacing(file) as partial, closing(gguf.GGUFWriter(partial, "qwen3")) as writer:
        _add_settings(writer, run, config, weights, epsilon)
        _add_tokenizer(writer, gguf, run, tokenizer, tokens, merges)
        for name, tensor in _renamed(config, weights):
            writer.add_tensor(name, np.ascontiguousarray(tensor))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    return file


def _add_settings(
    writer: Any, run: Run, config: GPTConfig, weights: dict[str, Floats], epsilon: float
) -> None:
    writer.add_name(run.name)
    writer.add_description("A language model trained from scratch with textwright.")
    writer.add_file_type(0)  # all float32
    writer.add_context_length(config.block_size)
    writer.add_embedding_length(weights["model.norm.weight"].shape[0])
    writer.add_block_count(config.num_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_heads)
    writer.add_key_length(config.head_size)
    writer.add_value_length(config.head_size)
    writer.add_layer_norm_rms_eps(epsilon)
    writer.add_rope_freq_base(config.rope_theta)
    writer.add_rope_dimension_count(config.head_size)


def _add_tokenizer(
    writer: Any,
    gguf: Any,
    run: Run,
    tokenizer: Tokenizer,
    tokens: list[str],
    merges: list[tuple[str, str]],
) -> None:
    special = {
        *tokenizer.suppress_tokens,
        tokenizer.eos_id,
        *range(tokenizer.vocab_size, len(tokens)),
    }
    types = gguf.TokenType
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(
        [types.CONTROL if token in special else types.NORMAL for token in range(len(tokens))]
    )
    writer.add_token_merges([f"{left} {right}" for left, right in merges])
    end = len(tokens) - 1 if tokenizer.eos_id is None else tokenizer.eos_id
    writer.add_eos_token_id(end)
    writer.add_bos_token_id(end if tokenizer.bos_id is None else tokenizer.bos_id)
    writer.add_add_bos_token(False)
    if run.tokenizer_config_file.is_file():
        template = run.read_json(run.tokenizer_config_file).get("chat_template")
        if isinstance(template, str):
            writer.add_chat_template(template)


def _renamed(config: GPTConfig, weights: dict[str, Floats]) -> list[tuple[str, Floats]]:
    """The tensors by llama.cpp's names."""
    tensors = [
        ("token_embd.weight", weights["model.embed_tokens.weight"]),
        ("output_norm.weight", weights["model.norm.weight"]),
    ]
    if "lm_head.weight" in weights:
        tensors.append(("output.weight", weights["lm_head.weight"]))
    for layer in range(config.num_layers):
        tensors += [
            (f"blk.{layer}.{theirs}.weight", weights[f"model.layers.{layer}.{own}.weight"])
            for theirs, own in _LAYER.items()
        ]
    return tensors
