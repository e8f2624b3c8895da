"""Small models with weights made by hand, as real run folders; no training and no torch."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from textwright.configs import (
    AttentionConfig,
    GPTConfig,
    ModelConfig,
    RecurrentConfig,
    SamplingSettings,
    TransformerConfig,
)
from textwright.generation import write_generation_config
from textwright.runs import Run
from textwright.tokenizers import Tokenizer

TEXT = (
    "It was the best of times, it was the worst of times,\n"
    "it was the age of wisdom, it was the age of foolishness.\n\n"
    "ROMEO: But soft, what light through yonder window breaks?\n\n"
    "JULIET: O Romeo, Romeo! Wherefore art thou Romeo? 🙂 naïve 你好\n"
) * 8

Weights = dict[str, np.ndarray]


def shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """The tensors of a model file, as the families' torch classes name them."""
    vocabulary = config.vocab_size
    if isinstance(config, RecurrentConfig):
        found = {
            "embedding.weight": (vocabulary, config.embedding_size),
            "output.bias": (vocabulary,),
        }
        inputs = [config.embedding_size, *config.layer_sizes]
        for number, width in enumerate(config.layer_sizes):
            rows = config.gates * width
            found |= {
                f"layers.{number}.weight_ih": (rows, inputs[number]),
                f"layers.{number}.weight_hh": (rows, width),
                f"layers.{number}.bias_ih": (rows,),
                f"layers.{number}.bias_hh": (rows,),
            }
        if not config.tie_embeddings:
            found["output.weight"] = (vocabulary, inputs[-1])
        return found
    assert isinstance(config, AttentionConfig)
    width = config.hidden_size
    if isinstance(config, GPTConfig):
        inner, head = config.intermediate_size, config.head_size
        found = {"model.embed_tokens.weight": (vocabulary, width), "model.norm.weight": (width,)}
        for number in range(config.num_layers):
            layer = f"model.layers.{number}"
            found |= {
                f"{layer}.input_layernorm.weight": (width,),
                f"{layer}.post_attention_layernorm.weight": (width,),
                f"{layer}.self_attn.q_norm.weight": (head,),
                f"{layer}.self_attn.k_norm.weight": (head,),
                f"{layer}.mlp.gate_proj.weight": (inner, width),
                f"{layer}.mlp.up_proj.weight": (inner, width),
                f"{layer}.mlp.down_proj.weight": (width, inner),
            }
            found |= {f"{layer}.self_attn.{part}_proj.weight": (width, width) for part in "qkvo"}
    else:
        assert isinstance(config, TransformerConfig)
        inner = config.intermediate_size
        found = {
            "transformer.wte.weight": (vocabulary, width),
            "transformer.wpe.weight": (config.block_size, width),
            "transformer.ln_f.weight": (width,),
            "transformer.ln_f.bias": (width,),
        }
        for number in range(config.num_layers):
            for part, *shape in (
                ("ln_1", width),
                ("ln_2", width),
                ("attn.c_attn", width, 3 * width),
                ("attn.c_proj", width, width),
                ("mlp.c_fc", width, inner),
                ("mlp.c_proj", inner, width),
            ):
                found[f"transformer.h.{number}.{part}.weight"] = tuple(shape)
                found[f"transformer.h.{number}.{part}.bias"] = (shape[-1],)
    if not config.tie_embeddings:
        found["lm_head.weight"] = (vocabulary, width)
    return found


def random_weights(config: ModelConfig, seed: int = 0) -> Weights:
    """Numbers of the sizes that training gives; every one matters to the logits."""
    random = np.random.default_rng(seed)
    weights = {}
    for name, shape in shapes(config).items():
        scale = {1: 0.2, 2: min(shape) ** -0.5}[len(shape)]
        centre = 1.0 if "norm" in name or (".ln_" in name and name.endswith("weight")) else 0.0
        weights[name] = (centre + scale * random.standard_normal(shape)).astype(np.float32)
    return weights


def small_config(family: str, vocab_size: int = 40, **fields: object) -> ModelConfig:
    common = {"family": family, "vocab_size": vocab_size, "block_size": 16, "num_layers": 2}
    if family in RecurrentConfig.families:
        return RecurrentConfig(**(common | {"hidden_size": 24, "embedding_size": 12} | fields))
    kind = GPTConfig if family == "gpt" else TransformerConfig
    return kind(**(common | {"hidden_size": 64, "num_heads": 2} | fields))


def write_run(
    path: Path, config: ModelConfig, weights: Weights, tokenizer: Tokenizer, **sampling: object
) -> Run:
    path.mkdir(parents=True)
    run = Run(path)
    run.write_json(run.config_file, config.to_json())
    save_file(weights, run.weights_file)
    tokenizer.save(run)
    write_generation_config(run, SamplingSettings(**sampling), tokenizer)
    return run
