"""A `transformer` model as a GGUF that llama.cpp runs as GPT-2, to measure llama.cpp with."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
from safetensors.numpy import load_file

from textwright.runs import Run
from textwright.tokenizers import Tokenizer

NAMES = {
    "ln_1": "attn_norm", "attn.c_attn": "attn_qkv", "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm", "mlp.c_fc": "ffn_up", "mlp.c_proj": "ffn_down",
}  # fmt: skip


def write_gguf(folder: Path, file: Path, kind: str) -> None:
    """Write a model folder's weights as `f32`, `f16` or `q8_0`, norms and biases in float32."""
    run = Run(folder)
    config = run.config()
    tensors = load_file(run.weights_file)
    writer = gguf.GGUFWriter(str(file), "gpt2")
    writer.add_block_count(config.num_layers)
    writer.add_context_length(config.block_size)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_heads)
    writer.add_layer_norm_eps(config.layer_norm_eps)
    tokenizer = Tokenizer.load(run)
    words = [tokenizer.token_text(token) for token in range(config.vocab_size)]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(words)
    writer.add_token_types([1] * len(words))
    writer.add_token_merges([f"{words[0]} {words[0]}"])
    writer.add_eos_token_id(0)
    held = {"f32": gguf.GGMLQuantizationType.F32, "f16": gguf.GGMLQuantizationType.F16,
            "q8_0": gguf.GGMLQuantizationType.Q8_0}[kind]  # fmt: skip

    def add(name: str, values: np.ndarray) -> None:
        wide = values.ndim == 1 or name.startswith("position")
        as_kind = gguf.GGMLQuantizationType.F32 if wide else held
        data = gguf.quants.quantize(np.ascontiguousarray(values, np.float32), as_kind)
        writer.add_tensor(name, data, raw_dtype=as_kind)

    add("token_embd.weight", tensors["transformer.wte.weight"])
    add("output.weight", tensors["transformer.wte.weight"])
    add("position_embd.weight", tensors["transformer.wpe.weight"])
    for half in ("weight", "bias"):
        add(f"output_norm.{half}", tensors[f"transformer.ln_f.{half}"])
        for number in range(config.num_layers):
            for own, theirs in NAMES.items():
                values = tensors[f"transformer.h.{number}.{own}.{half}"]
                add(f"blk.{number}.{theirs}.{half}", values.T)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
