"""What the kernels compute on the processor that this runs on, as JSON.

    python on_processor.py TOKENS [MODEL …]

`emulated.py` runs it on one processor after another and compares. Of the golden vectors: how far
logits are from them, their bits, and whether those are the same in any company. Of each model that
comes with the package, in float32 and int8: a greedy text of so many tokens, one that is drawn, and
the bits of the logits along the first.
"""

from __future__ import annotations

import json
import platform
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np

import textwright
from textwright import kernels
from textwright.runtimes import Runtime

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
PROMPTS = {
    "shakespeare": "ROMEO:",
    "chat": "Yesterday we",
    "wikitext-2": "The game",
    "sherlock-holmes": "It was",
}
"""For each kind of model that comes with the package: characters and words, `gpt` and `lstm`."""
PRECISIONS = ("float32", "int8")


def bits(logits: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(logits, "<f4").tobytes())


def golden(name: str, precision: str) -> dict[str, Any]:
    """A model of the golden vectors."""
    found = json.loads((GOLDEN / name / "vectors.json").read_text(encoding="utf-8"))
    tokens, expected = np.array(found["tokens"]), np.array(found["logits"], np.float32)
    runtime = textwright.load(GOLDEN / name, precision=precision).runtime
    logits, _ = runtime(tokens, runtime.initial_state())
    return {
        "deviation": float(np.abs(logits - expected).max()),
        "bits": bits(logits),
        # In 16 bits it is the arithmetic of 32.
        "batch_invariant": precision == "float16" or is_batch_invariant(runtime, tokens, logits),
    }


def is_batch_invariant(runtime: Runtime[Any], tokens: np.ndarray, logits: np.ndarray) -> bool:
    """Whether tokens one by one, in pieces and among other texts give these very bits."""
    state, same = runtime.initial_state(), True
    for time in range(len(tokens)):
        row, state = runtime(tokens[time : time + 1], state)
        same &= np.array_equal(row[0], logits[time])
    # Four texts side by side, each a token further than the one before, in pieces of eleven.
    states, read = [runtime.initial_state() for _ in range(4)], [0] * 4
    for end in range(11, len(tokens), 11):
        ends = [min(end + text, len(tokens)) for text in range(4)]
        pieces = [tokens[begin:end] for begin, end in zip(read, ends, strict=True)]
        rows, states = runtime.batch(pieces, states)
        same &= np.array_equal(rows, logits[np.array(ends) - 1])
        read = ends
    return bool(same)


def texts(name: str, precision: str, count: int) -> dict[str, Any]:
    """What a model that comes with the package writes."""
    model = textwright.load(name, precision=precision)
    greedy = model.generate(PROMPTS[name], max_tokens=count, temperature=0)
    drawn = model.generate(PROMPTS[name], max_tokens=count, temperature=1, seed=1)
    ids = np.array(model.tokenizer.encode(PROMPTS[name] + greedy.text))
    logits, _ = model.runtime(ids, model.runtime.initial_state())
    return {"greedy": greedy.text, "drawn": drawn.text, "bits": bits(logits)}


def main() -> None:
    count, *models = sys.argv[1:]
    names = sorted(folder.parent.name for folder in GOLDEN.glob("*/vectors.json"))
    report = {
        "machine": platform.machine(),
        "kernels": kernels.kernels().name,
        "golden": {
            precision: {name: golden(name, precision) for name in names}
            for precision in ("float32", "float16", "int8")
        },
        "texts": {
            f"{name} {precision}": texts(name, precision, int(count))
            for name in models or PROMPTS
            for precision in PRECISIONS
        },
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
