"""A GGUF file, read back field by field."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from textwright import runs
from textwright.configs import GPTConfig
from textwright.errors import TextwrightError
from textwright.publishing import export
from textwright.publishing.suppression import CHANNELS
from textwright.publishing.to_gguf import END
from textwright.runs import Run
from textwright.runs.weights import read_weights
from textwright.tokenizers import Tokenizer

pytestmark = pytest.mark.slow

LAYER = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}  # fmt: skip
"""llama.cpp's names for the parts of Qwen3's layers."""

NORMAL, CONTROL = 1, 3
"""Kinds of token in the format."""


@pytest.fixture(autouse=True, scope="module")
def _package() -> None:
    pytest.importorskip("gguf", reason="needs the package gguf")


@pytest.fixture(params=["made", "chat"], name="run")
def _run(request: pytest.FixtureRequest, make_run: Callable[..., Run]) -> Run:
    """A model with nothing as usual, and one of conversations, with a shared table."""
    if request.param == "chat":
        return runs.find("chat")
    return make_run("gpt", "bpe", rope_theta=5e5, intermediate_size=72, block_size=24, num_layers=1)


def read(file: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    import gguf

    reader = gguf.GGUFReader(file)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    return fields, {tensor.name: np.array(tensor.data) for tensor in reader.tensors}


def test_every_setting_is_the_models(run: Run, tmp_path: Path) -> None:
    fields, _ = read(export(run, "gguf", tmp_path / "model.gguf"))
    config = run.config()
    assert isinstance(config, GPTConfig)
    width = config.hidden_size + CHANNELS  # both have tokens that are never drawn
    expected = {
        "general.architecture": "qwen3",
        "general.name": run.name,
        "general.file_type": 0,
        "qwen3.context_length": config.block_size,
        "qwen3.embedding_length": width,
        "qwen3.block_count": config.num_layers,
        "qwen3.feed_forward_length": config.intermediate_size,
        "qwen3.attention.head_count": config.num_heads,
        "qwen3.attention.head_count_kv": config.num_heads,
        "qwen3.attention.key_length": config.head_size,
        "qwen3.attention.value_length": config.head_size,
        "qwen3.rope.dimension_count": config.head_size,
        "qwen3.rope.freq_base": config.rope_theta,
    }
    assert {name: fields.get(name) for name in expected} == expected
    epsilon = config.rms_norm_eps * config.hidden_size / width
    assert fields["qwen3.attention.layer_norm_rms_epsilon"] == pytest.approx(epsilon)
    assert config.rope_theta == {"chat": 1e4}.get(run.name, 5e5)


def test_the_tokenizer_is_the_models(run: Run, tmp_path: Path) -> None:
    fields, _ = read(export(run, "gguf", tmp_path / "model.gguf"))
    tokenizer = Tokenizer.load(run)
    tokens = [tokenizer.backend.id_to_token(token) for token in range(tokenizer.vocab_size)]
    special = {*tokenizer.suppress_tokens, tokenizer.eos_id}
    if tokenizer.eos_id is None:
        special.add(len(tokens))
        tokens.append(END)
    end = tokens.index("<eos>" if run.name == "chat" else END)
    merges = run.read_json(run.tokenizer_file)["model"]["merges"]
    expected = {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [
            CONTROL if token in special else NORMAL for token in range(len(tokens))
        ],
        "tokenizer.ggml.merges": [m if isinstance(m, str) else " ".join(m) for m in merges],
        "tokenizer.ggml.eos_token_id": end,
        "tokenizer.ggml.bos_token_id": tokens.index("<bos>") if run.name == "chat" else end,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": run.read_json(run.tokenizer_config_file).get("chat_template"),
    }
    assert {name: fields.get(name) for name in expected} == expected
    assert (expected["tokenizer.chat_template"] is not None) == (run.name == "chat")


def test_every_tensor_is_the_models(run: Run, tmp_path: Path) -> None:
    """Beside the channels for silent tokens, by which the norms shrink."""
    _, tensors = read(export(run, "gguf", tmp_path / "model.gguf"))
    weights = read_weights(run.weights_file)
    weights.setdefault("lm_head.weight", weights["model.embed_tokens.weight"])
    config, tokenizer = run.config(), Tokenizer.load(run)
    assert isinstance(config, GPTConfig)
    shrunk = np.float32((config.hidden_size / (config.hidden_size + CHANNELS)) ** 0.5)
    names = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    for layer in range(config.num_layers):
        names |= {f"model.layers.{layer}.{own}": f"blk.{layer}.{there}"
                  for own, there in LAYER.items()}  # fmt: skip
    assert {f"{name}.weight" for name in names.values()} == tensors.keys()
    drawn = np.setdiff1d(np.arange(config.vocab_size), tokenizer.suppress_tokens)
    for own, there in names.items():
        expected, found = weights[f"{own}.weight"], tensors[f"{there}.weight"]
        inside = found[tuple(slice(size) for size in expected.shape)]
        if own.endswith(("layernorm", "model.norm")):
            expected = expected * shrunk
        if own == "lm_head":
            inside, expected = inside[drawn], expected[drawn]
        np.testing.assert_array_equal(inside, expected, err_msg=own)


def test_a_full_disk_leaves_nothing(
    make_run: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer is closed first: Windows removes no file that is open."""
    writers = []

    def full(writer: Any) -> None:
        writers.append(writer)
        raise OSError(errno.ENOSPC, "No space left on device")

    import gguf

    monkeypatch.setattr(gguf.GGUFWriter, "write_tensors_to_file", full)
    out = tmp_path / "out"
    with pytest.raises(TextwrightError, match="no space left"):
        export(make_run("gpt"), "gguf", out / "model.gguf")
    assert list(out.iterdir()) == []
    assert writers[0].fout is None
