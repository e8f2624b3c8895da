"""Who generates in `benchmarks/generation.py`, each built and run in a process of its own."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import candidates

PROMPT = 16
"""Tokens that every text begins with."""

Generate = Callable[[int], int]
"""Generates so many tokens; returns how many there were."""


def compete(pipe: Connection, who: str, folder: Path, nanogpt: Path | None) -> None:
    """Build, warm up, say so; then generate so many tokens whenever asked, until asked for none.

    Sends what was built first, then tokens a second of CPU time; or a string that says what failed.
    """
    if who == "textwright, NumPy":
        os.environ["TEXTWRIGHT_KERNELS"] = "off"
    try:
        generate = CONTENDERS[who](folder, nanogpt)
        generate(8)
        pipe.send(0)
        while count := pipe.recv():
            began = time.process_time()
            made = 0
            while made < count:
                made += generate(min(count - made, 240))
            pipe.send(made / (time.process_time() - began))
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}".split("\n", 1)[0])


def ours(precision: str) -> Callable[[Path, Path | None], Generate]:
    def build(folder: Path, _: Path | None) -> Generate:
        import textwright

        model = textwright.load(folder, precision=precision)
        prompt = model.tokenizer.decode(list(range(PROMPT)))

        def generate(count: int) -> int:
            options: Any = {"max_tokens": count, "temperature": 1.0, "seed": 1}
            return len(model.generate(prompt, **options).tokens)

        return generate

    return build


def nanogpt(folder: Path, checkout: Path | None) -> Generate:
    """Its `GPT` with the same weights, and its `generate`."""
    import torch

    if checkout is None:
        raise FileNotFoundError("name a checkout: --nanogpt DIR")
    sys.path.insert(0, str(checkout))
    from model import GPT, GPTConfig
    from safetensors.torch import load_file

    from textwright.runs import Run

    shape: Any = Run(folder).config()
    torch.set_num_threads(1)
    with contextlib.redirect_stdout(io.StringIO()):
        model = GPT(
            GPTConfig(
                block_size=shape.block_size, vocab_size=shape.vocab_size,
                n_layer=shape.num_layers, n_head=shape.num_heads, n_embd=shape.hidden_size,
                dropout=0.0, bias=True,
            )
        ).eval()  # fmt: skip
    own = model.state_dict()
    for name, tensor in load_file(folder / "model.safetensors").items():
        # its layers hold (out, in), the stock class's (in, out)
        wide = name.endswith(("c_attn.weight", "c_proj.weight", "c_fc.weight"))
        own[name].copy_(tensor.T if wide else tensor)
    prompt = torch.arange(PROMPT)[None]
    return lambda count: model.generate(prompt, count).shape[1] - PROMPT


def transformers(folder: Path, _: Path | None) -> Generate:
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    prompt = torch.arange(PROMPT)[None]

    def generate(count: int) -> int:
        made = model.generate(
            prompt, attention_mask=torch.ones_like(prompt), do_sample=True, top_k=0,
            max_new_tokens=count, min_new_tokens=count, pad_token_id=0,
        )  # fmt: skip
        return int(made.shape[1]) - PROMPT

    return generate


def ctranslate2(kind: str) -> Callable[[Path, Path | None], Generate]:
    def build(folder: Path, _: Path | None) -> Generate:
        import ctranslate2 as library
        from ctranslate2.converters import TransformersConverter

        converted = folder.parent / f"{folder.name}-ctranslate2-{kind}"
        with contextlib.redirect_stderr(io.StringIO()):
            TransformersConverter(str(folder)).convert(str(converted), force=True)
        words = json.loads((converted / "vocabulary.json").read_text(encoding="utf-8"))
        file = converted / "config.json"
        settings = json.loads(file.read_text(encoding="utf-8"))
        # It wants special tokens, which the model hasn't got.
        settings = {name: words[0] if value is None else value
                    for name, value in settings.items()
                    if value is not None or name.endswith("_token")}  # fmt: skip
        file.write_text(json.dumps(settings), encoding="utf-8")
        model = library.Generator(
            str(converted), compute_type=kind, inter_threads=1, intra_threads=1
        )

        def generate(count: int) -> int:
            made = model.generate_batch(
                [words[:PROMPT]], max_length=count, min_length=count, sampling_topk=0,
                include_prompt_in_result=False, end_token=[],
            )  # fmt: skip
            return len(made[0].sequences_ids[0])

        return generate

    return build


def torch_lstm(folder: Path, _: Path | None) -> Generate:
    """The loop as one writes it: a token, the state, a draw."""
    import torch
    from torch import nn

    from textwright.runs import Run

    shape: Any = Run(folder).config()
    torch.set_num_threads(1)
    embedding = nn.Embedding(shape.vocab_size, shape.embedding_size)
    layers = nn.LSTM(shape.embedding_size, shape.hidden_size, shape.num_layers, batch_first=True)
    output = nn.Linear(shape.hidden_size, shape.vocab_size)
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    embedding.load_state_dict({"weight": weights["embedding.weight"]})
    output.load_state_dict({part: weights[f"output.{part}"] for part in ("weight", "bias")})
    layers.load_state_dict(
        {
            f"{part}_l{number}": weights[f"layers.{number}.{part}"]
            for number in range(shape.num_layers)
            for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
    )

    def generate(count: int) -> int:
        with torch.inference_mode():
            x, state = layers(embedding(torch.arange(PROMPT)[None]))
            text = []
            for _ in range(count):
                token = torch.multinomial(torch.softmax(output(x[:, -1]), -1), 1)
                text.append(int(token))
                x, state = layers(embedding(token), state)
        return len(text)

    return generate


CONTENDERS: dict[str, Callable[[Path, Path | None], Generate]] = {
    "nanoGPT": nanogpt,
    "PyTorch loop": torch_lstm,
    "transformers": transformers,
    "CTranslate2 float32": ctranslate2("float32"),
    "CTranslate2 int8": ctranslate2("int8"),
    "llama.cpp f32": candidates.llama("f32"),
    "llama.cpp f16": candidates.llama("f16"),
    "llama.cpp q8_0": candidates.llama("q8_0"),
    "ONNX Runtime": candidates.onnx,
    "torch.compile": candidates.compiled_torch,
    "Numba": candidates.numba,
    "textwright, NumPy": ours("float32"),
    "textwright float32": ours("float32"),
    "textwright float16": ours("auto"),
    "textwright int8": ours("int8"),
}
