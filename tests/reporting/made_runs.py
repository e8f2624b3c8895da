"""Run folders as a training leaves them, made without training."""

from __future__ import annotations

import functools
import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from textwright.configs import GPTConfig, ModelConfig, Settings
from textwright.runs import Run

MakeRun = Callable[..., Run]


def curve(step: float, floor: float, *, rate: float = 600, start: float = 4.17) -> float:
    """A loss as language models have it: fast at first, then ever slower."""
    return floor + (start - floor) / (1 + step / rate * 4) ** 1.1


def evaluations(
    steps: Sequence[int], validation: Sequence[float], training: Sequence[float], total: int
) -> list[dict[str, Any]]:
    best = math.inf
    records = []
    for step, val_loss, train_loss in zip(steps, validation, training, strict=True):
        records.append({
            "step": step, "epoch": round(step * 4096 / 1_003_854, 3), "tokens": step * 4096,
            "seconds": round(step * 0.058, 2), "train_loss": round(train_loss, 5) if step else None,
            "val_loss": round(val_loss, 5), "val_bits_per_char": round(val_loss / math.log(2), 5),
            "lr": 0.003 * min(1.0, step / (0.02 * total), (total - step) / (0.6 * total)),
            "tokens_per_second": 70_000 + 2_500 * math.sin(step) if step else 0.0,
            "best": val_loss < best,
        })  # fmt: skip
        best = min(best, val_loss)
    return records


@functools.cache
def sample_text(order: int, seed: int = 0, length: int = 240) -> str:
    """Text of a Markov chain over `order` characters: gibberish at 0, nearly prose at 6."""
    source = "\n".join(topics[name] for name in sorted(topics))
    chance = random.Random(seed)
    start = chance.randrange(len(source) - 200)
    text = source[start : start + order]
    while len(text) < length:
        context = text[len(text) - order :]
        place = source.find(context, chance.randrange(len(source) - order - 1))
        place = place if place >= 0 else source.index(context)
        text += source[min(place + order, len(source) - 1)]
    return text


def make_run(
    folder: Path,
    name: str = "shakespeare",
    *,
    records: list[dict[str, Any]] | None = None,
    samples: list[dict[str, Any]] | None = None,
    status: str = "finished",
    config: ModelConfig | None = None,
    total: int = 3000,
    minutes: float | None = 3,
    changes: dict[str, dict[str, Any]] | None = None,
) -> Run:
    """A run folder with everything in it; `changes` go over the sections of run.toml."""
    run = Run(folder / name)
    run.path.mkdir(parents=True)
    config = config or GPTConfig(vocab_size=65, block_size=128, num_layers=4, dropout=0.1)
    run.write_json(run.config_file, config.to_json())
    save_file({"weight": np.zeros(4, np.float32)}, run.weights_file)
    run.tokenizer_file.write_text("{}", encoding="utf-8")
    steps = range(0, total + 1, 200)
    if records is None:
        records = evaluations(
            steps, [curve(s, 1.45) for s in steps], [curve(s, 1.3) for s in steps], total
        )
    if samples is None:
        samples = [
            {"step": record["step"], "prompt": "ROMEO:", "text": "\n" + sample_text(index // 2)}
            for index, record in enumerate(records)
        ]
    for file, lines in ((run.metrics_file, records), (run.samples_file, samples)):
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        if text or file == run.metrics_file:
            file.write_text(text, encoding="utf-8", newline="\n")
    best: dict[str, Any] = min(records, key=lambda record: float(record["val_loss"]), default={})
    settings = Settings()
    settings.training.steps = total
    settings.training.eval_every = 200
    command = "textwright train shakespeare --model gpt"
    toml: dict[str, Any] = {
        **settings.model_dump(),
        "model": config.model_dump(),
        "run": {
            "name": name, "created": "2026-03-14T15:09:26+00:00", "textwright": "0.1.0",
            "command": command + (f" --minutes {minutes:g}" if minutes else f" --steps {total}"),
            "python": "3.12.4", "torch": "2.13.0", "numpy": "2.4.6", "threads": 2,
            "platform": "Linux-x86_64", "device": "cpu", "precision": "float32",
        },
        "data": {
            "name": "shakespeare", "sha256": "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86",
            "licence": "public domain", "train_tokens": 1_003_854, "validation_tokens": 111_540,
            "train_characters": 1_003_854, "validation_characters": 111_540, "vocab_size": 65,
            "sources": [{"address": "tinyshakespeare.txt", "sha256": "86c4e6aa", "bytes": 1_115_394,
                         "licence": "public domain", "encoding": "utf-8"}],
            "warnings": [],
        },
        "plan": {
            "parameters": config.parameter_count(), "steps": total, "tokens_per_step": 4096,
            "epochs": total * 4096 / 1_003_854, "minutes": minutes, "eval_every": 200,
            "memory_bytes": 61_000_000, "expected_seconds": 174.0,
            "protocol": "the whole validation text in windows of 128 tokens that don't overlap",
        },
        "result": {
            "status": status, "steps": records[-1]["step"] if records else 0,
            "seconds": records[-1]["seconds"] if records else 0.0, "best_step": best.get("step"),
            "val_loss": best.get("val_loss"), "val_bits_per_char": best.get("val_bits_per_char"),
        },
    }  # fmt: skip
    for section, values in (changes or {}).items():
        toml[section] = {**toml.get(section, {}), **values}
    run.write_settings(toml)
    return run
