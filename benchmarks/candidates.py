"""Other ways to run the same model, as candidates for a runtime.

Contenders of `benchmarks/generation.py`, for a model of the `transformer` family. What they give is
checked before they compete: their logits are those of the NumPy runtime.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

PROMPT = 16
Generate = Callable[[int], int]
Read = Callable[[int], np.ndarray]
"""Reads one token more; the logits after it, (V,)."""


def _drawn(begin: Callable[[], Read]) -> Generate:
    """The loop around a reader: the prompt token by token, then what is drawn."""

    def generate(count: int) -> int:
        read = begin()
        random = np.random.default_rng(1)
        for token in range(PROMPT):
            logits = read(token)
        made = 0
        while True:
            weights = np.exp(logits.astype(np.float64) - logits.max()).cumsum()
            token = int(weights.searchsorted(random.random() * weights[-1], side="right"))
            made += 1
            if made == count:
                return made
            logits = read(token)

    return generate


def _check(folder: Path, begin: Callable[[], Read]) -> None:
    from textwright.runs import Run
    from textwright.runs.weights import read_weights
    from textwright.runtimes.registry import RUNTIMES

    run = Run(folder)
    config = run.config()
    runtime = RUNTIMES[type(config)](config, read_weights(run.weights_file))
    expected, _ = runtime(np.arange(PROMPT), runtime.initial_state())
    read = begin()
    for token in range(PROMPT):
        np.testing.assert_allclose(read(token), expected[token], atol=1e-3)


def onnx(folder: Path, _: Path | None) -> Generate:
    """The graph that `textwright export --to onnx` writes."""
    import onnxruntime

    from textwright.publishing import export
    from textwright.runs import Run

    place = folder.parent / f"{folder.name}-onnx"
    if not place.exists():
        export(Run(folder), "onnx", place)
    (file,) = place.glob("*.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    sizes = {"batch": 1, "held": 0}
    empty = {
        one.name: np.zeros([sizes.get(size, size) for size in one.shape], np.float32)
        for one in session.get_inputs()
        if one.name != "tokens"
    }

    def begin() -> Read:
        state = dict(empty)

        def read(token: int) -> np.ndarray:
            nonlocal state
            feed = {"tokens": np.array([[token]], np.int64), **state}
            found = dict(zip(names, session.run(None, feed), strict=True))
            logits: np.ndarray = found.pop("logits")[0, -1]
            state = {name.removeprefix("new."): value for name, value in found.items()}
            return logits

        return read

    _check(folder, begin)
    return _drawn(begin)


def compiled_torch(folder: Path, _: Path | None) -> Generate:
    """The stock class with a static cache, through `torch.compile`."""
    os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"  # a contender may start no processes
    import torch
    from transformers import AutoModelForCausalLM, StaticCache

    torch.set_num_threads(1)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    step = torch.compile(model.forward)

    def begin() -> Read:
        cache = StaticCache(config=model.config, max_cache_len=256)
        at = 0

        def read(token: int) -> np.ndarray:
            nonlocal at
            with torch.inference_mode():
                out = step(torch.tensor([[token]]), past_key_values=cache, use_cache=True,
                           cache_position=torch.tensor([at]))  # fmt: skip
            at += 1
            logits: np.ndarray = out.logits[0, -1].numpy()
            return logits

        return read

    _check(folder, begin)
    return _drawn(begin)


def numba(folder: Path, _: Path | None) -> Generate:
    """Loops in Python that Numba compiles: a token of the 2017 shape."""
    from safetensors.numpy import load_file

    from numba_transformer import begin_reading
    from textwright.runs import Run

    begin = begin_reading(Run(folder).config(), load_file(folder / "model.safetensors"))
    _check(folder, begin)
    return _drawn(begin)


def llama(kind: str) -> Callable[[Path, Path | None], Generate]:
    """llama.cpp through `llama-cpp-python`, on the model as a GGUF of GPT-2."""

    def build(folder: Path, _: Path | None) -> Generate:
        from llama_cpp import Llama

        from gpt2_gguf import write_gguf

        file = folder.parent / f"{folder.name}-{kind}.gguf"
        if not file.exists():
            write_gguf(folder, file, kind)
        model = Llama(str(file), n_ctx=256, n_threads=1, n_threads_batch=1, verbose=False)

        def generate(count: int) -> int:
            model.reset()
            made = 0
            for _ in model.generate(list(range(PROMPT)), top_k=0, top_p=1.0, min_p=0.0, temp=1.0):
                made += 1
                if made == count:
                    break
            return made

        return generate

    return build
